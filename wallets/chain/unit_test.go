package chain

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
)

func TestParseEndpointRefusals(t *testing.T) {
	for raw, want := range map[string]string{
		"http://user:pass@127.0.0.1:1":        "holds credentials",
		"http://node.example:8332":            "plain http to node.example",
		"http://10.0.0.1:8332":                "plain http to 10.0.0.1",
		"ftp://127.0.0.1":                     `scheme "ftp"`,
		"127.0.0.1:8332":                      "not a URL",
		"https://":                            "no host",
		"https://node.example\x00/secret-key": "not a URL",
	} {
		_, err := parseEndpoint(raw, false)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; expected %q", raw, err, want)
		}
		if err != nil && (strings.Contains(err.Error(), "pass") || strings.Contains(err.Error(), "secret")) {
			t.Errorf("%q: error shows a secret: %v", raw, err)
		}
	}
	for _, raw := range []string{"http://127.0.0.1:8332", "http://[::1]:8332", "http://localhost:1", "https://node.example/key"} {
		if _, err := parseEndpoint(raw, false); err != nil {
			t.Errorf("%q refused: %v", raw, err)
		}
	}
	if _, err := parseEndpoint("http://10.0.0.1:8332", true); err != nil {
		t.Errorf("plain http that was allowed is refused: %v", err)
	}
}

func TestPasswordFileMustBePrivateAndShort(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		content string
		mode    os.FileMode
		want    string
	}{
		"readable by the group": {"secret", 0o640, "mode 0640"},
		"endless":               {strings.Repeat("x", maxPassword+1), 0o600, "longer than"},
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.content), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := readPassword(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; expected %q", name, err, c.want)
		}
	}
	path := filepath.Join(dir, "good")
	if err := os.WriteFile(path, []byte("secret\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := readPassword(path); err != nil || string(got) != "secret" {
		t.Errorf("%q, %v; expected the password without its line ending", got, err)
	}
}

// answering makes a client of a server that answers every call with handler.
func answering(t *testing.T, timeout time.Duration, handler http.HandlerFunc) *jsonRPC {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	client, err := httpClient("")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.CloseIdleConnections)
	return &jsonRPC{url: s.URL, user: "u", password: []byte("p"), timeout: timeout, http: client}
}

func TestAnswersAreBounded(t *testing.T) {
	c := answering(t, time.Minute, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(strings.Repeat(" ", 1<<20))
		for range maxResponse>>20 + 1 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if err := c.call(t.Context(), nil, "getblock"); !errors.Is(err, ErrResponseTooLarge) {
		t.Errorf("error %v; expected ErrResponseTooLarge", err)
	}
}

func TestBoundedBodyAllowsExactlyTheLimit(t *testing.T) {
	for length, want := range map[int]error{9: nil, 10: nil, 11: ErrResponseTooLarge} {
		b := &boundedBody{ReadCloser: io.NopCloser(strings.NewReader(strings.Repeat("x", length))), left: 10}
		if _, err := io.ReadAll(b); !errors.Is(err, want) {
			t.Errorf("%d of 10 bytes: %v; expected %v", length, err, want)
		}
	}
}

func TestCallsAreLimitedInTimeAndFollowNoRedirect(t *testing.T) {
	release := make(chan struct{})
	slow := answering(t, time.Millisecond, func(http.ResponseWriter, *http.Request) { <-release })
	if err := slow.call(t.Context(), nil, "getblockhash"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v; expected a deadline", err)
	}
	close(release)
	elsewhere := answering(t, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			t.Error("a redirect was followed")
		}
		http.Redirect(w, r, "/other", http.StatusTemporaryRedirect)
	})
	if err := elsewhere.call(t.Context(), nil, "getblockhash"); err == nil {
		t.Error("a redirect was taken for an answer")
	}
}

func TestDecodeReply(t *testing.T) {
	var rpcErr *RPCError
	if err := decodeReply("m", 500, []byte(`{"result":null,"error":{"code":-26,"message":"bad\u001b[31m\ntxn"}}`), nil); !errors.As(err, &rpcErr) ||
		rpcErr.Code != -26 || rpcErr.Message != "bad [31m txn" {
		t.Errorf("%v; expected code -26 with the control characters gone", err)
	}
	for body, want := range map[string]string{
		`{"result":null,"error":null}`: "no result",
		`{}`:                           "no result",
		`{"result":"x","error":null}`:  "another type",
		`<html>busy</html>`:            "not JSON-RPC",
	} {
		var n int
		if err := decodeReply("m", 200, []byte(body), &n); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; expected %q", body, err, want)
		}
	}
	if err := decodeReply("m", 503, []byte(`{"result":1}`), new(int)); err == nil {
		t.Error("HTTP status 503 was taken for an answer")
	}
}

func FuzzDecodeReply(f *testing.F) {
	f.Add(200, []byte(`{"result":{"blocks":1,"bestblockhash":"00"},"error":null,"id":1}`))
	f.Add(500, []byte(`{"result":null,"error":{"code":-5,"message":"Block not found"},"id":1}`))
	f.Add(401, []byte(``))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		var out struct {
			FeeRate json.Number `json:"feerate"`
		}
		err := decodeReply("m", status, body, &out)
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
		if err == nil {
			if rate, err := satPerKvB("m", out.FeeRate); err == nil && (rate < 0 || rate > 21e14) {
				t.Errorf("fee rate %d from %q", rate, out.FeeRate)
			}
		}
	})
}

