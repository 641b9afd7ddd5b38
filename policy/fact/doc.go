// Package fact verifies what authorities and signers state about the world: prices, clients' attributes, clearances of requests, balances.
//
// A statement counts if its author is who the charter names for it and signed it, if it is about this organisation, and if it is neither from the
// future nor too old at the time that it is judged by: for an intent the time that the intent names, so that everybody who judges the same intent
// counts the same statements. One statement that does not count refuses the whole: nobody may leave the choice to chance. Times are inclusive.
// The functions are pure and safe for use by several goroutines; errors are *refusal.Refusal.
package fact
