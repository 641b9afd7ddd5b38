package ledger

import (
	"encoding/binary"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// isAccount reports whether the anchor is a nonce of an EVM account; others are outputs of transactions, with ids of 32 bytes.
func isAccount(a canon.Anchor) bool { return len(a.Account) == 20 }

func accountKey(a canon.Anchor) string {
	a.Number = 0
	return anchorKey(a)
}

// anchorKey is injective: the chain id contains no zero byte, the number has a fixed size.
func anchorKey(a canon.Anchor) string {
	b := append([]byte(a.Chain), 0)
	b = binary.BigEndian.AppendUint64(b, a.Number)
	return string(append(b, a.Account...))
}

func anchorText(a canon.Anchor) string {
	return fmt.Sprintf("%s %x number %d", a.Chain, a.Account, a.Number)
}
