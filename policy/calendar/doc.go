// Package calendar says whether spans of the week that a charter names are open at a time, and when the next one opens.
//
// Spans are read by the clock on the wall of their time zone: while that clock shows a minute from From up to and without To, on a day of Days, the
// span is open. Where clocks go forward the minutes that they leave out never come; where they go back a span has the minutes that come twice, both
// times. A span whose To is not after its From ends on the next day.
//
// Time zones come from a copy of the IANA time zone database within the program, never from the machine: signers, coordinators and offline signers
// must come to one answer. The copy is zoneinfo.zip, release 2025c as Go 1.26 ships it (GOROOT/lib/time/zoneinfo.zip, https://www.iana.org/time-zones;
// the database is in the public domain). To update it, copy the file of a newer Go over it, name the release here (DATA in GOROOT/lib/time/update.bash)
// and run the tests. Signers with different releases may disagree on rules with hours in the zones that changed, and then the stricter ones refuse.
//
// The package trusts the charter to hold spans that charter.Lint has passed: a zone that it does not know is never open. It does no other I/O and reads no clock.
// All functions are safe for concurrent use.
package calendar
