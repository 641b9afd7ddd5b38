//go:build !long

package ledger

// The simulation has so many sequences at most, and begins once.
const sequences, repetitions = 60, 1
