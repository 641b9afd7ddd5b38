// Package devnet runs a whole Strongroom on loopback: a Bitcoin and an EVM chain, a coordinator, four signers with a token each, officers
// and clients. It starts the real binaries as children and talks to them as people and programs would. The demonstration and the
// end-to-end test are made of it.
//
// It trusts this machine. Its keys, passphrases and PINs are worth nothing: they lie in files beside each other.
package devnet
