// Package keypool makes the pools of keys that wallets with keys in tokens take their addresses from: it has a token generate the keys, has each key
// sign who it is for and the signer's identity which keys it found, joins what several tokens made to one pool, and writes the pool to the file under which config.Pools finds it.
//
// It trusts the token to generate keys well and to tell their attributes truly: keys are used only after the token's driver found them to be of the class
// asked for. Keys that came into the token from outside are refused, unless a restoration is what the caller says it was. It refuses to hand out a pool
// with a key twice, a proof or an identity's signature that does not verify. A pool holds no secret and no organisation; who reads it
// learns which addresses belong together.
//
// A charter names the digest of a pool, so that a pool cannot be changed afterwards: a larger one is another pool, made in the same way in the same
// tokens, in which the keys that are there already keep their addresses.
package keypool
