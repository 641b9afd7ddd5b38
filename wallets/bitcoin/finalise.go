package bitcoin

import (
	"bytes"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
)

// SignedInput is what signers answered for one input.
type SignedInput struct {
	// Witness is the witness script of a P2WSH input, nil for P2WPKH.
	Witness []byte
	// Keys are the compressed keys that signed, in any order: one for P2WPKH, exactly as many as the witness script demands for P2WSH.
	Keys [][33]byte
	// Signatures are theirs, in the same order: r ‖ s, big-endian, s at most half the group order.
	Signatures [][64]byte
}

// Finalise returns a copy of an unsigned transaction with a witness on each input: for P2WPKH the signature in DER with SIGHASH_ALL and the key, for
// P2WSH BIP-141's stack for OP_CHECKMULTISIG, the signatures in the order of the script's keys. Each signature is verified before it is placed, and
// the whole is verified as Verify does. The txid stays what it was.
func Finalise(tx *wire.MsgTx, prevouts []*wire.TxOut, inputs []SignedInput) (*wire.MsgTx, error) {
	if err := checkUnsigned(tx); err != nil {
		return nil, fmt.Errorf("unsigned transaction: %w", err)
	}
	if len(inputs) != len(tx.TxIn) {
		return nil, fmt.Errorf("inputs: expected signatures for %d, found %d", len(tx.TxIn), len(inputs))
	}
	scripts := make([][]byte, len(inputs))
	for i, in := range inputs {
		scripts[i] = in.Witness
	}
	digests, err := Digests(tx, prevouts, scripts)
	if err != nil {
		return nil, err
	}
	signed := tx.Copy()
	for i := range signed.TxIn {
		if signed.TxIn[i].Witness, err = inputs[i].stack(prevouts[i].PkScript, digests[i]); err != nil {
			return nil, fmt.Errorf("inputs[%d].%w", i, err)
		}
	}
	if signed.TxHash() != tx.TxHash() {
		return nil, fmt.Errorf("txid: expected %s, found %s", tx.TxHash(), signed.TxHash())
	}
	if err := Verify(signed, prevouts); err != nil {
		return nil, err
	}
	return signed, nil
}

// stack returns the input's witness, every signature in it verified.
func (in SignedInput) stack(script []byte, digest [32]byte) (wire.TxWitness, error) {
	l, err := lockOf(script, in.Witness)
	if err != nil {
		return nil, err
	}
	if len(in.Keys) != l.needed || len(in.Signatures) != l.needed {
		return nil, fmt.Errorf("signatures, keys: expected %d each, found %d and %d", l.needed, len(in.Signatures), len(in.Keys))
	}
	if in.Witness == nil {
		if want := ScriptP2WPKH(in.Keys[0]); !bytes.Equal(want, script) {
			return nil, fmt.Errorf("key: expected the key of script %x, found that of %x", script, want)
		}
		sig, err := encodeSignature(in.Keys[0], digest, in.Signatures[0])
		if err != nil {
			return nil, err
		}
		return wire.TxWitness{sig, bytes.Clone(in.Keys[0][:])}, nil
	}
	placed := make([][]byte, len(l.keys))
	for i, key := range in.Keys {
		at := l.position(key)
		if at < 0 || placed[at] != nil {
			return nil, fmt.Errorf("keys[%d]: expected a key of the witness script, once, found %x", i, key)
		}
		if placed[at], err = encodeSignature(key, digest, in.Signatures[i]); err != nil {
			return nil, err
		}
	}
	w := wire.TxWitness{{}} // OP_CHECKMULTISIG takes one item too many, which BIP-147 wants empty
	for _, sig := range placed {
		if sig != nil {
			w = append(w, sig)
		}
	}
	return append(w, bytes.Clone(in.Witness)), nil
}

// encodeSignature verifies a signature and returns it in DER with its hash type.
func encodeSignature(public [33]byte, digest [32]byte, sig [64]byte) ([]byte, error) {
	checked, err := checkSignature(public, digest, sig)
	if err != nil {
		return nil, err
	}
	return append(checked.Serialize(), byte(txscript.SigHashAll)), nil
}

