package descriptor

import (
	"fmt"
	"strings"
)

// Character sets and generator of BIP-380, section "Checksum".
const (
	inputCharset    = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
	checksumCharset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
	checksumSize    = 8
)

var generator = [5]uint64{0xf5dee51989, 0xa9fdca3312, 0x1bab10e32d, 0x3706b1677a, 0x644d626ffd}

// polymod takes one more symbol of 5 bits into the checksum.
func polymod(sum, symbol uint64) uint64 {
	top := sum >> 35
	sum = (sum&0x7ffffffff)<<5 ^ symbol
	for i, g := range generator {
		if top>>i&1 == 1 {
			sum ^= g
		}
	}
	return sum
}

// checksum returns the eight characters that go behind a script expression.
func checksum(script string) (string, error) {
	sum, groups, n := uint64(1), uint64(0), 0
	for i, c := range script {
		v := strings.IndexRune(inputCharset, c)
		if v < 0 {
			return "", fmt.Errorf("descriptor: character %d: expected one of BIP-380's set, found %q", i, c)
		}
		sum = polymod(sum, uint64(v)&31)
		groups = groups*3 + uint64(v)>>5
		if n++; n == 3 {
			sum, groups, n = polymod(sum, groups), 0, 0
		}
	}
	if n > 0 {
		sum = polymod(sum, groups)
	}
	for range checksumSize {
		sum = polymod(sum, 0)
	}
	sum ^= 1
	var text [checksumSize]byte
	for i := range text {
		text[i] = checksumCharset[sum>>(5*(checksumSize-1-i))&31]
	}
	return string(text[:]), nil
}

// verified returns the script expression of a descriptor whose checksum is right.
func verified(text string) (string, error) {
	at := len(text) - checksumSize - 1
	if at < 0 || text[at] != '#' {
		return "", fmt.Errorf("descriptor: expected # and %d characters of checksum at the end, found none", checksumSize)
	}
	script, found := text[:at], text[at+1:]
	want, err := checksum(script)
	if err != nil {
		return "", err
	}
	if found != want {
		return "", fmt.Errorf("descriptor: checksum: expected %s, found %q", want, found)
	}
	return script, nil
}
