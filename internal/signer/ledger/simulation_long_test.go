//go:build long

package ledger

// The simulation has as many sequences as -rapid.checks says, and begins as often again.
const sequences, repetitions = 1 << 30, 30
