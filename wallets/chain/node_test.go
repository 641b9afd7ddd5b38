//go:build chains

package chain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/txscript"
	"github.com/btcsuite/btcd/wire"

	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/wallets/chain"
)

// startBitcoin runs a real btcd for one test.
func startBitcoin(t *testing.T) *chains.Bitcoin {
	t.Helper()
	path, err := chains.FindBtcd(t.Context(), filepath.Join("..", "..", ".tools"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := chains.StartBitcoin(t.Context(), t.TempDir(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// purse is a key with its P2WPKH address.
type purse struct {
	key     *btcec.PrivateKey
	address string
	script  []byte
}

func newPurse(t *testing.T, b *chains.Bitcoin) purse {
	t.Helper()
	key, err := btcec.NewPrivateKey()
	if err != nil {
		t.Fatal(err)
	}
	address, err := btcutil.NewAddressWitnessPubKeyHash(btcutil.Hash160(key.PubKey().SerializeCompressed()), b.Params())
	if err != nil {
		t.Fatal(err)
	}
	script, err := txscript.PayToAddrScript(address)
	if err != nil {
		t.Fatal(err)
	}
	return purse{key, address.EncodeAddress(), script}
}

func (p purse) watched(script []byte) bool { return bytes.Equal(script, p.script) }

// spend signs a transaction that moves a credit to script, less the fee.
func (p purse) spend(t *testing.T, in chain.Credit, script []byte, fee int64) *wire.MsgTx {
	t.Helper()
	tx := wire.NewMsgTx(2)
	tx.AddTxIn(wire.NewTxIn(&in.OutPoint, nil, nil))
	tx.AddTxOut(wire.NewTxOut(in.Value-fee, script))
	hashes := txscript.NewTxSigHashes(tx, txscript.NewCannedPrevOutputFetcher(in.PkScript, in.Value))
	witness, err := txscript.WitnessSignature(tx, hashes, 0, in.Value, in.PkScript, txscript.SigHashAll, p.key, true)
	if err != nil {
		t.Fatal(err)
	}
	tx.TxIn[0].Witness = witness
	return tx
}

// book is a Sink that keeps one purse's coins, with what it takes to undo a block.
type book struct {
	purse purse
	coins map[wire.OutPoint]chain.Credit
	spent map[int64][]chain.Credit // by height
	log   []string
}

func newBook(p purse) *book {
	return &book{purse: p, coins: map[wire.OutPoint]chain.Credit{}, spent: map[int64][]chain.Credit{}}
}

func (k *book) Connect(_ context.Context, b chain.Block, block *wire.MsgBlock) error {
	k.log = append(k.log, "connect "+b.Hash.String())
	credits, debits := chain.Effects(block, b.Height, k.purse.watched)
	for _, c := range credits {
		k.coins[c.OutPoint] = c
	}
	for _, d := range debits {
		if c, ok := k.coins[d.OutPoint]; ok {
			k.spent[b.Height] = append(k.spent[b.Height], c)
			delete(k.coins, d.OutPoint)
		}
	}
	return nil
}

func (k *book) Disconnect(_ context.Context, b, _ chain.Block) error {
	k.log = append(k.log, "disconnect "+b.Hash.String())
	for _, c := range k.spent[b.Height] {
		k.coins[c.OutPoint] = c
	}
	delete(k.spent, b.Height)
	for op, c := range k.coins {
		if c.Height == b.Height {
			delete(k.coins, op)
		}
	}
	return nil
}

func (k *book) total() (sum int64) {
	for _, c := range k.coins {
		sum += c.Value
	}
	return sum
}

func (k *book) one(t *testing.T) chain.Credit {
	t.Helper()
	if len(k.coins) != 1 {
		t.Fatalf("%d coins; expected 1", len(k.coins))
	}
	for _, c := range k.coins {
		return c
	}
	return chain.Credit{}
}

func follow(t *testing.T, n *chain.BitcoinNode, from chain.Block, sink chain.Sink) chain.Block {
	t.Helper()
	cursor, err := chain.Follow(t.Context(), n, from, sink)
	if err != nil {
		t.Fatal(err)
	}
	return cursor
}

// mine makes n blocks and returns the first one's hash.
func mine(t *testing.T, b *chains.Bitcoin, n int) chainhash.Hash {
	t.Helper()
	hashes, err := b.Mine(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return hashes[0]
}

func fund(t *testing.T, b *chains.Bitcoin, p purse, satoshi int64) chainhash.Hash {
	t.Helper()
	txid, err := b.Fund(t.Context(), p.address, satoshi)
	if err != nil {
		t.Fatal(err)
	}
	return txid
}

// between puts a proxy before a node that answers some methods itself, as another kind of node would.
func between(t *testing.T, conf chain.BitcoinConfig, answers map[string]string) chain.BitcoinConfig {
	t.Helper()
	upstream := conf.URL
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var call struct{ Method string }
		if err := json.Unmarshal(body, &call); err != nil {
			t.Error(err)
		}
		if answer, ok := answers[call.Method]; ok {
			_, _ = io.WriteString(w, answer)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, upstream, bytes.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		req.Header = r.Header
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(s.Close)
	conf.URL = s.URL
	return conf
}

func dial(t *testing.T, conf chain.BitcoinConfig) *chain.BitcoinNode {
	t.Helper()
	n, err := chain.DialBitcoin(t.Context(), conf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}
