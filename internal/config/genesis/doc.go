// Package genesis compiles charters of an organisation from TOML that people write: Build the first one, Revise one that follows the charter in
// force. It reads and writes the address book's entries.
//
// The TOML expresses every field of canon.Genesis that people set: addresses as text of their chain, amounts as decimal text with a symbol or a
// CAIP-19 id ("0.5 BTC"), durations with a unit ("24h"), officers' keys as a line of authorized_keys, values of a call's arguments as their type is
// written, amounts of money as decimal text with a currency ("10000 USD"), hours as times of a clock and a time zone, public keys of tokens and
// digests of pools of keys in hexadecimal. A profile of allocation becomes its bands. What narrows a rule or a limit is left out or says something:
// empty it is refused. The book's size and root come from the entries for Build and from the charter in force for Revise; freezes that amendments
// confirmed or lifted are in no TOML and stay. The package trusts its input to be what the operator wants and refuses what it does not understand:
// unknown keys, symbols that name no asset or more than one, amounts with more decimals than the asset or currency has, durations without a unit or
// with parts of a second, times without an offset, values that are none of their type. Whether the charter makes sense is the question of
// charter.Lint, which Build and Revise ask.
//
// The package does no I/O; all functions are safe for concurrent use.
package genesis
