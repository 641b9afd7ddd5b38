package book_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"golang.org/x/crypto/sha3"
)

var (
	bitcoinChain = canon.Chain{ID: chartertest.Bitcoin, Kind: canon.Bitcoin, CoinType: 1, Depth: 3, HRP: "bcrt"}
	evmChain     = canon.Chain{ID: chartertest.EVM, Kind: canon.EVM, CoinType: 60, Depth: 5}
)

func holder() *btcec.PrivateKey {
	k, _ := btcec.PrivKeyFromBytes([]byte("a key of whoever owns an address"))
	return k
}

func keccak(b []byte) []byte {
	h := sha3.NewLegacyKeccak256()
	h.Write(b)
	return h.Sum(nil)
}

// onBitcoin is the holder's P2WPKH address, and its signature of a message as BIP-322 describes it.
func onBitcoin(t testing.TB) (canon.Ownership, func(message string) []byte) {
	t.Helper()
	script := bitcoin.ScriptP2WPKH([33]byte(holder().PubKey().SerializeCompressed()))
	sign := func(message string) []byte {
		hash := chainhash.TaggedHash([]byte("BIP0322-signed-message"), []byte(message))
		spend := wire.NewMsgTx(0)
		spend.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: append([]byte{0, 32}, hash[:]...)})
		spend.AddTxOut(wire.NewTxOut(0, script))
		tx := wire.NewMsgTx(0)
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: spend.TxHash()}})
		tx.AddTxOut(wire.NewTxOut(0, []byte{txscript.OP_RETURN}))
		hashes := txscript.NewTxSigHashes(tx, txscript.NewCannedPrevOutputFetcher(script, 0))
		w, err := txscript.WitnessSignature(tx, hashes, 0, 0, script, txscript.SigHashAll, holder(), true)
		if err != nil {
			t.Fatal(err)
		}
		b := []byte{2, byte(len(w[0]))}
		b = append(append(append(b, w[0]...), byte(len(w[1]))), w[1]...)
		return base64.StdEncoding.AppendEncode(nil, b)
	}
	return ownership(t, bitcoinChain, script), sign
}

// onEVM is the holder's account, and its signature of a message as EIP-191 describes it.
func onEVM(t testing.TB) (canon.Ownership, func(message string) []byte) {
	t.Helper()
	sign := func(message string) []byte {
		digest := keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d%s", len(message), message))
		compact := ecdsa.SignCompact(holder(), digest, false)
		return fmt.Appendf(nil, "0x%x%02x", compact[1:], compact[0])
	}
	return ownership(t, evmChain, keccak(holder().PubKey().SerializeUncompressed()[1:])[12:]), sign
}

func ownership(t testing.TB, chain canon.Chain, address []byte) canon.Ownership {
	t.Helper()
	text, err := wallets.AddressText(chain, address)
	if err != nil {
		t.Fatal(err)
	}
	return canon.Ownership{Organisation: canon.Digest{7}, Chain: chain.ID, Address: text, Client: "acme"}
}

func TestASignedMessageShowsOwnership(t *testing.T) {
	for chain, own := range map[*canon.Chain]func(testing.TB) (canon.Ownership, func(string) []byte){&bitcoinChain: onBitcoin, &evmChain: onEVM} {
		o, sign := own(t)
		signature := sign(o.Message())
		evidence, err := book.CheckOwnership(*chain, o, signature)
		if err != nil || evidence != sha256.Sum256(signature) {
			t.Fatalf("%s: expected SHA-256 of the signature, found %s, %v", chain.ID, evidence, err)
		}
		entry := canon.BookEntry{Chain: o.Chain, Address: []byte{1}, Client: o.Client, Account: canon.Any, Proof: book.ProofMessage, Evidence: evidence[:]}
		if _, err := canon.Encode(entry); err != nil {
			t.Errorf("%s: expected evidence that an entry takes, found %v", chain.ID, err)
		}
		for name, it := range map[string]struct {
			change func(*canon.Ownership)
			field  string
		}{
			"another organisation": {func(o *canon.Ownership) { o.Organisation[0] ^= 1 }, "signature"},
			"no organisation":      {func(o *canon.Ownership) { o.Organisation = canon.Digest{} }, "organisation"},
			"another client":       {func(o *canon.Ownership) { o.Client = "beta" }, "signature"},
			"no client":            {func(o *canon.Ownership) { o.Client = "" }, "client"},
			"any client":           {func(o *canon.Ownership) { o.Client = canon.Any }, "client"},
			"client of two lines":  {func(o *canon.Ownership) { o.Client = "a\nclient: b" }, "client"},
			"another chain":        {func(o *canon.Ownership) { o.Chain = "eip155:1" }, "chain"},
			"no address":           {func(o *canon.Ownership) { o.Address = "" }, "address"},
			"in another case":      {func(o *canon.Ownership) { o.Address = otherCase(o.Address) }, "address"},
		} {
			changed := o
			it.change(&changed)
			_, err := book.CheckOwnership(*chain, changed, signature)
			refused(t, err, "ownership", it.field)
			if t.Failed() {
				t.Fatalf("%s: %s", chain.ID, name)
			}
		}
	}
}

