// Package differential holds a test only: two independent decoders of unsigned transactions must agree on generated ones, or ours must
// refuse. Ours are wallets/bitcoin and wallets/ethereum; the others are bitcoinjs-lib, @scure/btc-signer and ethers, run by
// internal/devnet/peers/differential.mjs.
//
// The transactions come from encoders of this package, so that they can be wrong in every way that bytes can. The test trusts neither
// side: what ours accepts, each of the others must read to the same fields and write to the same bytes again.
package differential
