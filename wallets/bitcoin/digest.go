package bitcoin

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// Digests returns, for each input in order, what its keys sign: BIP-143 with SIGHASH_ALL. Witness holds, for each input, the witness script that a P2WSH
// prevout pays to, which must be one that SortedMulti makes, and nil for P2WPKH; a nil witness says that all are P2WPKH. Every other prevout is refused.
func Digests(tx *wire.MsgTx, prevouts []*wire.TxOut, witness [][]byte) ([][32]byte, error) {
	if _, err := Fee(tx, prevouts); err != nil {
		return nil, err
	}
	witness, err := witnessScripts(prevouts, witness)
	if err != nil {
		return nil, err
	}
	hashes := txscript.NewTxSigHashes(tx, fetcher(tx, prevouts))
	digests := make([][32]byte, len(prevouts))
	for i, out := range prevouts {
		code := out.PkScript // of which txscript makes BIP-143's script code of P2WPKH
		if witness[i] != nil {
			code = witness[i]
		}
		d, err := txscript.CalcWitnessSigHash(code, hashes, txscript.SigHashAll, tx, i, out.Value)
		if err != nil {
			return nil, fmt.Errorf("inputs[%d]: %w", i, err)
		}
		copy(digests[i][:], d)
	}
	return digests, nil
}

// witnessScripts returns a script or nil for each input, held against what the prevouts pay to.
func witnessScripts(prevouts []*wire.TxOut, witness [][]byte) ([][]byte, error) {
	if witness == nil {
		witness = make([][]byte, len(prevouts))
	}
	if len(witness) != len(prevouts) {
		return nil, fmt.Errorf("witness scripts: expected %d, one for each input, found %d", len(prevouts), len(witness))
	}
	for i, out := range prevouts {
		if _, err := lockOf(out.PkScript, witness[i]); err != nil {
			return nil, fmt.Errorf("inputs[%d].%w", i, err)
		}
	}
	return witness, nil
}

func fetcher(tx *wire.MsgTx, prevouts []*wire.TxOut) *txscript.MultiPrevOutFetcher {
	f := txscript.NewMultiPrevOutFetcher(nil)
	for i, in := range tx.TxIn {
		f.AddPrevOut(in.PreviousOutPoint, prevouts[i])
	}
	return f
}

// checkSignature verifies r ‖ s over digest under a compressed key. It refuses r and s outside 1 to n-1
// and s in the upper half (BIP-146), of which everybody could make another valid signature.
func checkSignature(public [33]byte, digest [32]byte, sig [64]byte) (*ecdsa.Signature, error) {
	key, err := btcec.ParsePubKey(public[:])
	if err != nil {
		return nil, fmt.Errorf("public key: expected a compressed point of secp256k1: %w", err)
	}
	var r, s btcec.ModNScalar
	if r.SetByteSlice(sig[:32]) || r.IsZero() {
		return nil, fmt.Errorf("signature.r: expected 1 to n-1, found %x", sig[:32])
	}
	if s.SetByteSlice(sig[32:]) || s.IsZero() {
		return nil, fmt.Errorf("signature.s: expected 1 to n-1, found %x", sig[32:])
	}
	if s.IsOverHalfOrder() {
		return nil, fmt.Errorf("signature.s: expected at most n/2, found %x", sig[32:])
	}
	signature := ecdsa.NewSignature(&r, &s)
	if !signature.Verify(digest[:], key) {
		return nil, fmt.Errorf("signature: expected one over digest %x under key %x, found another", digest, public)
	}
	return signature, nil
}
