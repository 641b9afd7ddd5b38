package bitcoin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"pgregory.net/rapid"
)

// bip322 holds the vectors of BIP-322.
type bip322 struct {
	Hashes []struct {
		Message, Address string
		MessageHash      string `json:"message_hash"`
		ToSpend          string `json:"to_spend_tx_hash"`
		ToSign           string `json:"to_sign_tx_hash"`
	} `json:"tx_hashes"`
	Simple []struct {
		Message, Address, Type string
		Signatures             []string `json:"bip322_signatures"`
	}
	Error []struct{ Description, Message, Address, Signature string }
}

func vectors(t testing.TB) bip322 {
	t.Helper()
	file, err := os.ReadFile("testdata/bip322.json")
	if err != nil {
		t.Fatal(err)
	}
	var v bip322
	if err := json.Unmarshal(file, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// scriptOf returns the scriptPubKey of an address of the main network.
func scriptOf(t testing.TB, address string) []byte {
	t.Helper()
	script, err := wallets.ParseAddress(canon.Chain{ID: "bip122:000000000019d6689c085ae165831e93", Kind: canon.Bitcoin, HRP: "bc"}, address)
	if err != nil {
		t.Fatal(err)
	}
	return script
}

func TestVirtualTransactionsOfBIP322(t *testing.T) {
	v := vectors(t)
	if len(v.Hashes) != 3 {
		t.Fatalf("expected 3 vectors, found %d", len(v.Hashes))
	}
	for _, want := range v.Hashes {
		hash := messageHash(want.Message)
		if !bytes.Equal(hash[:], unhex(t, want.MessageHash)) {
			t.Errorf("%q: message hash: expected %s, found %x", want.Message, want.MessageHash, hash[:])
		}
		spend := toSpend(scriptOf(t, want.Address), want.Message)
		if got := spend.TxHash().String(); got != want.ToSpend {
			t.Errorf("%q: to_spend: expected %s, found %s", want.Message, want.ToSpend, got)
		}
		if got := toSign(spend).TxHash().String(); got != want.ToSign {
			t.Errorf("%q: to_sign: expected %s, found %s", want.Message, want.ToSign, got)
		}
	}
}

func TestSignaturesOfBIP322(t *testing.T) {
	v := vectors(t)
	count := 0
	for _, want := range v.Simple {
		for _, sig := range want.Signatures {
			count++
			if err := VerifyMessage(scriptOf(t, want.Address), want.Message, []byte(sig)); err != nil {
				t.Errorf("%s, %q: expected a signature that verifies, found %v", want.Type, want.Message, err)
			}
			if err := VerifyMessage(scriptOf(t, want.Address), want.Message+" ", []byte(sig)); err == nil {
				t.Errorf("%s, %q: another message: expected an error, found none", want.Type, want.Message)
			}
		}
	}
	if count != 10 || len(v.Error) != 11 {
		t.Errorf("expected 10 signatures and 11 errors, found %d and %d", count, len(v.Error))
	}
	for _, bad := range v.Error {
		if err := VerifyMessage(scriptOf(t, bad.Address), bad.Message, []byte(bad.Signature)); err == nil {
			t.Errorf("%s: expected an error, found none", bad.Description)
		}
	}
}

// The signature of the README of bitcoinjs-message, by WIF key L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1.
func TestSignatureOfBitcoinCoresFormat(t *testing.T) {
	const (
		message   = "This is an example of a signed message."
		signature = "H9L5yLFjti0QTHhPyFrZCT1V/MMnBtXKmoiKDZ78NDBjERki6ZTQZdSMCtkgoNmp17By9ItJr8o7ChX0XxY91nk="
	)
	script := scriptOf(t, "1F3sAm6ZtwLAUnj7d38pGFxtP3RVEvtsbV")
	if err := VerifyMessage(script, message, []byte(signature)); err != nil {
		t.Errorf("expected a signature that verifies, found %v", err)
	}
	if err := VerifyMessage(script, message+".", []byte(signature)); err == nil {
		t.Error("another message: expected an error, found none")
	}
	if err := VerifyMessage(script, message, []byte("smp"+signature)); err == nil {
		t.Error("prefix of another format: expected an error, found none")
	}
	if err := VerifyMessage(scriptOf(t, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"), message, []byte(signature)); err == nil {
		t.Error("another address: expected an error, found none")
	}
}

// signing is a script with a way to sign for it.
type signing struct {
	script []byte
	sign   func(message string) []byte
}

func base64Of(w ...[]byte) []byte {
	var b bytes.Buffer
	_ = wire.WriteVarInt(&b, 0, uint64(len(w))) // into memory
	for _, item := range w {
		_ = wire.WriteVarBytes(&b, 0, item)
	}
	return base64.StdEncoding.AppendEncode(nil, b.Bytes())
}

// witnessFor makes a witness with the two virtual transactions of a message.
func witnessFor(t testing.TB, script []byte, message string, make func(tx *wire.MsgTx, hashes *txscript.TxSigHashes) ([][]byte, error)) []byte {
	t.Helper()
	spend := toSpend(script, message)
	tx := toSign(spend)
	w, err := make(tx, txscript.NewTxSigHashes(tx, fetcher(tx, spend.TxOut)))
	if err != nil {
		t.Fatal(err)
	}
	return base64Of(w...)
}

func witnessKeyHash(t testing.TB, n uint32, hashType txscript.SigHashType) signing {
	script := ScriptP2WPKH(publicOf(n))
	return signing{script, func(message string) []byte {
		return witnessFor(t, script, message, func(tx *wire.MsgTx, hashes *txscript.TxSigHashes) ([][]byte, error) {
			return txscript.WitnessSignature(tx, hashes, 0, 0, script, hashType, keyOf(n), true)
		})
	}}
}

func taproot(t testing.TB, n uint32, hashType txscript.SigHashType) signing {
	output := txscript.ComputeTaprootOutputKey(keyOf(n).PubKey(), nil)
	script := append([]byte{txscript.OP_1, txscript.OP_DATA_32}, schnorr.SerializePubKey(output)...)
	return signing{script, func(message string) []byte {
		return witnessFor(t, script, message, func(tx *wire.MsgTx, hashes *txscript.TxSigHashes) ([][]byte, error) {
			sig, err := txscript.RawTxInTaprootSignature(tx, hashes, 0, 0, script, nil, hashType, keyOf(n))
			return [][]byte{sig}, err
		})
	}}
}

// multisig signs with the first m of n keys.
func multisig(t testing.TB, m, n int, hashType txscript.SigHashType) signing {
	builder := txscript.NewScriptBuilder().AddInt64(int64(m))
	for i := range n {
		key := publicOf(uint32(i))
		builder.AddData(key[:])
	}
	inner, err := builder.AddInt64(int64(n)).AddOp(txscript.OP_CHECKMULTISIG).Script()
	if err != nil {
		t.Fatal(err)
	}
	hash := chainhash.HashB(inner)
	script := append([]byte{txscript.OP_0, txscript.OP_DATA_32}, hash...)
	return signing{script, func(message string) []byte {
		return witnessFor(t, script, message, func(tx *wire.MsgTx, hashes *txscript.TxSigHashes) ([][]byte, error) {
			w := [][]byte{nil}
			for i := range m {
				sig, err := txscript.RawTxInWitnessSignature(tx, hashes, 0, 0, inner, hashType, keyOf(uint32(i)))
				if err != nil {
					return nil, err
				}
				w = append(w, sig)
			}
			return append(w, inner), nil
		})
	}}
}

func legacy(n uint32, compressed bool) signing {
	public := keyOf(n).PubKey().SerializeUncompressed()
	if compressed {
		public = keyOf(n).PubKey().SerializeCompressed()
	}
	script := slices.Concat([]byte{txscript.OP_DUP, txscript.OP_HASH160, 20}, btcutil.Hash160(public), []byte{txscript.OP_EQUALVERIFY, txscript.OP_CHECKSIG})
	return signing{script, func(message string) []byte {
		var b bytes.Buffer
		_ = wire.WriteVarString(&b, 0, "Bitcoin Signed Message:\n")
		_ = wire.WriteVarString(&b, 0, message)
		return base64.StdEncoding.AppendEncode(nil, ecdsa.SignCompact(keyOf(n), chainhash.DoubleHashB(b.Bytes()), compressed))
	}}
}

func TestEachKindOfScriptSignsForItselfOnly(t *testing.T) {
	all := map[string]signing{
		"P2WPKH": witnessKeyHash(t, 1, txscript.SigHashAll), "P2WPKH of another key": witnessKeyHash(t, 2, txscript.SigHashAll),
		"P2TR": taproot(t, 1, txscript.SigHashDefault), "P2TR with a hash type": taproot(t, 2, txscript.SigHashAll),
		"P2WSH 2 of 3": multisig(t, 2, 3, txscript.SigHashAll), "P2WSH 1 of 1": multisig(t, 1, 1, txscript.SigHashAll),
		"P2WSH 15 of 15": multisig(t, 15, 15, txscript.SigHashAll),
		"P2PKH":          legacy(1, true), "P2PKH of an uncompressed key": legacy(1, false),
	}
	for name, own := range all {
		sig := own.sign("a message")
		for other, it := range all {
			if err := VerifyMessage(it.script, "a message", sig); (err == nil) != (name == other) {
				t.Errorf("signature for %s, script of %s: expected it to verify %v, found %v", name, other, name == other, err)
			}
		}
		for _, message := range []string{"", "a message\n", "A message"} {
			if err := VerifyMessage(own.script, message, sig); err == nil {
				t.Errorf("%s: %q: expected an error, found none", name, message)
			}
		}
	}
}

func TestSignaturesThatCoverLessThanEverythingAreRefused(t *testing.T) {
	for _, hashType := range []txscript.SigHashType{txscript.SigHashNone, txscript.SigHashSingle, txscript.SigHashAll | txscript.SigHashAnyOneCanPay} {
		for _, it := range []signing{witnessKeyHash(t, 1, hashType), taproot(t, 1, hashType), multisig(t, 2, 3, hashType)} {
			if err := VerifyMessage(it.script, "m", it.sign("m")); err == nil || !strings.Contains(err.Error(), "SIGHASH_ALL") {
				t.Errorf("hash type %d, script %x: expected a refusal of the hash type, found %v", hashType, it.script, err)
			}
		}
	}
}

// A script that anybody can satisfy shows nothing about its holder; nor does one whose meaning is not looked into.
func TestScriptsThatAreNoMultisigAreRefused(t *testing.T) {
	public := publicOf(1)
	for name, inner := range map[string][]byte{
		"anybody":        {txscript.OP_TRUE},
		"0 of 1":         slices.Concat([]byte{txscript.OP_0, 33}, public[:], []byte{txscript.OP_1, txscript.OP_CHECKMULTISIG}),
		"code separator": slices.Concat([]byte{txscript.OP_CODESEPARATOR, txscript.OP_1, 33}, public[:], []byte{txscript.OP_1, txscript.OP_CHECKMULTISIG}),
	} {
		script := append([]byte{txscript.OP_0, txscript.OP_DATA_32}, chainhash.HashB(inner)...)
		for _, sig := range [][]byte{base64Of(inner), base64Of(nil, inner), base64Of(nil, []byte{1}, inner)} {
			if err := VerifyMessage(script, "m", sig); err == nil {
				t.Errorf("%s: expected an error, found none", name)
			}
		}
	}
	path := taproot(t, 1, txscript.SigHashDefault)
	if err := VerifyMessage(path.script, "m", base64Of(nil, []byte{txscript.OP_TRUE}, make([]byte, 33))); err == nil {
		t.Error("script of a taproot tree: expected an error, found none")
	}
	if err := VerifyMessage(slices.Concat([]byte{txscript.OP_HASH160, 20}, make([]byte, 20), []byte{txscript.OP_EQUAL}), "m", base64Of(nil)); err == nil {
		t.Error("P2SH: expected an error, found none")
	}
}

func TestMessageSignaturesHaveOneForm(t *testing.T) {
	wpkh, old := witnessKeyHash(t, 1, txscript.SigHashAll), legacy(1, true)
	sig := wpkh.sign("m")
	raw, err := base64.StdEncoding.DecodeString(string(sig))
	if err != nil {
		t.Fatal(err)
	}
	encode := func(b []byte) []byte { return base64.StdEncoding.AppendEncode(nil, b) }
	w, err := decodeWitness(raw)
	if err != nil {
		t.Fatal(err)
	}
	high := compactHighS(t, old.sign("m"))
	for name, it := range map[string]struct {
		script, signature []byte
	}{
		"nothing":                {wpkh.script, nil},
		"white space behind":     {wpkh.script, append(slices.Clone(sig), '\n')},
		"white space within":     {wpkh.script, slices.Insert(slices.Clone(sig), 8, '\n')},
		"no padding":             {old.script, bytes.TrimRight(old.sign("m"), "=")},
		"two prefixes":           {wpkh.script, append([]byte("smpsmp"), sig...)},
		"a byte behind":          {wpkh.script, encode(append(slices.Clone(raw), 0))},
		"a byte short":           {wpkh.script, encode(raw[:len(raw)-1])},
		"an item more":           {wpkh.script, base64Of(append(slices.Clone(w), nil)...)},
		"a count in three bytes": {wpkh.script, encode(slices.Concat([]byte{0xfd, 2, 0}, raw[1:]))},
		"items without end":      {wpkh.script, encode([]byte{0xff, 255, 255, 255, 255, 255, 255, 255, 255})},
		"more items than bytes":  {wpkh.script, encode([]byte{0xff, 255, 255, 255, 255, 255, 0, 0, 0})},
		"an item without end":    {wpkh.script, encode([]byte{1, 0xfe, 255, 255, 255, 255})},
		"bits behind the last":   {old.script, trailingBits(old.sign("m"))},
		"legacy for P2WPKH":      {wpkh.script, old.sign("m")},
		"high s":                 {old.script, high},
		"header of BIP-137":      {old.script, encode(slices.Concat([]byte{39}, make([]byte, 64)))},
		"r and s of zero":        {old.script, encode(slices.Concat([]byte{31}, make([]byte, 64)))},
		"no script":              {nil, sig},
	} {
		t.Run(name, func(t *testing.T) {
			if err := VerifyMessage(it.script, "m", it.signature); err == nil {
				t.Error("expected an error, found none")
			}
		})
	}
	if err := VerifyMessage(wpkh.script, strings.Repeat("m", MaxMessage+1), sig); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("long message: expected a refusal of its size, found %v", err)
	}
	if err := VerifyMessage(wpkh.script, "m", make([]byte, MaxMessageSignature+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("long signature: expected a refusal of its size, found %v", err)
	}
	if err := VerifyMessage(wpkh.script, "m", append([]byte("smp"), sig...)); err != nil {
		t.Errorf("prefix: expected a signature that verifies, found %v", err)
	}
}

// trailingBits sets bits of base64 that stand for nothing: 65 bytes leave two.
func trailingBits(signature []byte) []byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	last := len(signature) - 2 // before the padding
	signature[last] = alphabet[strings.IndexByte(alphabet, signature[last])|1]
	return signature
}

// compactHighS turns a compact signature into the other that its key makes valid.
func compactHighS(t testing.TB, signature []byte) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(string(signature))
	if err != nil {
		t.Fatal(err)
	}
	var s btcec.ModNScalar
	s.SetByteSlice(b[33:])
	s.Negate()
	s.PutBytesUnchecked(b[33:])
	b[0] = 27 + ((b[0] - 27) ^ 1)
	if _, _, err := ecdsa.RecoverCompact(b, make([]byte, 32)); err != nil {
		t.Fatalf("expected a signature from which a key can be recovered, found %v", err)
	}
	return base64.StdEncoding.AppendEncode(nil, b)
}

func TestEveryChangeOfAMessageSignatureIsRefused(t *testing.T) {
	all := []signing{witnessKeyHash(t, 1, txscript.SigHashAll), taproot(t, 1, txscript.SigHashDefault), multisig(t, 2, 3, txscript.SigHashAll), legacy(1, true)}
	rapid.Check(t, func(r *rapid.T) {
		it := rapid.SampledFrom(all).Draw(r, "script")
		message := rapid.String().Draw(r, "message")
		raw, err := base64.StdEncoding.DecodeString(string(it.sign(message)))
		if err != nil {
			r.Fatal(err)
		}
		if err := VerifyMessage(it.script, message, base64.StdEncoding.AppendEncode(nil, raw)); err != nil {
			r.Fatalf("expected a signature that verifies, found %v", err)
		}
		raw[rapid.IntRange(0, len(raw)-1).Draw(r, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(r, "bit")
		if err := VerifyMessage(it.script, message, base64.StdEncoding.AppendEncode(nil, raw)); err == nil {
			r.Fatalf("expected an error for %x, found none", raw)
		}
	})
}

// FuzzVerifyMessage changes genuine signatures: nothing else ever verifies, but for other signatures by the same key, which nobody can make here.
func FuzzVerifyMessage(f *testing.F) {
	all := []signing{
		witnessKeyHash(f, 1, txscript.SigHashAll), taproot(f, 1, txscript.SigHashDefault), multisig(f, 2, 3, txscript.SigHashAll), legacy(1, true),
	}
	var good [][]byte
	for i, it := range all {
		good = append(good, it.sign("a message"))
		f.Add(uint8(i), good[i])
		f.Add(uint8(i), good[i][:len(good[i])-4])
	}
	for _, v := range vectors(f).Simple {
		f.Add(uint8(0), []byte(v.Signatures[0]))
	}
	f.Add(uint8(3), make([]byte, MaxMessageSignature+1))
	f.Fuzz(func(t *testing.T, which uint8, signature []byte) {
		i := int(which) % len(all)
		err := VerifyMessage(all[i].script, "a message", signature)
		same := bytes.Equal(signature, good[i]) || i < 3 && bytes.Equal(signature, append([]byte("smp"), good[i]...))
		if (err == nil) != same {
			t.Errorf("script %d: expected the genuine signature alone to verify, found %v for %q", i, err, signature)
		}
	})
}
