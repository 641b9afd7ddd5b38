-- The double-entry book. Entries and postings are never changed; balances are their sums.
CREATE TABLE account_entries (
  number     INTEGER PRIMARY KEY CHECK (number >= 1),
  time       INTEGER NOT NULL, -- milliseconds
  kind       TEXT NOT NULL,
  key        TEXT NOT NULL, -- natural key; empty for none
  wallet     TEXT NOT NULL,
  account    TEXT NOT NULL, -- empty for nobody's
  asset      TEXT NOT NULL,
  withdrawal BLOB CHECK (length(withdrawal) = 32),
  txid       TEXT NOT NULL,
  text       TEXT NOT NULL,
  chain      TEXT NOT NULL, -- of the block in which it happened; empty for none
  height     INTEGER NOT NULL CHECK (height >= 0),
  reverses   INTEGER UNIQUE REFERENCES account_entries (number)
) STRICT;
CREATE INDEX account_entries_key     ON account_entries (key, number) WHERE key <> '';
CREATE INDEX account_entries_account ON account_entries (account, number);
CREATE INDEX account_entries_block   ON account_entries (chain, height) WHERE chain <> '';

-- Decimal amounts, because EVM amounts have 256 bits.
CREATE TABLE account_postings (
  ordinal INTEGER PRIMARY KEY CHECK (ordinal >= 1),
  entry   INTEGER NOT NULL REFERENCES account_entries (number),
  debit   TEXT NOT NULL CHECK (debit <> credit),
  credit  TEXT NOT NULL,
  amount  TEXT NOT NULL
) STRICT;
CREATE INDEX account_postings_entry ON account_postings (entry, ordinal);

-- Those above zero.
CREATE TABLE account_balances (
  ledger TEXT NOT NULL,
  wallet TEXT NOT NULL,
  asset  TEXT NOT NULL,
  amount TEXT NOT NULL,
  PRIMARY KEY (ledger, asset)
) STRICT, WITHOUT ROWID;
CREATE INDEX account_balances_wallet ON account_balances (wallet);

-- Withdrawals whose transaction was signed and whose outcome is not booked yet.
CREATE TABLE account_open (
  withdrawal BLOB PRIMARY KEY REFERENCES withdrawals (id),
  chain      TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The last blocks up to which each EVM chain was booked, and what lay on each address then.
CREATE TABLE account_marks (
  chain  TEXT NOT NULL,
  height INTEGER NOT NULL CHECK (height >= 0),
  hash   BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (chain, height)
) STRICT, WITHOUT ROWID;

CREATE TABLE account_held (
  chain  TEXT NOT NULL,
  height INTEGER NOT NULL CHECK (height >= 0),
  wallet TEXT NOT NULL,
  holder TEXT NOT NULL,
  asset  TEXT NOT NULL,
  amount TEXT NOT NULL,
  PRIMARY KEY (chain, height, wallet, holder, asset)
) STRICT, WITHOUT ROWID;

-- What operators said about deposits in suspense. Each has its leaf in the audit log.
CREATE TABLE account_attributions (
  request_id TEXT PRIMARY KEY,
  entry      INTEGER NOT NULL REFERENCES account_entries (number), -- of the deposit
  account    TEXT NOT NULL,
  amount     TEXT NOT NULL, -- as asked for; empty for all that is left
  posted     INTEGER NOT NULL UNIQUE REFERENCES account_entries (number), -- the entry that it made
  actor      TEXT NOT NULL,
  time       INTEGER NOT NULL, -- milliseconds
  leaf       INTEGER NOT NULL UNIQUE REFERENCES audit_leaves (position)
) STRICT;

-- What was signed on EVM chains before there was a book is still to be booked by its receipt.
INSERT INTO account_open (withdrawal, chain) SELECT w.id, a.chain FROM withdrawals w JOIN anchors a ON a.withdrawal = w.id
  WHERE w.state IN ('signed', 'broadcast', 'replaced') AND a.chain LIKE 'eip155:%' ON CONFLICT DO NOTHING;

-- What Bitcoin blocks did is booked as they are read. Blocks that were read before there was a book are read again, from the first.
DELETE FROM coins;
DELETE FROM transactions;
DELETE FROM blocks;
