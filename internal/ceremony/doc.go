// Package ceremony runs key ceremonies on a machine without a network: keys are born in a token, leave it wrapped, or enter another one, while people
// watch, confirm every step by their names and sign the record of it.
//
// A ceremony follows a Plan, a strict TOML file that the attendants have read before. Its steps come one after another on a plain terminal of 80
// columns; what a step did and who confirmed it goes into a journal on the disk before the next one starts, so that an interrupted ceremony is
// continued, or ended as aborted with the keys that exist in its record. It ends with a canon.Transcript: the digests of the executable and of the
// PKCS#11 module, the token as it describes itself, the attendants, the steps, and every key with the attributes that were read back from the token and
// a signature over a digest that can be no transaction. Each attendant signs the transcript in OpenSSH's format, with this program or with
// `ssh-keygen -Y sign`; Verify checks all of that again, from the files alone.
//
// It trusts the machine that it runs on, the token to tell its attributes truly, and the people to look: what an executable says of its own digest says
// nothing if the executable is another's, and is there for comparing with one that was published. It refuses plans with unknown keys, a token other than
// the plan's, keys whose attributes are not those of the plan's class, key-encryption keys of fewer than two components, and another executable, module or
// token half-way. No secret is in a journal, a transcript or an error.
package ceremony
