package ethereum

import (
	"fmt"
	"strconv"
)

// MaxMessage is the largest signed message, in bytes.
const MaxMessage = 4 << 10

// messagePrefix opens what personal_sign hashes (EIP-191, version 0x45), before the length in decimal and the message.
const messagePrefix = "\x19Ethereum Signed Message:\n"

// VerifyMessage verifies that whoever holds the key of the address signed the message with personal_sign (EIP-191). The signature is
// r ‖ s ‖ v, 65 bytes, where v is 27 or 28, or 0 or 1 as some wallets write it. High s is refused. Contracts sign nothing, so accounts that are
// contracts (EIP-1271) are always refused.
func VerifyMessage(address [20]byte, message string, signature []byte) error {
	if len(message) > MaxMessage {
		return fmt.Errorf("message signature: expected a message of at most %d bytes, found %d", MaxMessage, len(message))
	}
	if len(signature) != 65 {
		return fmt.Errorf("message signature: expected 65 bytes, found %d", len(signature))
	}
	sig := [65]byte(signature)
	switch v := sig[64]; v {
	case 0, 1:
	case 27, 28:
		sig[64] = v - 27
	default:
		return fmt.Errorf("message signature: v: expected 27, 28, 0 or 1, found %d", v)
	}
	found, err := recoverSender(messageDigest(message), sig)
	if err != nil {
		return fmt.Errorf("message signature: %w", err)
	}
	if found != address {
		return fmt.Errorf("message signature: expected one by 0x%x over this message, found one by 0x%x or over another", address, found)
	}
	return nil
}

// messageDigest is what personal_sign signs.
func messageDigest(message string) [32]byte {
	return keccak([]byte(messagePrefix + strconv.Itoa(len(message)) + message))
}
