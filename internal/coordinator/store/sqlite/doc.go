// Package sqlite keeps the coordinator's store in one SQLite file through modernc.org/sqlite, for one strongroomd without PostgreSQL.
//
// Every connection runs with journal_mode=WAL, synchronous=FULL, foreign_keys and busy_timeout; the settings are read back and a
// connection that does not have them is refused, because a commit that is not on the disk is not a commit. One connection writes,
// in transactions that take the write lock at their beginning; several others only read. The file is created with mode 0600.
//
// It trusts the file system to keep what fsync wrote, and refuses a file of another organisation, a file with a newer schema, and
// a file that anybody else could read.
package sqlite
