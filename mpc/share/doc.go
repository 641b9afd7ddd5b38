// Package share holds what one party keeps of a threshold key: its share, the public data of the other parties, and the
// pre-parameters that a key generation consumes.
//
// The format is ours and names no library. Decoding is strict (size limit, deterministic CBOR, no unknown field) and Check verifies
// everything that can be verified without the other parties: every length, the primes, the Paillier moduli, that the secret fits
// its public point, that all points lie on one polynomial of the right degree, and that this polynomial yields the group key.
//
// A Store writes shares and pre-parameters to a directory only as a Sealer sealed them; the additional data binds what a file is
// for (organisation, key, epoch, party), so that files cannot be swapped. The package trusts the Sealer with secrecy and
// integrity and the file system with nothing but durability. It never overwrites and never writes plaintext.
package share