// Verify accepts a completed transaction that, without its witness, Parse would accept, whose fee is not negative, whose every input spends P2WPKH or a
// sortedmulti P2WSH script, and on whose every input the script engine succeeds under all standard rules, with as many low-S signatures over everything
// (SIGHASH_ALL) as are needed.
func Verify(signed *wire.MsgTx, prevouts []*wire.TxOut) error {
	stripped := signed.Copy()
	scripts := make([][]byte, len(signed.TxIn))
	for i, in := range stripped.TxIn {
		if i < len(prevouts) && len(in.Witness) > 0 && isP2WSH(prevouts[i].PkScript) {
			scripts[i] = in.Witness[len(in.Witness)-1]
		}
		in.Witness = nil
	}
	if err := checkUnsigned(stripped); err != nil {
		return fmt.Errorf("signed transaction: %w", err)
	}
	digests, err := Digests(stripped, prevouts, scripts)
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

// checkWitness holds what the engine leaves open: the form, the hash types, and, by an implementation of its own, that the signatures verify.
func checkWitness(w wire.TxWitness, digest [32]byte, script []byte) error {
	if isP2WSH(script) {
		return checkMultisigWitness(w, digest, script)
	}
	if len(w) != 2 || len(w[1]) != 33 {
		return fmt.Errorf("expected a signature and a compressed key, found %d items", len(w))
	}
	if want := ScriptP2WPKH([33]byte(w[1])); !bytes.Equal(want, script) {
		return fmt.Errorf("key: expected the key of script %x, found %x", script, w[1])
	}
	return checkItem([33]byte(w[1]), digest, w[0])
}

// checkMultisigWitness demands an empty item, exactly as many signatures as are needed, by keys of the script in their order, and the script.
func checkMultisigWitness(w wire.TxWitness, digest [32]byte, script []byte) error {
	if len(w) < 3 {
		return fmt.Errorf("expected an empty item, at least one signature and a script, found %d items", len(w))
	}
	l, err := lockOf(script, w[len(w)-1])
	if err != nil {
		return err
	}
	sigs := w[1 : len(w)-1]
	if len(w[0]) != 0 || len(sigs) != l.needed {
		return fmt.Errorf("expected an empty item and %d signatures, found %d bytes and %d", l.needed, len(w[0]), len(sigs))
	}
	keys := l.keys
	for i, sig := range sigs {
		for {
			if len(keys) == 0 {
				return fmt.Errorf("signatures[%d]: expected one by a key of the script, in the order of the keys: %w", i, err)
			}
			key := keys[0]
			keys = keys[1:]
			if err = checkItem(key, digest, sig); err == nil {
				break
			}
		}
	}
	return nil
}

// checkItem verifies a signature as it stands in a witness.
func checkItem(public [33]byte, digest [32]byte, item []byte) error {
	if len(item) < 2 {
		return fmt.Errorf("signature: expected DER and a hash type, found %d bytes", len(item))
	}
	der, hashType := item[:len(item)-1], txscript.SigHashType(item[len(item)-1])
	if hashType != txscript.SigHashAll {
		return fmt.Errorf("hash type: expected %d (SIGHASH_ALL), found %d", txscript.SigHashAll, hashType)
	}
	sig, err := ecdsa.ParseDERSignature(der)
	if err != nil {
		return fmt.Errorf("signature: expected DER: %w", err)
	}
	if again := sig.Serialize(); !bytes.Equal(again, der) { // which reads longer forms too, and writes the low s
		return fmt.Errorf("signature: expected the one encoding in DER with low s, %x, found %x", again, der)
	}
	var raw [64]byte
	r, s := sig.R(), sig.S()
	r.PutBytesUnchecked(raw[:32])
	s.PutBytesUnchecked(raw[32:])
	_, err = checkSignature(public, digest, raw)
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
