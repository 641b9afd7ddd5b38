// Package genesis compiles the first charter of an organisation from TOML that people write, and reads the address book's entries.
//
// The TOML expresses every field of canon.Genesis: addresses as text of their chain, amounts as decimal text with a symbol or a
// CAIP-19 id ("0.5 BTC"), durations with a unit ("24h"), officers' keys as a line of authorized_keys. The book's size and root come
// from the entries. The package trusts its input to be what the operator wants and refuses what it does not understand: unknown
// keys, symbols that name no asset or more than one, amounts with more decimals than the asset has, durations without a unit or
// with parts of a second. Whether the charter makes sense is the question of charter.Lint, which Build asks.
//
// The package does no I/O; all functions are safe for concurrent use.
package genesis
