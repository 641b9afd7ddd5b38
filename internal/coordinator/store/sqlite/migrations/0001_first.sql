CREATE TABLE meta (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) STRICT;

-- One row for each wid. The columns beside body are copies for searching; reading a row checks id, state and version against body.
CREATE TABLE withdrawals (
  id      BLOB PRIMARY KEY CHECK (length(id) = 32),
  ordinal INTEGER NOT NULL UNIQUE, -- sequence number of the first event
  version INTEGER NOT NULL CHECK (version >= 1),
  state   TEXT NOT NULL,
  client  TEXT NOT NULL,
  wallet  TEXT NOT NULL,
  intent  BLOB UNIQUE CHECK (length(intent) = 32), -- digest
  body    BLOB NOT NULL
) STRICT;
CREATE INDEX withdrawals_state  ON withdrawals (state, ordinal);
CREATE INDEX withdrawals_client ON withdrawals (client, ordinal);
CREATE INDEX withdrawals_wallet ON withdrawals (wallet, ordinal);

CREATE TABLE audit_leaves (
  position INTEGER PRIMARY KEY,
  data     BLOB NOT NULL
) STRICT;

CREATE TABLE audit_hashes (
  position INTEGER PRIMARY KEY,
  hash     BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE checkpoints (
  size   INTEGER PRIMARY KEY,
  root   BLOB NOT NULL CHECK (length(root) = 32),
  signed BLOB NOT NULL,
  time   INTEGER NOT NULL
) STRICT;

CREATE TABLE events (
  sequence   INTEGER PRIMARY KEY CHECK (sequence >= 1),
  withdrawal BLOB NOT NULL REFERENCES withdrawals (id),
  kind       TEXT NOT NULL,
  actor      TEXT NOT NULL,
  state      TEXT NOT NULL,
  time       INTEGER NOT NULL, -- milliseconds
  refusals   TEXT,             -- JSON
  leaf       INTEGER NOT NULL UNIQUE REFERENCES audit_leaves (position)
) STRICT;
CREATE INDEX events_withdrawal ON events (withdrawal, sequence);

-- Anchors in use or spent. An anchor that every signer left free has no row.
CREATE TABLE anchors (
  chain      TEXT NOT NULL,
  account    BLOB NOT NULL,
  number     INTEGER NOT NULL CHECK (number >= 0),
  withdrawal BLOB NOT NULL REFERENCES withdrawals (id),
  open       INTEGER NOT NULL CHECK (open IN (0, 1)),
  PRIMARY KEY (chain, account, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX anchors_open ON anchors (withdrawal) WHERE open = 1;
CREATE INDEX anchors_withdrawal ON anchors (withdrawal);

-- Decimal amounts, because EVM amounts have 256 bits.
CREATE TABLE set_aside (
  withdrawal BLOB NOT NULL REFERENCES withdrawals (id),
  position   INTEGER NOT NULL,
  wallet     TEXT NOT NULL,
  account    TEXT NOT NULL,
  asset      TEXT NOT NULL,
  amount     TEXT NOT NULL,
  PRIMARY KEY (withdrawal, position)
) STRICT, WITHOUT ROWID;
CREATE INDEX set_aside_account ON set_aside (wallet, account, asset);

CREATE TABLE blocks (
  chain  TEXT NOT NULL,
  height INTEGER NOT NULL CHECK (height >= 0),
  hash   BLOB NOT NULL CHECK (length(hash) = 32),
  PRIMARY KEY (chain, height)
) STRICT, WITHOUT ROWID;

CREATE TABLE transactions (
  chain TEXT NOT NULL,
  txid  BLOB NOT NULL CHECK (length(txid) = 32),
  raw   BLOB NOT NULL,
  PRIMARY KEY (chain, txid)
) STRICT;

CREATE TABLE coins (
  chain         TEXT NOT NULL,
  txid          BLOB NOT NULL,
  output        INTEGER NOT NULL CHECK (output >= 0),
  wallet        TEXT NOT NULL,
  account       TEXT NOT NULL,
  branch        INTEGER NOT NULL,
  address_index INTEGER NOT NULL,
  asset         TEXT NOT NULL,
  value         INTEGER NOT NULL CHECK (value >= 0), -- satoshi: the whole supply has 51 bits
  script        BLOB NOT NULL,
  height        INTEGER NOT NULL,
  coinbase      INTEGER NOT NULL CHECK (coinbase IN (0, 1)),
  spent_by      BLOB CHECK (length(spent_by) = 32),
  spent_height  INTEGER,
  PRIMARY KEY (chain, txid, output),
  FOREIGN KEY (chain, txid) REFERENCES transactions (chain, txid),
  CHECK ((spent_by IS NULL) = (spent_height IS NULL))
) STRICT;
CREATE INDEX coins_unspent ON coins (chain, wallet, account, value) WHERE spent_by IS NULL;
CREATE INDEX coins_height  ON coins (chain, height);
CREATE INDEX coins_spent   ON coins (chain, spent_height) WHERE spent_by IS NOT NULL;

-- A reservation outlives its coin: a reorganisation may take the coin away and bring it back.
CREATE TABLE coin_holds (
  chain      TEXT NOT NULL,
  txid       BLOB NOT NULL,
  output     INTEGER NOT NULL,
  withdrawal BLOB NOT NULL REFERENCES withdrawals (id),
  PRIMARY KEY (chain, txid, output)
) STRICT, WITHOUT ROWID;
CREATE INDEX coin_holds_withdrawal ON coin_holds (withdrawal);

CREATE TABLE addresses (
  wallet        TEXT NOT NULL,
  account       TEXT NOT NULL,
  branch        INTEGER NOT NULL CHECK (branch IN (0, 1)),
  address_index INTEGER NOT NULL CHECK (address_index >= 0),
  chain         TEXT NOT NULL,
  address       BLOB NOT NULL,
  attestations  BLOB NOT NULL,
  request_id    TEXT,
  created       INTEGER NOT NULL,
  PRIMARY KEY (wallet, account, branch, address_index),
  UNIQUE (wallet, account, request_id),
  UNIQUE (chain, address)
) STRICT;
