package bitcoin

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/wallets"
)

// Digests returns, for each input in order, what its key signs: BIP-143 with SIGHASH_ALL. All prevouts must be P2WPKH.
func Digests(tx *wire.MsgTx, prevouts []*wire.TxOut) ([][32]byte, error) {
	if _, err := Fee(tx, prevouts); err != nil {
		return nil, err
	}
	hashes := txscript.NewTxSigHashes(tx, fetcher(tx, prevouts))
	digests := make([][32]byte, len(prevouts))
	for i, out := range prevouts {
		if t, _, err := wallets.ClassifyScript(out.PkScript); err != nil || t != wallets.P2WPKH {
			return nil, fmt.Errorf("inputs[%d].prevout.script: expected P2WPKH, found %x", i, out.PkScript)
		}
		d, err := txscript.CalcWitnessSigHash(out.PkScript, hashes, txscript.SigHashAll, tx, i, out.Value)
		if err != nil {
			return nil, fmt.Errorf("inputs[%d]: %w", i, err)
		}
		copy(digests[i][:], d)
	}
	return digests, nil
}

func fetcher(tx *wire.MsgTx, prevouts []*wire.TxOut) *txscript.MultiPrevOutFetcher {
	f := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		f.AddPrevOut(in.PreviousOutPoint, prevouts[i])
	}
	return f
}

// checkSignature verifies r ‖ s, the first 64 bytes of sig, over digest under a compressed key. It refuses r and s outside 1 to n-1
// and s in the upper half (BIP-146), of which everybody could make another valid signature.
func checkSignature(public [33]byte, digest [32]byte, sig [65]byte) (*ecdsa.Signature, error) {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return nil, fmt.Errorf("public key: expected a compressed point of secp256k1: %w", err)
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(sig[:32]) || r.IsZero() {
		return nil, fmt.Errorf("signature.r: expected 1 to n-1, found %x", sig[:32])
	}
	if s.SetByteSlice(sig[32:64]) || s.IsZero() {
		return nil, fmt.Errorf("signature.s: expected 1 to n-1, found %x", sig[32:64])
	}
	if s.IsOverHalfOrder() {
		return nil, fmt.Errorf("signature.s: expected at most n/2, found %x", sig[32:64])
	}
	signature := ecdsa.NewSignature(&r, &s)
	if !signature.Verify(digest[:], key) {
		return nil, fmt.Errorf("signature: expected one over digest %x under key %x, found another", digest, public)
	}
	return signature, nil
}

// Finalise returns a copy of an unsigned transaction with a witness on each input: the signature in DER with SIGHASH_ALL, and the key.
// Signatures are r ‖ s ‖ recovery id; the last byte is not used. Each one is verified before it is placed, and the whole is verified
// as Verify does. The txid stays what it was.
func Finalise(tx *wire.MsgTx, prevouts []*wire.TxOut, sigs [][65]byte, publics [][33]byte) (*wire.MsgTx, error) {
	if err := checkUnsigned(tx); err != nil {
		return nil, fmt.Errorf("unsigned transaction: %w", err)
	}
	if len(sigs) != len(tx.TxIn) || len(publics) != len(tx.TxIn) {
		return nil, fmt.Errorf("signatures, keys: expected %d each, one for each input, found %d and %d", len(tx.TxIn), len(sigs), len(publics))
	}
	digests, err := Digests(tx, prevouts)
	if err != nil {
		return nil, err
	}
	signed := tx.Copy()
	for i := range signed.TxIn {
		if want := ScriptP2WPKH(publics[i]); !bytes.Equal(want, prevouts[i].PkScript) {
			return nil, fmt.Errorf("inputs[%d].key: expected the key of script %x, found that of %x", i, prevouts[i].PkScript, want)
		}
		sig, err := checkSignature(publics[i], digests[i], sigs[i])
		if err != nil {
			return nil, fmt.Errorf("inputs[%d].%w", i, err)
		}
		signed.TxIn[i].Witness = wire.TxWitness{append(sig.Serialize(), byte(txscript.SigHashAll)), bytes.Clone(publics[i][:])}
	}
	if signed.TxHash() != tx.TxHash() {
		return nil, fmt.Errorf("txid: expected %s, found %s", tx.TxHash(), signed.TxHash())
	}
	if err := Verify(signed, prevouts); err != nil {
		return nil, err
	}
	return signed, nil
}

// Verify accepts a completed transaction that, without its witness, Parse would accept, whose fee is not negative, and on whose every
// input the script engine succeeds under all standard rules, with a low-S signature over everything (SIGHASH_ALL).
func Verify(signed *wire.MsgTx, prevouts []*wire.TxOut) error {
	stripped := signed.Copy()
	for _, in := range stripped.TxIn {
		in.Witness = nil
	}
	if err := checkUnsigned(stripped); err != nil {
		return fmt.Errorf("signed transaction: %w", err)
	}
	digests, err := Digests(stripped, prevouts)
	if err != nil {
		return err
	}
	f := fetcher(signed, prevouts)
	hashes := txscript.NewTxSigHashes(signed, f)
	for i, in := range signed.TxIn {
		if err := checkWitness(in.Witness, digests[i], prevouts[i].PkScript); err != nil {
			return fmt.Errorf("inputs[%d].witness: %w", i, err)
		}
		engine, err := txscript.NewEngine(prevouts[i].PkScript, signed, i, txscript.StandardVerifyFlags, nil, hashes, prevouts[i].Value, f)
		if err != nil {
			return fmt.Errorf("inputs[%d]: script engine: %w", i, err)
		}
		if err := engine.Execute(); err != nil {
			return fmt.Errorf("inputs[%d]: script engine: %w", i, err)
		}
	}
	return nil
}

// checkWitness holds what the engine leaves open: the hash type, and, by an implementation of its own, that the signature verifies.
func checkWitness(w wire.TxWitness, digest [32]byte, script []byte) error {
	if len(w) != 2 || len(w[0]) < 2 || len(w[1]) != 33 {
		return fmt.Errorf("expected a signature and a compressed key, found %d items", len(w))
	}
	der, hashType := w[0][:len(w[0])-1], txscript.SigHashType(w[0][len(w[0])-1])
	if hashType != txscript.SigHashAll {
		return fmt.Errorf("hash type: expected %d (SIGHASH_ALL), found %d", txscript.SigHashAll, hashType)
	}
	if !bytes.Equal(btcutil.Hash160(w[1]), script[2:]) {
		return fmt.Errorf("key: expected the key of script %x, found %x", script, w[1])
	}
	sig, err := ecdsa.ParseDERSignature(der)
	if err != nil {
		return fmt.Errorf("signature: expected DER: %w", err)
	}
	var raw [65]byte
	r, s := sig.R(), sig.S()
	r.PutBytesUnchecked(raw[:32])
	s.PutBytesUnchecked(raw[32:64])
	_, err = checkSignature([33]byte(w[1]), digest, raw)
	return err
}

// VerifyRaw reads a completed transaction, verifies it as Verify does, and refuses it unless it is the unsigned transaction, byte for
// byte, with a witness added; so its txid is the one that was approved.
func VerifyRaw(signed, unsigned []byte, prevouts []*wire.TxOut) (*wire.MsgTx, error) {
	tx, err := decode(signed, MaxPrevious)
	if err != nil {
		return nil, fmt.Errorf("signed transaction: %w", err)
	}
	stripped, err := encodeNoWitness(tx)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(stripped, unsigned) {
		return nil, fmt.Errorf("signed transaction: expected the unsigned transaction with a witness, found another, txid %s", tx.TxHash())
	}
	return tx, Verify(tx, prevouts)
}
