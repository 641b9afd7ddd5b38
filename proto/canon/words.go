package canon

import "github.com/tyler-smith/go-bip39/wordlists"

// Words returns the first 132 bits of the digest as twelve words of the BIP-39 English list, eleven bits a word, for people to
// compare between two screens. They are no mnemonic: there is no checksum.
func (d Digest) Words() [12]string {
	var words [12]string
	for i := range words {
		index := 0
		for bit := 11 * i; bit < 11*(i+1); bit++ {
			index = index<<1 | int(d[bit/8]>>(7-bit%8)&1)
		}
		words[i] = wordlists.English[index]
	}
	return words
}
