-- The custodian's desk that asked for a client's withdrawal; empty where the client asked by itself.
ALTER TABLE withdrawals ADD COLUMN desk TEXT NOT NULL DEFAULT '';
CREATE INDEX withdrawals_desk ON withdrawals (desk, ordinal) WHERE desk <> '';

-- What clients, or desks for them, asked for, and from where, for conditions on their habits.
CREATE TABLE requests (
  withdrawal BLOB PRIMARY KEY REFERENCES withdrawals (id),
  client     TEXT NOT NULL, -- or desk: who asked
  origin     TEXT NOT NULL, -- IP address; empty if unknown
  created    INTEGER NOT NULL -- milliseconds
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_origin ON requests (client, origin);
CREATE INDEX requests_client ON requests (client, created);

-- Outside addresses that a confirmed withdrawal of the client paid.
CREATE TABLE paid_addresses (
  client  TEXT NOT NULL,
  chain   TEXT NOT NULL,
  address BLOB NOT NULL,
  PRIMARY KEY (client, chain, address)
) STRICT, WITHOUT ROWID;

-- Travel-rule data, about people: kept apart from rows, events and log, and deleted when it is old. Requests have its SHA-256.
CREATE TABLE travel_data (
  withdrawal BLOB NOT NULL CHECK (length(withdrawal) = 32),
  digest     BLOB NOT NULL CHECK (length(digest) = 32),
  data       BLOB NOT NULL,
  PRIMARY KEY (withdrawal, digest)
) STRICT, WITHOUT ROWID;

-- On whose addresses it lies: the account's own, or those of the pool of an omnibus wallet.
ALTER TABLE set_aside ADD COLUMN holder TEXT NOT NULL DEFAULT '';
UPDATE set_aside SET holder = account;
DROP INDEX set_aside_account;
CREATE INDEX set_aside_holder ON set_aside (wallet, holder, asset);

-- An address of a pool is given to one of the accounts in it, so request ids are unique for whom it was given to.
CREATE TABLE addresses_5 (
  wallet        TEXT NOT NULL,
  account       TEXT NOT NULL, -- in whose path it is
  branch        INTEGER NOT NULL CHECK (branch IN (0, 1)),
  address_index INTEGER NOT NULL CHECK (address_index >= 0),
  chain         TEXT NOT NULL,
  address       BLOB NOT NULL,
  attestations  BLOB NOT NULL,
  request_id    TEXT,
  created       INTEGER NOT NULL,
  owner         TEXT NOT NULL, -- account that it was given to
  PRIMARY KEY (wallet, account, branch, address_index),
  UNIQUE (wallet, owner, request_id),
  UNIQUE (chain, address)
) STRICT;
INSERT INTO addresses_5 SELECT wallet, account, branch, address_index, chain, address, attestations, request_id, created, account FROM addresses;
DROP TABLE addresses;
ALTER TABLE addresses_5 RENAME TO addresses;