func FuzzDecodeBlock(f *testing.F) {
	genesis := chaincfg.RegressionNetParams.GenesisBlock
	var b strings.Builder
	if err := genesis.Serialize(hex.NewEncoder(&b)); err != nil {
		f.Fatal(err)
	}
	hash := genesis.BlockHash()
	if _, err := decodeBlock(b.String(), hash); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(b.String() + "00")
	f.Add(b.String()[:170])
	f.Fuzz(func(t *testing.T, s string) {
		// Whatever is accepted under the genesis hash is the genesis block.
		block, err := decodeBlock(s, hash)
		if err == nil && (len(block.Transactions) != 1 || block.Transactions[0].TxHash() != genesis.Transactions[0].TxHash()) {
			t.Errorf("another block accepted under the hash %s", hash)
		}
	})
}

func FuzzDecodeTransaction(f *testing.F) {
	tx := chaincfg.RegressionNetParams.GenesisBlock.Transactions[0]
	raw := hex.EncodeToString(RawTx(tx))
	txid := tx.TxHash()
	if _, err := decodeTransaction(raw, txid); err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(raw + "00")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := decodeTransaction(s, txid); err == nil && got.Tx.TxHash() != txid {
			t.Errorf("another transaction accepted under the id %s", txid)
		}
	})
}

func TestDecodeBlockRefusesOtherTransactionsUnderAGoodHeader(t *testing.T) {
	genesis := chaincfg.RegressionNetParams.GenesisBlock
	for name, txs := range map[string][]*wire.MsgTx{
		"a changed transaction": {wire.NewMsgTx(2)},
		// CVE-2012-2459: repeating the transactions keeps the root.
		"a repeated transaction": {genesis.Transactions[0], genesis.Transactions[0]},
	} {
		var b strings.Builder
		forged := wire.MsgBlock{Header: genesis.Header, Transactions: txs}
		if err := forged.Serialize(hex.NewEncoder(&b)); err != nil {
			t.Fatal(err)
		}
		if _, err := decodeBlock(b.String(), genesis.BlockHash()); err == nil {
			t.Errorf("%s accepted", name)
		}
	}
}

// The merkle root of block 170 of Bitcoin's main chain, its first with two transactions.
func TestMerkleRootOfTwoTransactions(t *testing.T) {
	ids := []string{"b1fea52486ce0c62bb442b530a3f0132b826c74e473d1f2c220bfa78111c5082", "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16"}
	var pair []byte
	for _, s := range ids {
		h, err := chainhash.NewHashFromStr(s)
		if err != nil {
			t.Fatal(err)
		}
		pair = append(pair, h[:]...)
	}
	if got := chainhash.DoubleHashH(pair).String(); got != "7dac2c5666815c17a3b36427de37bb9d2e2c5ccec3f8633eb91a4205cb4c10ff" {
		t.Errorf("root %s", got)
	}
	// merkleRoot over three transactions equals the definition: the last one is paired with itself.
	a, b, c := wire.NewMsgTx(1), wire.NewMsgTx(2), wire.NewMsgTx(3)
	join := func(x, y chainhash.Hash) chainhash.Hash {
		return chainhash.DoubleHashH(append(append([]byte{}, x[:]...), y[:]...))
	}
	want := join(join(a.TxHash(), b.TxHash()), join(c.TxHash(), c.TxHash()))
	if got, err := merkleRoot([]*wire.MsgTx{a, b, c}); err != nil || got != want {
		t.Errorf("root of three %s, %v; expected %s", got, err, want)
	}
}

func TestFeeCeilings(t *testing.T) {
	c := FeeCeilings{Tip: big.NewInt(10), Max: big.NewInt(100)}
	for _, v := range []struct{ tip, base, wantTip, wantMax int64 }{
		{1, 20, 1, 41},
		{50, 20, 10, 50},   // tip cut
		{1, 80, 1, 100},    // maximum cut
		{50, 500, 10, 100}, // both
		{0, 0, 0, 0},
	} {
		f := c.fees(big.NewInt(v.tip), big.NewInt(v.base))
		if f.Tip.Int64() != v.wantTip || f.Max.Int64() != v.wantMax || f.BaseFee.Int64() != v.base {
			t.Errorf("tip %d, base %d: %v; expected tip %d, max %d", v.tip, v.base, f, v.wantTip, v.wantMax)
		}
	}
	low := FeeCeilings{Tip: big.NewInt(10), Max: big.NewInt(5)}
	if f := low.fees(big.NewInt(10), big.NewInt(1)); f.Tip.Cmp(f.Max) > 0 {
		t.Errorf("tip %s above the maximum %s", f.Tip, f.Max)
	}
}

func TestFeePolicyMustBeOrdered(t *testing.T) {
	for _, p := range []FeePolicy{{}, {0, 1, 2}, {2, 1, 3}, {1, 3, 2}, {-1, 1, 1}} {
		if p.check() == nil {
			t.Errorf("%+v accepted", p)
		}
	}
	if err := (FeePolicy{1, 1, 1}).check(); err != nil {
		t.Error(err)
	}
}
