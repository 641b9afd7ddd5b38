package bitcoin

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/wallets"
)

// Bounds of signed messages, in bytes. The widest multisig script with its signatures needs less than half of MaxMessageSignature.
const (
	MaxMessage          = 4 << 10
	MaxMessageSignature = 8 << 10 // in base64
)

// VerifyMessage verifies that whoever holds the keys of a scriptPubKey signed the message. The signature is in base64, as wallets show it:
// for P2WPKH, for P2TR by its key and for P2WSH with a multisig script in BIP-322's simple format, with or without its prefix "smp"; for
// P2PKH in the format of Bitcoin Core's signmessage, which BIP-322 calls legacy and leaves to P2PKH alone.
//
// What cannot be shown to be a signature by the holder is refused: other scripts, whatever they need to be satisfied, signatures that
// do not cover everything (SIGHASH_ALL, and BIP-341's default, which is the same), high s, and needless bytes. BIP-322's full format, which
// time locks need, is refused too.
func VerifyMessage(script []byte, message string, signature []byte) error {
	if err := verifyMessage(script, message, signature); err != nil {
		return fmt.Errorf("message signature: %w", err)
	}
	return nil
}

func verifyMessage(script []byte, message string, signature []byte) error {
	if len(message) > MaxMessage || len(signature) > MaxMessageSignature {
		return fmt.Errorf("size: expected at most %d bytes of message and %d of signature, found %d and %d",
			MaxMessage, MaxMessageSignature, len(message), len(signature))
	}
	t, _, err := wallets.ClassifyScript(script)
	if err != nil {
		return err
	}
	text := signature
	if t != wallets.P2PKH {
		text = bytes.TrimPrefix(signature, []byte("smp"))
	}
	raw, err := base64.StdEncoding.Strict().AppendDecode(nil, text)
	if err != nil || bytes.ContainsAny(text, "\r\n") {
		return errors.New("expected base64, found other characters or another length")
	}
	switch t {
	case wallets.P2PKH:
		return verifyLegacy(script, message, raw)
	case wallets.P2WPKH, wallets.P2WSH, wallets.P2TR:
		witness, err := decodeWitness(raw)
		if err != nil {
			return err
		}
		return verifySimple(t, script, message, witness)
	default:
		return fmt.Errorf("expected a P2WPKH, P2WSH, P2TR or P2PKH script, found %s", t)
	}
}

// decodeWitness reads a witness stack in its consensus encoding (BIP-144) with nothing behind it.
func decodeWitness(raw []byte) (wire.TxWitness, error) {
	r := bytes.NewReader(raw)
	count, err := wire.ReadVarInt(r, 0)
	if err != nil || count > uint64(r.Len()) {
		return nil, fmt.Errorf("expected the encoding of a witness stack, found %d bytes", len(raw))
	}
	witness := make(wire.TxWitness, count)
	for i := range witness {
		if witness[i], err = wire.ReadVarBytes(r, 0, uint32(len(raw)), "witness item"); err != nil {
			return nil, fmt.Errorf("witness item %d of %d: %w", i, count, err)
		}
	}
	if r.Len() > 0 {
		return nil, fmt.Errorf("expected nothing behind the witness stack, found %d bytes", r.Len())
	}
	return witness, nil
}

// messageHash is BIP-322's tagged hash (BIP-340) of a message.
func messageHash(message string) chainhash.Hash {
	return *chainhash.TaggedHash([]byte("BIP0322-signed-message"), []byte(message))
}

// toSpend is BIP-322's virtual transaction that pays nothing to the script and commits to the message.
func toSpend(script []byte, message string) *wire.MsgTx {
	hash := messageHash(message)
	commitment := append([]byte{txscript.OP_0, txscript.OP_DATA_32}, hash[:]...)
	tx := wire.NewMsgTx(0)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: wire.MaxPrevOutIndex}, SignatureScript: commitment})
	tx.AddTxOut(wire.NewTxOut(0, script))
	return tx
}

// toSign is BIP-322's virtual transaction that spends the output of the other. Its witness is the signature.
func toSign(spend *wire.MsgTx) *wire.MsgTx {
	tx := wire.NewMsgTx(0)
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: spend.TxHash()}})
	tx.AddTxOut(wire.NewTxOut(0, []byte{txscript.OP_RETURN}))
	return tx
}

