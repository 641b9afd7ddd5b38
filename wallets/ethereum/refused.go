package ethereum

import (
	"fmt"

	"github.com/ethereum/go-ethereum/rlp"
)

// typeName says in words what kind of transaction begins with these bytes (EIP-2718). It is for refusals: only one type is accepted.
func typeName(b []byte) string {
	if len(b) == 0 {
		return "nothing"
	}
	switch t := b[0]; {
	case t == 0x01:
		return "an EIP-2930 access list transaction (type 1)"
	case t == transactionType:
		return "an EIP-1559 transaction (type 2)"
	case t == 0x03:
		return "EIP-4844 blobs (type 3)"
	case t == 0x04:
		return "EIP-7702 authorisations (type 4)"
	case t >= 0xc0:
		return "a legacy transaction (no type)"
	default:
		return fmt.Sprintf("an unknown type (%d)", t)
	}
}

// The lists of transactions that may stand in place of ours, by their number of fields.
const (
	unsignedFields = 9  // EIP-1559 before the signature
	signedCount    = 12 // EIP-1559 with it
	toField        = 5
	accessField    = 8
)

// whatElse says in words what the RLP list of a type 2 transaction is that did not decode.
func whatElse(list []byte) string {
	var items []rlp.RawValue
	if err := rlp.DecodeBytes(list, &items); err != nil {
		return "bytes that are no such list"
	}
	const empty, emptyList = 0x80, 0xc0
	switch {
	case len(items) == signedCount:
		return "a signed transaction"
	case len(items) != unsignedFields:
		return fmt.Sprintf("a list of %d fields", len(items))
	case len(items[toField]) == 1 && items[toField][0] == empty:
		return "a contract creation"
	case len(items[accessField]) > 0 && items[accessField][0] != emptyList:
		return "an access list"
	}
	return "another"
}