// otherCase writes an address in the other form that its chain reads.
func otherCase(address string) string {
	if digits, ok := strings.CutPrefix(address, "0x"); ok {
		return "0x" + strings.ToLower(digits)
	}
	return strings.ToUpper(address)
}

func TestAnAddressOfAnotherHolderIsRefused(t *testing.T) {
	_, sign := onBitcoin(t)
	other := ownership(t, bitcoinChain, append([]byte{0, 20}, make([]byte, 20)...))
	_, err := book.CheckOwnership(bitcoinChain, other, sign(other.Message()))
	refused(t, err, "ownership", "signature")
	_, sign = onEVM(t)
	other = ownership(t, evmChain, make([]byte, 20))
	_, err = book.CheckOwnership(evmChain, other, sign(other.Message()))
	refused(t, err, "ownership", "signature")
	unknown := evmChain
	unknown.Kind = 3
	o, sign := onEVM(t)
	_, err = book.CheckOwnership(unknown, o, sign(o.Message()))
	refused(t, err, "ownership", "address")
}

func TestASignatureOfAnEVMAccountHasOneText(t *testing.T) {
	o, sign := onEVM(t)
	good := sign(o.Message())
	raw, err := hex.DecodeString(string(good[2:]))
	if err != nil {
		t.Fatal(err)
	}
	for name, signature := range map[string][]byte{
		"nothing":         nil,
		"bytes":           raw,
		"without 0x":      good[2:],
		"upper case":      append([]byte("0x"), bytes.ToUpper(good[2:])...),
		"a line end":      append(bytes.Clone(good), '\n'),
		"a digit less":    good[:len(good)-1],
		"two digits more": append(bytes.Clone(good), "00"...),
		"no digits":       append([]byte("0x"), bytes.Repeat([]byte{'g'}, 130)...),
	} {
		if _, err := book.CheckOwnership(evmChain, o, signature); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}

// deposits returns one that CheckDeposit takes, for each chain.
func deposits(t testing.TB) map[*canon.Chain]book.Deposit {
	b, _ := onBitcoin(t)
	e, _ := onEVM(t)
	return map[*canon.Chain]book.Deposit{
		&bitcoinChain: {Ownership: b, Transaction: canon.Digest{1}, Number: 3, Asset: chartertest.BTC, Amount: canon.AmountOf(1234)},
		&evmChain:     {Ownership: e, Transaction: canon.Digest{2}, Number: 17, Asset: chartertest.USD, Amount: canon.AmountOf(1)},
	}
}

func TestADepositsEvidenceIsTheDigestOfItsText(t *testing.T) {
	for chain, d := range deposits(t) {
		evidence, err := book.CheckDeposit(*chain, d)
		if err != nil || evidence != sha256.Sum256([]byte(d.Text())) {
			t.Errorf("%s: expected SHA-256 of the text, found %s, %v", chain.ID, evidence, err)
		}
		if again, err := book.ParseDeposit([]byte(d.Text())); err != nil || again.Text() != d.Text() || again.Ownership != d.Ownership {
			t.Errorf("%s: expected the same deposit, found %v, %v", chain.ID, again, err)
		}
	}
	want := strings.Join([]string{
		"Strongroom micro-deposit", "organisation: 07" + strings.Repeat("0", 62), "chain: eip155:1337",
		"address: " + deposits(t)[&evmChain].Ownership.Address, "client: acme", "transaction: 02" + strings.Repeat("0", 62), "number: 17",
		"asset: eip155:1337/erc20:0x5fbdb2315678afecb367f032d93f642f64180aa3", "amount: 1", "",
	}, "\n")
	if got := deposits(t)[&evmChain].Text(); got != want {
		t.Errorf("expected %q, found %q", want, got)
	}
}

func TestDepositsThatShowNothingAreRefused(t *testing.T) {
	for name, it := range map[string]struct {
		change func(*book.Deposit)
		field  string
	}{
		"no transaction":         {func(d *book.Deposit) { d.Transaction = canon.Digest{} }, "transaction"},
		"asset of another chain": {func(d *book.Deposit) { d.Asset = "eip155:1/slip44:60" }, "asset"},
		"no asset":               {func(d *book.Deposit) { d.Asset = "" }, "asset"},
		"no amount":              {func(d *book.Deposit) { d.Amount = nil }, "amount"},
		"leading zeros":          {func(d *book.Deposit) { d.Amount = canon.Amount{0, 1} }, "amount"},
		"too much":               {func(d *book.Deposit) { d.Amount = make(canon.Amount, 33) }, "amount"},
		"no client":              {func(d *book.Deposit) { d.Ownership.Client = "" }, "client"},
		"another chain":          {func(d *book.Deposit) { d.Ownership.Chain = "eip155:1" }, "chain"},
		"no address":             {func(d *book.Deposit) { d.Ownership.Address = "0x" }, "address"},
	} {
		for chain, d := range deposits(t) {
			it.change(&d)
			_, err := book.CheckDeposit(*chain, d)
			refused(t, err, "ownership", it.field)
			if t.Failed() {
				t.Fatalf("%s: %s", chain.ID, name)
			}
		}
	}
	coin := deposits(t)[&evmChain]
	coin.Asset = chartertest.ETH
	_, err := book.CheckDeposit(evmChain, coin)
	refused(t, err, "ownership", "number")
	coin.Number = 0
	if _, err := book.CheckDeposit(evmChain, coin); err != nil {
		t.Errorf("the chain's own coin: expected no refusal, found %v", err)
	}
}

func TestADepositHasOneText(t *testing.T) {
	text := deposits(t)[&bitcoinChain].Text()
	for name, changed := range map[string]string{
		"nothing":            "",
		"no last line end":   strings.TrimSuffix(text, "\n"),
		"a line more":        text + "\n",
		"carriage returns":   strings.ReplaceAll(text, "\n", "\r\n"),
		"another title":      strings.Replace(text, "micro", "macro", 1),
		"order of fields":    strings.Replace(strings.Replace(text, "client: ", "chain: ", 1), "chain: ", "client: ", 1),
		"amount with a plus": strings.Replace(text, "amount: ", "amount: +", 1),
		"amount below zero":  strings.Replace(text, "amount: ", "amount: -", 1),
		"leading zero":       strings.Replace(text, "number: ", "number: 0", 1),
		"amount in words":    strings.Replace(text, "1234", "many", 1),
		"amount too large":   strings.Replace(text, "1234", strings.Repeat("9", 78), 1),
		"number too large":   strings.Replace(text, "number: 3", "number: 18446744073709551616", 1),
		"upper case":         strings.Replace(text, "organisation: 07", "organisation: 0A", 1),
		"short digest":       strings.Replace(text, "transaction: 01", "transaction: 0", 1),
		"short organisation": strings.Replace(text, "organisation: 07", "organisation: 0", 1),
		"too large":          strings.Replace(text, "acme", strings.Repeat("a", 2<<10), 1),
	} {
		_, err := book.ParseDeposit([]byte(changed))
		refused(t, err, "ownership", "deposit")
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
