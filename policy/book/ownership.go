package book

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// Kinds of evidence of ownership, as canon.BookEntry.Proof has them. Officers judge whether a client needs any; signers ask for none.
const (
	ProofNone    = uint64(0)
	ProofMessage = uint64(1) // a signed message, see CheckOwnership
	ProofDeposit = uint64(2) // a micro-deposit, see CheckDeposit
)

// CheckOwnership verifies that the holder of an address on the chain signed that it is the client's: o.Message, by BIP-322 (P2PKH: Bitcoin
// Core's signmessage) or by EIP-191's personal_sign. The signature is text as wallets show it, without white space: base64, or 0x and 130
// lower-case hexadecimal digits.
//
// It returns what an entry of the book with ProofMessage has as its evidence: SHA-256 of the signature as it was given. The error is a
// *refusal.Refusal. When the message was signed is not shown by anything; the organisation in it keeps it from serving elsewhere.
func CheckOwnership(chain canon.Chain, o canon.Ownership, signature []byte) (evidence canon.Digest, err error) {
	address, err := checkOwner(chain, o)
	if err != nil {
		return canon.Digest{}, err
	}
	switch chain.Kind {
	case canon.Bitcoin:
		err = bitcoin.VerifyMessage(address, o.Message(), signature)
	case canon.EVM:
		err = verifyHex([20]byte(address), o.Message(), signature)
	default:
		err = fmt.Errorf("chain %s: expected kind 1 or 2, found %d", chain.ID, chain.Kind)
	}
	if err != nil {
		return canon.Digest{}, refusal.New("ownership", "signature", "one by the holder of "+o.Address, err.Error())
	}
	return sha256.Sum256(signature), nil
}

// checkOwner refuses whatever would give one ownership several texts, or a text that reads as another's, and returns the address as entries
// hold it.
func checkOwner(chain canon.Chain, o canon.Ownership) ([]byte, error) {
	var l refusal.List
	if o.Organisation.IsZero() {
		l.Add("ownership", "organisation", "the digest of a genesis", "none")
	}
	if o.Chain != chain.ID {
		l.Add("ownership", "chain", string(chain.ID), fmt.Sprintf("%q", o.Chain))
	}
	if err := o.Client.Check(); err != nil || o.Client == canon.Any {
		l.Add("ownership", "client", "the name of one client", fmt.Sprintf("%q", o.Client))
	}
	address, err := wallets.ParseAddress(chain, o.Address)
	if err != nil {
		l.Add("ownership", "address", "an address of chain "+string(chain.ID), err.Error())
	} else if text, err := wallets.AddressText(chain, address); err != nil || text != o.Address {
		l.Add("ownership", "address", text, o.Address)
	}
	return address, l.Err()
}

// verifyHex verifies a signature of personal_sign that is written as wallets show it.
func verifyHex(address [20]byte, message string, signature []byte) error {
	sig := make([]byte, 65)
	digits, ok := bytes.CutPrefix(signature, []byte("0x"))
	if !ok || len(digits) != hex.EncodedLen(len(sig)) || !bytes.Equal(digits, bytes.ToLower(digits)) {
		return errors.New("expected 0x and 130 lower-case hexadecimal digits, found another form")
	}
	if _, err := hex.Decode(sig, digits); err != nil {
		return errors.New("expected 0x and 130 lower-case hexadecimal digits, found other characters")
	}
	return ethereum.VerifyMessage(address, message, sig)
}
