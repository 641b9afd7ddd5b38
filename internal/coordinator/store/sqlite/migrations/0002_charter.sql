-- Entries that enacted an amendment or healed a fork, in the order in which they were recorded. Each has its leaf in the audit log.
CREATE TABLE charter_entries (
  ordinal INTEGER PRIMARY KEY CHECK (ordinal >= 1),
  number  INTEGER NOT NULL CHECK (number >= 2), -- of the charter that it makes; two of one number are a fork
  digest  BLOB NOT NULL UNIQUE CHECK (length(digest) = 32), -- of the amendment
  entry   BLOB NOT NULL,
  time    INTEGER NOT NULL, -- milliseconds
  leaf    INTEGER NOT NULL UNIQUE REFERENCES audit_leaves (position)
) STRICT;
CREATE INDEX charter_entries_number ON charter_entries (number);
