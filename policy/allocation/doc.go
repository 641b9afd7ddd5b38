// Package allocation holds the share of client assets that lies close to the network against the bands of the charter.
//
// A band says how much of all client holdings of an asset, or of all assets by value, may lie in a tier or closer to the network: hot is closer than
// warm, warm than cold. Only two things are ever held against it: a move of an account's own to a tier within the band from one outside it, and a
// payment out of a wallet outside it. Deposits, withdrawals from within and moves away from the network always pass, whatever the share is.
//
// What wallets hold is what signers state that their own chain sources show, and a signer may lie. So it takes statements of f+1 distinct signers, of
// which one at least is honest, and of what they say the reading that is worst for the mover counts: for a wallet within the band the most that
// anyone states, for one outside it the least. A liar can keep a move from being made, until others are asked, and never let one through. Statements
// must be verified and fresh when they come here (package fact).
//
// House wallets are no client holdings: they are not counted, and moves between them are not held against anything. The functions are pure and safe
// for use by several goroutines.
package allocation
