// Package lint reads the rules of a charter for what a security officer would want to know before they go live: rules that never decide anything,
// rules that match nothing or are never open, denials that larger amounts pass by, expressions that are always the same, quorums and limits that nobody
// needs or that stop everything, bands of allocation that are laxer than any profile, wallets whose tokens are the money, may be lost, or are less apart
// than they look. How many addresses a pool of keys has left it cannot say: a charter names the pool's digest and no more.
//
// Everything it says is a warning. What cannot work is refused by charter.Lint, for everybody and at all times; Refused puts that in the same form.
// Whether one rule leaves anything to another is worked out on cells: an account in a wallet, with an asset of the wallet's chain or with a contract
// call there. A request for payments lies in one cell, since a transaction pays one asset, and a rule matches up to an amount in it. For rules that say
// no more than that, "unreachable" is exact for payments. Where rules have destinations, values, times, attributes or expressions, and for calls, it is
// said only where one earlier rule plainly takes all that the rule takes, by Rule's own fields: nothing is said about a part that is only likely.
//
// The package trusts the genesis to be one that charter.Lint passed, does no I/O, has no clock and depends on no order of maps. The thresholds that it
// knows are constants of this package.
package lint
