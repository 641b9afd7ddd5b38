//go:build chains

package chain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/strongroom/strongroom/wallets/chain"
)

func TestDialBitcoinRefusesAnotherChain(t *testing.T) {
	conf := startBitcoin(t).Config()
	conf.Chain = chain.BitcoinChainID(*chaincfg.MainNetParams.GenesisHash)
	// The id that CAIP-2 gives as its example for Bitcoin.
	if conf.Chain != "bip122:000000000019d6689c085ae165831e93" {
		t.Fatalf("CAIP-2 id of mainnet is %q", conf.Chain)
	}
	_, err := chain.DialBitcoin(t.Context(), conf)
	if !errors.Is(err, chain.ErrWrongChain) || !strings.Contains(err.Error(), "bip122:0f9188f13cb7b2c71f2a335e3a4fc328") {
		t.Fatalf("error %v; expected ErrWrongChain naming regtest's id", err)
	}
}

func TestDialBitcoinNamesTheMethodAndNotTheSecret(t *testing.T) {
	conf := startBitcoin(t).Config()
	conf.PasswordFile, conf.Password = "", []byte("wrong-secret")
	_, err := chain.DialBitcoin(t.Context(), conf)
	if err == nil || !strings.Contains(err.Error(), "getblockhash") || !strings.Contains(err.Error(), "refused the credentials") {
		t.Fatalf("error %v; expected refused credentials in getblockhash", err)
	}
	if strings.Contains(err.Error(), "wrong-secret") || strings.Contains(err.Error(), conf.User) {
		t.Fatalf("error shows credentials: %v", err)
	}
}

func TestFollowFindsCreditsAndDebits(t *testing.T) {
	b := startBitcoin(t)
	p, other := newPurse(t, b), newPurse(t, b)
	k := newBook(p)
	cursor := follow(t, b.Node(), chain.Block{}, k)
	if len(k.log) != 121 || len(k.coins) != 0 { // genesis and the faucet's 120 blocks
		t.Fatalf("%d blocks, %d coins; expected 121 and none", len(k.log), len(k.coins))
	}
	txid := fund(t, b, p, 700_000)
	mine(t, b, 1)
	cursor = follow(t, b.Node(), cursor, k)
	c := k.one(t)
	if c.OutPoint.Hash != txid || c.Value != 700_000 || c.Height != 121 || c.Coinbase || c.Tx.TxHash() != txid || !p.watched(c.PkScript) {
		t.Fatalf("credit %+v; expected 700000 satoshi of %s at height 121", c, txid)
	}
	if err := b.Node().Broadcast(t.Context(), p.spend(t, c, other.script, 1000)); err != nil {
		t.Fatal(err)
	}
	mine(t, b, 1)
	follow(t, b.Node(), cursor, k)
	if len(k.coins) != 0 || len(k.spent[122]) != 1 {
		t.Fatalf("coins %v, spent %v; expected the one coin spent at 122", k.coins, k.spent)
	}
	// A cursor without a hash starts at its height.
	late := newBook(other)
	end := follow(t, b.Node(), chain.Block{Height: 122}, late)
	if late.total() != 699_000 || len(late.log) != 1 || end.Height != 122 {
		t.Fatalf("from 122: %d satoshi, %d blocks, end %d; expected 699000, 1, 122", late.total(), len(late.log), end.Height)
	}
}

