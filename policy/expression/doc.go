// Package expression reads, checks and evaluates the expressions of rules, in a part of CEL (the Common Expression Language, https://cel.dev).
//
// An expression is true or false and can do nothing else: it reads what it is given, does no I/O, keeps no clock, and its cost is bounded. What may
// stand in it is listed here and nothing else is accepted; everything that can be known to be wrong is refused when it is compiled, with line and
// column.
//
//	client, account, wallet, chain, tier, call     text; call is the name of the charter's entry, empty where the request pays
//	payments                                       list of payments, each with asset, amount, groups (texts) and own_wallet (text)
//	client_ip, known_ip, requests, new_destination text, bool, int, bool: in what holds a request only
//	asset("BTC")                                   an asset of the charter, by symbol or CAIP-19 id
//	amount("1.5 BTC")                              an amount of an asset
//	total("BTC")                                   what the request pays of it
//	money("500 USD")                               an amount of money
//	worth("USD")                                   what all payments are worth together
//	attribute("kyc"), has_attribute("kyc")         of the client, as the charter says it; attribute fails where the client has none
//	hour("Asia/Hong_Kong"), weekday("UTC")         of the request's beginning: 0 to 23, and 1 Monday to 7 Sunday
//	&& || ! ?: == != < <= > >= in [ ]              operators
//	size, contains, startsWith, endsWith           of texts; size of lists too
//	all, exists, exists_one                        over lists
//
// Assets, amounts and money are values of their own kinds: they compare with their like and are no numbers. Amounts of two assets, or money of two
// currencies, do not compare: that is refused where both are written out and fails where it comes to it. Since CEL's != hides such failures it is not
// for them; !(a == b) is. What fails has no answer, and whoever asked must deny. As CEL has it, a failure on one side of && is no failure where the other side is false, nor on one side of || where the other is true.
//
// A payment's groups may be in doubt: then only whether a named group is among them can be asked, and that fails for a group in doubt; size, indexes and
// what goes over all of them fail. A payment of a contract call has no groups that could be read.
//
// Programs are safe for use by several goroutines.
package expression
