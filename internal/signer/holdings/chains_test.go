//go:build chains

package holdings

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/btcsuite/btcd/btcutil"

	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/chain"
)

func TestHoldingsOfARealBitcoinNode(t *testing.T) {
	path, err := chains.FindBtcd(t.Context(), filepath.Join("..", "..", "..", ".tools"))
	if err != nil {
		t.Fatal(err)
	}
	btcd, err := chains.StartBitcoin(t.Context(), t.TempDir(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := btcd.Close(); err != nil {
			t.Error(err)
		}
	})
	if btcd.Config().Chain != string(chartertest.Bitcoin) {
		t.Fatalf("expected the chain of the test charter, found %s", btcd.Config().Chain)
	}
	w := newWorld(t, 2, nil)
	config := w.config(chartertest.Bitcoin)
	hashes := config.Address
	config.Address = func(b Branch, index uint64) ([]byte, error) {
		hash, err := hashes(b, index)
		return append([]byte{0, 20}, hash...), err // P2WPKH, BIP-141
	}
	b := NewBitcoin(config, 0, func(ctx context.Context) (BitcoinNode, error) { return chain.DialBitcoin(ctx, btcd.Config()) })
	defer b.Close()
	mine := func(n int) {
		t.Helper()
		if _, err := btcd.Mine(t.Context(), n); err != nil {
			t.Fatal(err)
		}
	}
	fund := func(branch Branch, index uint64, satoshi int64) {
		t.Helper()
		address, err := btcutil.NewAddressWitnessPubKeyHash(addressOf(branch, index), btcd.Params())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := btcd.Fund(t.Context(), address.EncodeAddress(), satoshi); err != nil {
			t.Fatal(err)
		}
	}
	fund(receive, 0, 50_000)
	fund(pooled, 40, 7_000)
	mine(2)
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	tip, err := btcd.Node().Tip(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	holds(t, b, tip.Height-1, map[canon.Name]uint64{"btc-hot": 50_000, "btc-omnibus": 7_000})
	// The block with what comes next is buried, and then leaves the chain.
	fund(house, 1, 9_000)
	hashed, err := btcd.Mine(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	w.tick()
	holds(t, b, tip.Height+1, map[canon.Name]uint64{"btc-hot": 50_000, "btc-omnibus": 7_000, "btc-house": 9_000})
	if err := btcd.Invalidate(hashed[0]); err != nil {
		t.Fatal(err)
	}
	w.tick()
	if state, err := b.State(t.Context()); err == nil {
		t.Errorf("a node that dropped what was read: expected an error, found %+v", state)
	}
	mine(4)
	w.tick()
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	if state, err := b.State(t.Context()); err != nil || state.Height != uint64(tip.Height)+3 {
		t.Errorf("expected height %d after the reorganisation, found %+v, %v", tip.Height+3, state, err)
	}
}
