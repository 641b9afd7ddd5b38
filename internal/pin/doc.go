// Package pin finds the PIN of a token: in a file that nobody else can read, on the terminal, or combined from shares of which k of m persons bring theirs.
//
// A shared PIN is generated, never chosen: a random scalar is split (Shamir, in the prime-order group ristretto255), and the PIN is derived from it by
// HKDF. So shares of a short PIN say nothing about it, and a share is as long for 8 digits as for 60 characters.
//
// It trusts the machine on which shares are combined: whoever controls that sees the PIN. It refuses files that others can read, that belong to others, and
// symbolic links. Of shares it refuses, by the share's name, those that were mistyped, belong to another set or came twice; and it refuses too few. Each
// share carries a check value of the whole secret, so that shares which do not fit never become a wrong PIN that counts as a try at the token. Errors never
// hold a secret. Secrets are cleared after use, as far as the libraries allow: scalars are set to zero, copies that they made inside are not reached.
package pin
