package holdings

import (
	"errors"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// ending is config for a signer that knows as many addresses of a branch as a pool has keys, and refuses to derive others.
func (w *world) ending(id canon.ChainID, branch Branch, count *uint64) Config {
	c := w.config(id)
	derive := c.Address
	c.Addresses = func(b Branch) (uint64, error) {
		if b != branch {
			return 1 << 31, nil
		}
		return *count, nil
	}
	c.Address = func(b Branch, index uint64) ([]byte, error) {
		if b == branch && index >= *count {
			return nil, refusal.New("pool", "index", "a key of the pool", "none")
		}
		return derive(b, index)
	}
	return c
}

// A branch whose keys are in tokens ends with the pool; a larger pool makes it go on.
func TestABranchIsReadToTheEndOfItsPool(t *testing.T) {
	w, n, count := newWorld(t, 1, nil), newNode(), uint64(5)
	b := NewBitcoin(w.ending(chartertest.Bitcoin, receive, &count), 0, n.dial)
	n.mine(pay(nil, []int64{1, 20, 300}, addressOf(receive, 4), addressOf(receive, 5), addressOf(changes, 7)))
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, b, 1, map[canon.Name]uint64{"btc-hot": 1 + 300})
	count = 8
	w.tick()
	holds(t, b, 1, map[canon.Name]uint64{"btc-hot": 1 + 300})
	n.mine(pay(nil, []int64{4000}, addressOf(receive, 7)))
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 1 + 300 + 4000})
	count = 0
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 1 + 300 + 4000}) // what was watched stays so
}

func TestAPoolThatIsNotHereIsNoEmptyBranch(t *testing.T) {
	w, n := newWorld(t, 1, nil), newNode()
	c := w.config(chartertest.Bitcoin)
	lost := errors.New("no such file")
	c.Addresses = func(Branch) (uint64, error) { return 0, lost }
	if err := NewBitcoin(c, 0, n.dial).Follow(t.Context()); !errors.Is(err, lost) {
		t.Errorf("expected %v, found %v", lost, err)
	}
}

// An amendment may name a pool with other keys. Its addresses are read as far as this signer attested them, also in blocks that went by, and those of the
// pool before stay watched. An account that a pool has no keys for keeps nobody reading.
func TestAnotherPoolIsReadAnew(t *testing.T) {
	devices := func(g *canon.Genesis) { *g = chartertest.WithDevices(*g) }
	w, n, cold, count := newWorld(t, 1, devices), newNode(), Branch{"btc-cold", "acme-main", 0}, uint64(3)
	old, _ := w.charter.Wallet(cold.Wallet)
	script := func(pool []byte, index uint64) []byte {
		return addressOf(Branch{cold.Wallet, canon.Name(pool), 0}, index)
	}
	c := w.ending(chartertest.Bitcoin, cold, &count)
	derive := c.Address
	c.Address = func(b Branch, index uint64) ([]byte, error) {
		if b != cold {
			return derive(b, index)
		}
		now, _ := w.charter.Wallet(cold.Wallet)
		return script(now.Pool, index), nil
	}
	b := NewBitcoin(c, 0, n.dial)
	other := slices.Clone(old.Pool)
	other[0] ^= 1
	n.mine(pay(nil, []int64{1, 20}, script(old.Pool, 0), script(other, 0)))
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, b, 1, map[canon.Name]uint64{"btc-cold": 1})
	w.charter = newWorld(t, 1, func(g *canon.Genesis) {
		devices(g)
		i := slices.IndexFunc(g.Wallets, func(w canon.Wallet) bool { return w.Name == cold.Wallet })
		g.Wallets[i].Pool = other
	}).charter
	w.highest[cold] = 0
	n.mine(pay(nil, []int64{300, 4000}, script(old.Pool, 1), script(other, 1)))
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-cold": 4321})

	count, w.highest[cold] = 0, 5
	before := n.read
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-cold": 4321})
	if n.read != before {
		t.Errorf("expected nothing read again, found %d blocks", n.read-before)
	}
}
