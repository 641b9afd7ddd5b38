// Package holdings says what a signer's own chain nodes show of the charter's wallets: for each wallet and asset what all addresses of its
// accounts have together, at a block as deep as the charter asks of final transactions.
//
// It derives the addresses by itself, where keys in tokens are in them as far as there are keys. An EVM chain is asked for the balance of each
// account's one address. Of a Bitcoin chain every block from a configured height on is read, in the background and from the start again each time the
// signer starts; what is found is kept in memory only. Reorganisations are undone.
//
// It trusts its node with the answer and with nothing else: what a signer states about balances can make a withdrawal be refused, or let one
// through together with what others state, and never moves anything. While a chain is not read to its end it refuses to say anything, as it does
// when there is an address that it cannot derive, and when the node's last block is older than a bound: a node that stands still would pass old
// balances off as those of now. A node that does not answer is an error that is no refusal. All methods are safe for
// concurrent use.
package holdings