// verifySimple holds what the script engine leaves open against the witness, and then has the engine execute it.
func verifySimple(t wallets.ScriptType, script []byte, message string, witness wire.TxWitness) error {
	spend := toSpend(script, message)
	tx := toSign(spend)
	f := fetcher(tx, spend.TxOut)
	hashes := txscript.NewTxSigHashes(tx, f)
	var err error
	switch t {
	case wallets.P2WPKH:
		var digest []byte
		if digest, err = txscript.CalcWitnessSigHash(script, hashes, txscript.SigHashAll, tx, 0, 0); err == nil {
			err = checkWitness(witness, [32]byte(digest), script)
		}
	case wallets.P2TR:
		err = checkKeyPath(witness)
	default:
		err = checkMultisig(witness)
	}
	if err != nil {
		return fmt.Errorf("witness: %w", err)
	}
	tx.TxIn[0].Witness = witness
	engine, err := txscript.NewEngine(script, tx, 0, txscript.StandardVerifyFlags, nil, hashes, 0, f)
	if err != nil {
		return fmt.Errorf("script engine: %w", err)
	}
	if err := engine.Execute(); err != nil {
		return fmt.Errorf("script engine: expected a signature over this message by the keys of script %x: %w", script, err)
	}
	return nil
}

// checkKeyPath demands a signature alone (BIP-341): a script of the tree would be more, and an annex too.
func checkKeyPath(w wire.TxWitness) error {
	if len(w) != 1 {
		return fmt.Errorf("expected one signature, by the key, found %d items", len(w))
	}
	switch sig := w[0]; {
	case len(sig) == 64, len(sig) == 65 && sig[64] == byte(txscript.SigHashAll):
		return nil
	default:
		return fmt.Errorf("signature: expected 64 bytes, or 65 with hash type %d (SIGHASH_ALL), found %x", txscript.SigHashAll, sig)
	}
}

// checkMultisig demands a script that needs signatures by m of n keys and nothing else, and m signatures in their order: what other scripts
// are satisfied by need not be by the holder.
func checkMultisig(w wire.TxWitness) error {
	if len(w) < 3 {
		return fmt.Errorf("expected an empty item, at least one signature and a script, found %d items", len(w))
	}
	script, sigs := w[len(w)-1], w[1:len(w)-1]
	_, needed, err := txscript.CalcMultiSigStats(script)
	if err != nil {
		return fmt.Errorf("script: expected m-of-n OP_CHECKMULTISIG: %w", err)
	}
	if len(sigs) != needed || len(w[0]) != 0 {
		return fmt.Errorf("expected an empty item and %d signatures, found %d bytes and %d", needed, len(w[0]), len(sigs))
	}
	if i := slices.IndexFunc(sigs, func(sig []byte) bool { return len(sig) == 0 || sig[len(sig)-1] != byte(txscript.SigHashAll) }); i >= 0 {
		return fmt.Errorf("signature %d: expected hash type %d (SIGHASH_ALL), found another", i, txscript.SigHashAll)
	}
	return nil
}

// legacyMagic opens what signmessage hashes, twice by SHA-256.
const legacyMagic = "Bitcoin Signed Message:\n"

// verifyLegacy recovers the key from the 65 bytes that signmessage makes: 27, the recovery id and, for a compressed key, 4, added up; r; s.
func verifyLegacy(script []byte, message string, sig []byte) error {
	if len(sig) != 65 {
		return fmt.Errorf("expected 65 bytes, found %d", len(sig))
	}
	var s btcec.ModNScalar
	if s.SetByteSlice(sig[33:]) || s.IsOverHalfOrder() {
		return fmt.Errorf("s: expected at most n/2, found %x", sig[33:])
	}
	var b bytes.Buffer
	for _, part := range []string{legacyMagic, message} {
		if err := wire.WriteVarString(&b, 0, part); err != nil {
			return err
		}
	}
	key, compressed, err := ecdsa.RecoverCompact(sig, chainhash.DoubleHashB(b.Bytes()))
	if err != nil {
		return fmt.Errorf("expected one from which a key can be recovered: %w", err)
	}
	public := key.SerializeUncompressed()
	if compressed {
		public = key.SerializeCompressed()
	}
	_, want, err := wallets.ClassifyScript(script)
	if err != nil {
		return err
	}
	if found := btcutil.Hash160(public); !bytes.Equal(found, want) {
		return fmt.Errorf("expected one by the key with hash %x over this message, found one by the key with hash %x or over another", want, found)
	}
	return nil
}
