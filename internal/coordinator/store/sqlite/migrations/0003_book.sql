-- Changes of the address book, in the order in which they were recorded. Each has its leaf in the audit log.
CREATE TABLE book_changes (
  ordinal INTEGER PRIMARY KEY CHECK (ordinal >= 1),
  serial  INTEGER NOT NULL CHECK (serial >= 1), -- of the version that it makes; several of one serial are all in force
  digest  BLOB NOT NULL UNIQUE CHECK (length(digest) = 32), -- of what officers approved
  change  BLOB NOT NULL,
  time    INTEGER NOT NULL, -- milliseconds
  leaf    INTEGER NOT NULL UNIQUE REFERENCES audit_leaves (position)
) STRICT;

-- Officers' statements that are about no withdrawal: revocations of keys.
CREATE TABLE statements (
  ordinal   INTEGER PRIMARY KEY CHECK (ordinal >= 1),
  digest    BLOB NOT NULL UNIQUE CHECK (length(digest) = 32), -- of the document
  statement BLOB NOT NULL, -- with its signature
  time      INTEGER NOT NULL, -- milliseconds
  leaf      INTEGER NOT NULL UNIQUE REFERENCES audit_leaves (position)
) STRICT;
