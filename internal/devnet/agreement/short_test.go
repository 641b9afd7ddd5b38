//go:build !long

package agreement_test

// cases is how many generated withdrawals are judged.
const cases = 100_000