func TestFollowUndoesAReorganisation(t *testing.T) {
	b := startBitcoin(t)
	p, other := newPurse(t, b), newPurse(t, b)
	k := newBook(p)
	fund(t, b, p, 700_000)
	mine(t, b, 1)
	cursor := follow(t, b.Node(), chain.Block{}, k)
	tx := p.spend(t, k.one(t), other.script, 1000)
	if err := b.Node().Broadcast(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	stale := mine(t, b, 2)
	cursor = follow(t, b.Node(), cursor, k)
	if k.total() != 0 {
		t.Fatalf("%d satoshi left after the spend; expected none", k.total())
	}

	if err := b.Invalidate(stale); err != nil {
		t.Fatal(err)
	}
	k.log = nil
	if _, err := chain.Follow(t.Context(), b.Node(), cursor, k); !errors.Is(err, chain.ErrBehind) || len(k.log) != 0 {
		t.Fatalf("error %v, calls %v; expected ErrBehind and no call while no other branch is known", err, k.log)
	}
	assertConfirmation(t, b.Node(), tx.TxHash(), chain.Confirmation{InMempool: true})

	// The other branch takes the transaction again, one block later than it was.
	before, err := b.Node().HashAt(t.Context(), cursor.Height-2)
	if err != nil {
		t.Fatal(err)
	}
	mine(t, b, 3)
	cursor = follow(t, b.Node(), cursor, k)
	verbs := make([]string, 0, len(k.log))
	for _, l := range k.log {
		verbs = append(verbs, strings.Fields(l)[0])
	}
	if want := []string{"disconnect", "disconnect", "connect", "connect", "connect"}; !slices.Equal(verbs, want) {
		t.Fatalf("calls %v; expected %v", verbs, want)
	}
	if k.log[1] != "disconnect "+stale.String() {
		t.Errorf("second call %q; expected to disconnect %s", k.log[1], stale)
	}
	if parent, err := b.Node().Parent(t.Context(), stale); err != nil || parent != before {
		t.Errorf("parent of the stale block: %s, %v; expected %s", parent, err, before)
	}
	if k.total() != 0 || cursor.Height != 124 {
		t.Errorf("%d satoshi, height %d; expected 0 and 124", k.total(), cursor.Height)
	}
}

func assertConfirmation(t *testing.T, n *chain.BitcoinNode, txid chainhash.Hash, want chain.Confirmation) {
	t.Helper()
	got, err := n.Confirmations(t.Context(), txid, 0)
	if err != nil {
		t.Fatal(err)
	}
	got.Block, want.Block = chain.Block{Height: got.Block.Height}, chain.Block{Height: want.Block.Height}
	if got != want {
		t.Fatalf("confirmations %+v; expected %+v", got, want)
	}
}

// A node without a transaction index, such as Bitcoin Core by default, finds only mempool transactions by id.
const noIndex = `{"result":null,"error":{"code":-5,"message":"No such mempool transaction. Use -txindex"},"id":1}`

func TestConfirmationsWithAndWithoutATransactionIndex(t *testing.T) {
	b := startBitcoin(t)
	p := newPurse(t, b)
	indexed, plain := b.Node(), dial(t, between(t, b.Config(), map[string]string{"getrawtransaction": noIndex}))
	txid := fund(t, b, p, 50_000)
	assertConfirmation(t, indexed, txid, chain.Confirmation{InMempool: true})
	mine(t, b, 3)
	for _, n := range []*chain.BitcoinNode{indexed, plain} {
		assertConfirmation(t, n, txid, chain.Confirmation{Depth: 3, Block: chain.Block{Height: 121}})
	}
	if _, err := plain.Confirmations(t.Context(), txid, 122); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("search above the transaction's block: %v; expected ErrNotFound", err)
	}
	if _, err := indexed.Confirmations(t.Context(), chainhash.Hash{1}, 0); !errors.Is(err, chain.ErrNotFound) {
		t.Errorf("unknown transaction: %v; expected ErrNotFound", err)
	}
	tx, err := indexed.Transaction(t.Context(), txid)
	if err != nil || tx.Tx.TxHash() != txid || tx.Confirmations != 3 || string(chain.RawTx(tx.Tx)) != string(tx.Raw) {
		t.Errorf("transaction %+v, %v; expected %s with 3 confirmations", tx, err, txid)
	}
	if d, err := indexed.DepthOf(t.Context(), chain.Block{Height: 121}); err != nil || d != 0 {
		t.Errorf("depth of a block with another hash: %d, %v; expected 0", d, err)
	}
}

