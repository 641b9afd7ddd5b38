package ethereum

import (
	"bytes"
	"fmt"
	"math/big"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/ethereum/go-ethereum/rlp"
)

// signedFields is the RLP list of a signed EIP-1559 transaction.
type signedFields struct {
	ChainID    uint64
	Nonce      uint64
	Tip        *big.Int
	FeeCap     *big.Int
	Gas        uint64
	To         [20]byte
	Value      *big.Int
	Data       []byte
	AccessList []struct{}
	YParity    uint8
	R, S       *big.Int
}

// Finalise puts a signature, r ‖ s ‖ recovery id, on a payload that Parse accepts and returns the signed transaction. The signature must
// have low s and recover to exactly the public key.
func Finalise(payload []byte, sig [65]byte, public [33]byte) ([]byte, error) {
	t, err := Parse(payload)
	if err != nil {
		return nil, err
	}
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return nil, fmt.Errorf("public key: expected a compressed point of secp256k1: %w", err)
	}
	found, err := recoverSender(Digest(payload), sig)
	if err != nil {
		return nil, err
	}
	if want := addressOf(key); found != want {
		return nil, fmt.Errorf("signature: sender: expected 0x%x, found 0x%x", want, found)
	}
	raw, err := encodeSigned(t.fields().signed(sig))
	if err != nil {
		return nil, err
	}
	if _, err := VerifySigned(raw, found); err != nil {
		return nil, err
	}
	return raw, nil
}

// VerifySigned reads a signed transaction and returns the unsigned payload that the signature covers; the caller compares it with the
// one that was approved. It refuses a payload that Parse refuses, an encoding that is not canonical, high s, and any sender but want.
func VerifySigned(raw []byte, want [20]byte) ([]byte, error) {
	if len(raw) > MaxSigned {
		return nil, fmt.Errorf("signed transaction: size: expected at most %d bytes, found %d", MaxSigned, len(raw))
	}
	if len(raw) == 0 || raw[0] != transactionType {
		return nil, fmt.Errorf("signed transaction: type: expected %d (EIP-1559), found %s", transactionType, typeName(raw))
	}
	var f signedFields
	if err := rlp.DecodeBytes(raw[1:], &f); err != nil {
		return nil, fmt.Errorf("signed transaction: expected the RLP list of an EIP-1559 transaction: %w", err)
	}
	payload, sig, err := f.split()
	if err != nil {
		return nil, fmt.Errorf("signed transaction: %w", err)
	}
	if _, err := Parse(payload); err != nil {
		return nil, fmt.Errorf("signed transaction: %w", err)
	}
	again, err := encodeSigned(f)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, raw) {
		return nil, fmt.Errorf("signed transaction: expected canonical RLP of %d bytes, found %d other bytes", len(again), len(raw))
	}
	found, err := recoverSender(Digest(payload), sig)
	if err != nil {
		return nil, fmt.Errorf("signed transaction: %w", err)
	}
	if found != want {
		return nil, fmt.Errorf("signed transaction: sender: expected 0x%x, found 0x%x", want, found)
	}
	return payload, nil
}

func (t *Transaction) fields() fields {
	return fields{ChainID: t.ChainID, Nonce: t.Nonce, Tip: t.Tip, FeeCap: t.FeeCap, Gas: t.Gas, To: t.To, Value: t.Value, Data: t.Data}
}

func (f fields) signed(sig [65]byte) signedFields {
	return signedFields{
		ChainID: f.ChainID, Nonce: f.Nonce, Tip: f.Tip, FeeCap: f.FeeCap, Gas: f.Gas, To: f.To, Value: f.Value, Data: f.Data, AccessList: f.AccessList,
		YParity: sig[64], R: new(big.Int).SetBytes(sig[:32]), S: new(big.Int).SetBytes(sig[32:64]),
	}
}

// split takes a signed transaction apart into the payload and the signature, r ‖ s ‖ y parity.
func (f *signedFields) split() ([]byte, [65]byte, error) {
	var sig [65]byte
	if f.R.BitLen() > 256 || f.S.BitLen() > 256 {
		return nil, sig, fmt.Errorf("signature: expected r and s of at most 256 bits, found %d and %d", f.R.BitLen(), f.S.BitLen())
	}
	f.R.FillBytes(sig[:32])
	f.S.FillBytes(sig[32:64])
	sig[64] = f.YParity
	payload, err := encode(fields{
		ChainID: f.ChainID, Nonce: f.Nonce, Tip: f.Tip, FeeCap: f.FeeCap, Gas: f.Gas, To: f.To, Value: f.Value, Data: f.Data, AccessList: f.AccessList,
	})
	return payload, sig, err
}

func encodeSigned(f signedFields) ([]byte, error) {
	list, err := rlp.EncodeToBytes(&f)
	if err != nil {
		return nil, fmt.Errorf("rlp: %w", err)
	}
	return append([]byte{transactionType}, list...), nil
}

// recoverSender returns the address whose key made the signature r ‖ s ‖ y parity over digest. It refuses r and s outside 1 to n-1, high
// s (EIP-2) and recovery ids other than 0 and 1, which EIP-1559 cannot express.
func recoverSender(digest [32]byte, sig [65]byte) ([20]byte, error) {
	var r, s btcec.ModNScalar
	if r.SetByteSlice(sig[:32]) || r.IsZero() {
		return [20]byte{}, fmt.Errorf("signature.r: expected 1 to n-1, found %x", sig[:32])
	}
	if s.SetByteSlice(sig[32:64]) || s.IsZero() || s.IsOverHalfOrder() {
		return [20]byte{}, fmt.Errorf("signature.s: expected 1 to n/2, found %x", sig[32:64])
	}
	if sig[64] > 1 {
		return [20]byte{}, fmt.Errorf("signature.y_parity: expected 0 or 1, found %d", sig[64])
	}
	const firstCompact = 27 // the recovery byte of compact signatures for an uncompressed key
	key, _, err := ecdsa.RecoverCompact(append([]byte{firstCompact + sig[64]}, sig[:64]...), digest[:])
	if err != nil {
		return [20]byte{}, fmt.Errorf("signature: expected one from which a key can be recovered: %w", err)
	}
	return addressOf(key), nil
}
