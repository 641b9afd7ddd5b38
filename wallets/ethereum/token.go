package ethereum

import (
	"bytes"
	"fmt"
	"math/big"
)

// transferSelector is the first 4 bytes of Keccak-256("transfer(address,uint256)") (ERC-20).
var transferSelector = [4]byte{0xa9, 0x05, 0x9c, 0xbb}

// transferSize is the selector and two 32-byte words (Solidity ABI).
const transferSize = 4 + 32 + 32

// transferData returns the call data of transfer(to, amount); amount is below 2^256.
func transferData(to [20]byte, amount *big.Int) []byte {
	data := make([]byte, transferSize)
	copy(data, transferSelector[:])
	copy(data[4+12:], to[:])
	amount.FillBytes(data[4+32:])
	return data
}

// isTransfer reports whether call data has the selector of a token transfer.
func isTransfer(data []byte) bool { return bytes.HasPrefix(data, transferSelector[:]) }

// parseTransfer reads call data with the selector of a token transfer: exactly its two words, and no value beside it.
func parseTransfer(token [20]byte, value *big.Int, data []byte) (*TokenTransfer, error) {
	if len(data) != transferSize {
		return nil, fmt.Errorf("data: expected %d bytes for transfer(address,uint256), found %d", transferSize, len(data))
	}
	if padding := data[4 : 4+12]; !bytes.Equal(padding, make([]byte, 12)) {
		return nil, fmt.Errorf("data: to: expected 12 zero bytes before the address, found %x", padding)
	}
	if value.Sign() != 0 {
		return nil, fmt.Errorf("value: expected 0 with a token transfer, found %s", value)
	}
	t := &TokenTransfer{Token: token, Amount: new(big.Int).SetBytes(data[4+32:])}
	copy(t.To[:], data[4+12:4+32])
	if t.To == ([20]byte{}) {
		return nil, fmt.Errorf("data: to: expected an address other than zero, found zero")
	}
	return t, nil
}
