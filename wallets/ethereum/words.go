package ethereum

import (
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// ParseNumber reads a decimal number of at most 256 bits and its sign.
func ParseNumber(text string) (*big.Int, error) {
	const digits = 78 // of 2^256
	if len(text) > digits+1 {
		return nil, fmt.Errorf("expected a decimal number, found %.80q", text)
	}
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || strings.HasPrefix(text, "+") || n.String() != text {
		return nil, fmt.Errorf("expected a decimal number, found %.80q", text)
	}
	return n, nil
}

// ParseWord returns the 32-byte word of a value that is written as its type is: an address as its chain writes it, true or false, a decimal
// number, bytes in hexadecimal with 0x.
func (t Type) ParseWord(text string, chain canon.Chain) ([32]byte, error) {
	var w [32]byte
	switch name := t.String(); {
	case t == Address:
		address, err := wallets.ParseAddress(chain, text)
		if err != nil {
			return w, err
		}
		copy(w[32-min(len(address), 32):], address)
	case name == "bool":
		if text != "true" && text != "false" {
			return w, fmt.Errorf("expected true or false, found %.80q", text)
		}
		if text == "true" {
			w[31] = 1
		}
	case t.IsNumber():
		n, err := ParseNumber(text)
		if err != nil {
			return w, err
		}
		if n.BitLen() > 256 {
			return w, fmt.Errorf("expected a %s, found %s", name, text)
		}
		if n.Sign() < 0 {
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), 256)) // two's complement
		}
		n.FillBytes(w[:])
	default:
		digits, ok := strings.CutPrefix(text, "0x")
		b, err := hex.DecodeString(digits)
		if !ok || err != nil || fmt.Sprintf("bytes%d", len(b)) != name {
			return w, fmt.Errorf("expected %s in hexadecimal digits after 0x, found %.80q", name, text)
		}
		copy(w[:], b)
	}
	if got := t.Text(w); t.Check(w) != nil || t.IsNumber() && got != text {
		return w, fmt.Errorf("expected a %s, found %.80q", t, text)
	}
	return w, nil
}