func TestBroadcastAgainIsSuccessAndRejectionsAreTyped(t *testing.T) {
	b := startBitcoin(t)
	p, other := newPurse(t, b), newPurse(t, b)
	fund(t, b, p, 1_000_000)
	mine(t, b, 1)
	k := newBook(p)
	follow(t, b.Node(), chain.Block{}, k)
	c := k.one(t)
	tx := p.spend(t, c, other.script, 2000)
	for _, when := range []string{"first", "in the mempool", "in a block", "spent further"} {
		if err := b.Node().Broadcast(t.Context(), tx); err != nil {
			t.Fatalf("broadcast, %s: %v; expected success", when, err)
		}
		if when == "in the mempool" {
			mine(t, b, 1)
		}
		if when == "in a block" {
			k := newBook(other)
			follow(t, b.Node(), chain.Block{}, k)
			if err := b.Node().Broadcast(t.Context(), other.spend(t, k.one(t), p.script, 2000)); err != nil {
				t.Fatal(err)
			}
			mine(t, b, 1)
		}
	}

	altered := tx.Copy()
	altered.TxOut[0].Value--
	again := newBook(p)
	follow(t, b.Node(), chain.Block{}, again)
	bad := p.spend(t, again.one(t), other.script, 2000)
	bad.TxIn[0].Witness[0][10] ^= 1
	dust := p.spend(t, again.one(t), other.script, again.one(t).Value-293)
	for name, tx := range map[string]struct {
		err  error
		want string
	}{
		"spends a spent coin": {b.Node().Broadcast(t.Context(), altered), altered.TxHash().String()},
		"bad signature":       {b.Node().Broadcast(t.Context(), bad), bad.TxHash().String()},
		"dust":                {b.Node().Broadcast(t.Context(), dust), dust.TxHash().String()},
	} {
		var rejected *chain.Rejected
		if !errors.As(tx.err, &rejected) || rejected.TxID != tx.want || rejected.Code >= 0 || rejected.Reason == "" {
			t.Errorf("%s: %v; expected a Rejected of %s with code and reason", name, tx.err, tx.want)
		}
	}
}

func TestFeeRateStaysWithinThePolicy(t *testing.T) {
	b := startBitcoin(t)
	conf := b.Config()
	conf.Fees = chain.FeePolicy{Floor: 2000, Fallback: 7000, Ceiling: 90_000}
	if rate, err := dial(t, conf).FeeRate(t.Context(), 3); err != nil || rate < 2000 || rate > 90_000 {
		t.Errorf("btcd on a young chain: %d, %v; expected a rate within 2000 and 90000", rate, err)
	}
	for name, c := range map[string]struct {
		answers map[string]string
		want    int64
	}{
		"Core has an estimate":      {map[string]string{"estimatesmartfee": `{"result":{"feerate":0.00012345,"blocks":3},"error":null}`}, 12345},
		"Core rounds up":            {map[string]string{"estimatesmartfee": `{"result":{"feerate":1.23456789e-4,"blocks":3},"error":null}`}, 12346},
		"Core has none":             {map[string]string{"estimatesmartfee": `{"result":{"errors":["Insufficient data"],"blocks":0},"error":null}`}, 7000},
		"below the floor":           {map[string]string{"estimatesmartfee": `{"result":{"feerate":0.00001},"error":null}`}, 2000},
		"above the ceiling":         {map[string]string{"estimatesmartfee": `{"result":{"feerate":21},"error":null}`}, 90_000},
		"btcd has an estimate":      {map[string]string{"estimatefee": `{"result":0.0003,"error":null}`}, 30_000},
		"btcd has none":             {map[string]string{"estimatefee": `{"result":-1,"error":null}`}, 7000},
		"btcd's estimator is off":   {map[string]string{"estimatefee": `{"result":null,"error":{"code":-1,"message":"Fee estimation disabled"}}`}, 7000},
		"a rate beyond all bitcoin": {map[string]string{"estimatesmartfee": `{"result":{"feerate":1e300},"error":null}`}, -1},
	} {
		conf := between(t, b.Config(), c.answers)
		conf.Fees = chain.FeePolicy{Floor: 2000, Fallback: 7000, Ceiling: 90_000}
		rate, err := dial(t, conf).FeeRate(t.Context(), 3)
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || rate != c.want) {
			t.Errorf("%s: %d, %v; expected %d", name, rate, err, c.want)
		}
	}
}
