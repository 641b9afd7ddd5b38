package holdings

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/chaincfg/chainhash"
	"github.com/btcsuite/btcd/wire"
	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/chain"
)

// world is a charter with an omnibus wallet beside those of the test charter, and a signer's knowledge of its addresses.
type world struct {
	charter *charter.Charter
	mu      sync.Mutex
	now     canon.Time
	highest map[Branch]int64
	keyless bool
}

func newWorld(t testing.TB, depth uint64, change func(*canon.Genesis)) *world {
	t.Helper()
	g := chartertest.Genesis()
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 900, Kind: canon.Pool},
		canon.Account{Name: "acme-part", Client: "acme", Number: 901, Kind: canon.Omnibus}, canon.Account{Name: "beta-part", Client: "beta", Number: 902, Kind: canon.Omnibus})
	for _, w := range g.Wallets {
		if w.Name == "btc-hot" || w.Name == "eth-hot" {
			w.Name, w.Number, w.Accounts = w.Name[:3]+"-omnibus", 90, []canon.Name{"pool", "acme-part", "beta-part"}
			g.Wallets = append(g.Wallets, w)
		}
	}
	for i := range g.Chains {
		g.Chains[i].Depth = depth
	}
	if change != nil {
		change(&g)
	}
	return &world{charter: chartertest.Open(t, g), now: 5000, highest: map[Branch]int64{}}
}

// tick lets a second pass: within one there is one answer.
func (w *world) tick() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now++
}

func (w *world) config(id canon.ChainID) Config {
	return Config{Chain: id, Charter: func() *charter.Charter { return w.charter },
		Address: func(b Branch, index uint64) ([]byte, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.keyless {
				return nil, refusal.New("balances", "wallet", "a key", "none")
			}
			return addressOf(b, index), nil
		},
		HighestIndex: func(b Branch) int64 {
			w.mu.Lock()
			defer w.mu.Unlock()
			if n, ok := w.highest[b]; ok {
				return n
			}
			return -1
		},
		Now: func() canon.Time {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.now
		},
	}
}

// addressOf is an address as nobody else's: 20 bytes, which are no script that anybody spends from.
func addressOf(b Branch, index uint64) []byte {
	h := sha256.Sum256(fmt.Append(nil, b, index))
	return h[:20]
}

// node is a Bitcoin node whose blocks a test makes.
type node struct {
	mu   sync.Mutex
	best []*wire.MsgBlock
	all  map[chainhash.Hash]*wire.MsgBlock
	down error
	read int // blocks handed out
}

func newNode() *node {
	n := &node{all: map[chainhash.Hash]*wire.MsgBlock{}}
	n.mine()
	return n
}

// mine adds a block with these transactions and returns its height.
func (n *node) mine(txs ...*wire.MsgTx) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	previous := chainhash.Hash{}
	if len(n.best) > 0 {
		previous = n.best[len(n.best)-1].BlockHash()
	}
	coinbase := wire.NewMsgTx(2)
	coinbase.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: fmt.Append(nil, len(n.all))})
	block := wire.NewMsgBlock(wire.NewBlockHeader(2, &previous, &chainhash.Hash{byte(len(n.all))}, 0, uint32(len(n.all))))
	block.Transactions = append([]*wire.MsgTx{coinbase}, txs...)
	n.best = append(n.best, block)
	n.all[block.BlockHash()] = block
	return int64(len(n.best) - 1)
}

// reorganise drops the blocks above height from the best chain.
func (n *node) reorganise(height int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.best = slices.Clone(n.best[:height+1])
}

func (n *node) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.down = err
}

func (n *node) Tip(context.Context) (chain.Block, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	last := len(n.best) - 1
	return chain.Block{Height: int64(last), Hash: n.best[last].BlockHash()}, n.down
}

func (n *node) HashAt(_ context.Context, height int64) (chainhash.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.best[height].BlockHash(), n.down
}

func (n *node) Parent(_ context.Context, hash chainhash.Hash) (chainhash.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.all[hash].Header.PrevBlock, n.down
}

func (n *node) BlockAt(_ context.Context, height int64) (*wire.MsgBlock, chainhash.Hash, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.read++
	return n.best[height], n.best[height].BlockHash(), n.down
}

func (n *node) Close() {}

func (n *node) dial(context.Context) (BitcoinNode, error) { return n, nil }

var serial uint32

// pay makes a transaction out of nowhere, or out of what it spends, to the scripts.
func pay(spends []wire.OutPoint, values []int64, scripts ...[]byte) *wire.MsgTx {
	tx := wire.NewMsgTx(2)
	serial++
	tx.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: chainhash.Hash{0xee}, Index: serial}})
	for _, op := range spends {
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: op})
	}
	for i, script := range scripts {
		tx.AddTxOut(wire.NewTxOut(values[i], script))
	}
	return tx
}

func outpoint(tx *wire.MsgTx, index uint32) wire.OutPoint {
	return wire.OutPoint{Hash: tx.TxHash(), Index: index}
}

// holds fails the test unless the source shows that of Bitcoin's coin, by wallet.
func holds(t *testing.T, s Source, height int64, want map[canon.Name]uint64) {
	t.Helper()
	state, err := s.State(t.Context())
	if err != nil {
		t.Errorf("expected %v, found %v", want, err)
		return
	}
	found := map[canon.Name]uint64{}
	for _, h := range state.Holdings {
		found[h.Wallet] = h.Amount.Int().Uint64()
	}
	if fmt.Sprint(found) != fmt.Sprint(want) || state.Height != uint64(height) {
		t.Errorf("expected %v at height %d, found %v at %d", want, height, found, state.Height)
	}
	doc := canon.Balances{Signer: "node-1", Chain: chartertest.Bitcoin, Holdings: state.Holdings}
	if err := doc.Check(); err != nil {
		t.Error(err)
	}
}

var (
	receive = Branch{"btc-hot", "acme-main", 0}
	changes = Branch{"btc-hot", "acme-main", 1}
	house   = Branch{"btc-house", "house-main", 0}
	pooled  = Branch{"btc-omnibus", "pool", 0}
	part    = Branch{"btc-omnibus", "acme-part", 0}
)

func TestBitcoinHoldingsAreSummedAtTheCharterDepth(t *testing.T) {
	w, n := newWorld(t, 2, nil), newNode()
	b := NewBitcoin(w.config(chartertest.Bitcoin), 0, n.dial)
	defer b.Close()
	n.mine()
	deposit := pay(nil, []int64{500, 30, 4, 9, 1}, addressOf(receive, 0), addressOf(receive, 7), addressOf(pooled, 99), addressOf(part, 0), addressOf(house, 3))
	n.mine(deposit)
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, b, 1, map[canon.Name]uint64{}) // one block deep only
	n.mine()
	holds(t, b, 1, map[canon.Name]uint64{}) // within the second
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 530, "btc-omnibus": 4, "btc-house": 1})
	// A payment with change, and a second that spends the change in the same block.
	first := pay([]wire.OutPoint{outpoint(deposit, 0)}, []int64{400, 100}, addressOf(changes, 0), []byte("somebody"))
	second := pay([]wire.OutPoint{outpoint(first, 0)}, []int64{390}, addressOf(house, 0))
	n.mine(first, second)
	n.mine()
	w.tick()
	holds(t, b, 4, map[canon.Name]uint64{"btc-hot": 30, "btc-omnibus": 4, "btc-house": 391})
}

func TestReorganisationsAreUndone(t *testing.T) {
	w, n := newWorld(t, 1, nil), newNode()
	b := NewBitcoin(w.config(chartertest.Bitcoin), 0, n.dial)
	deposit := pay(nil, []int64{500}, addressOf(receive, 0))
	fork := n.mine(deposit)
	first := pay([]wire.OutPoint{outpoint(deposit, 0)}, []int64{400}, addressOf(changes, 0))
	n.mine(first, pay([]wire.OutPoint{outpoint(first, 0)}, []int64{390}, addressOf(house, 0)))
	n.mine(pay(nil, []int64{7}, addressOf(pooled, 0)))
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, b, 3, map[canon.Name]uint64{"btc-house": 390, "btc-omnibus": 7})
	n.reorganise(fork)
	for range 4 {
		n.mine()
	}
	w.tick()
	holds(t, b, 5, map[canon.Name]uint64{"btc-hot": 500})
	n.reorganise(0)
	for range 8 {
		n.mine()
	}
	w.tick()
	holds(t, b, 8, map[canon.Name]uint64{})
}

func TestNothingIsSaidBeforeTheChainWasRead(t *testing.T) {
	w, n := newWorld(t, 1, nil), newNode()
	n.mine(pay(nil, []int64{500}, addressOf(receive, 0)))
	away := true
	b := NewBitcoin(w.config(chartertest.Bitcoin), 0, func(context.Context) (BitcoinNode, error) {
		if away {
			return nil, errors.New("connection refused")
		}
		return n, nil
	})
	unread := func() {
		t.Helper()
		if _, err := b.State(t.Context()); refusal.Of(err) == nil {
			t.Errorf("expected a refusal, found %v", err)
		}
	}
	unread()
	if err := b.Follow(t.Context()); err == nil || refusal.Of(err) != nil {
		t.Errorf("a node that is away: expected an error that is no refusal, found %v", err)
	}
	away = false
	w.keyless = true
	if err := b.Follow(t.Context()); refusal.Of(err) == nil {
		t.Errorf("an address that is not known: expected a refusal, found %v", err)
	}
	unread()
	w.keyless = false
	n.fail(errors.New("no answer"))
	if err := b.Follow(t.Context()); err == nil {
		t.Error("expected an error of a node that does not answer, found none")
	}
	unread()
	n.fail(nil)
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, b, 1, map[canon.Name]uint64{"btc-hot": 500})
	n.fail(errors.New("no answer"))
	w.tick()
	if _, err := b.State(t.Context()); err == nil || refusal.Of(err) != nil {
		t.Errorf("afterwards: expected an error that is no refusal, found %v", err)
	}
	short := NewBitcoin(w.config(chartertest.Bitcoin), 10, newNode().dial)
	if err := short.Follow(t.Context()); refusal.Of(err) == nil {
		t.Errorf("a chain that ends before it starts: expected a refusal, found %v", err)
	}
}

// Addresses are watched as far as signers let them be used, and what is found lets further ones be watched.
func TestAddressesAreWatchedBeyondTheHighestSeen(t *testing.T) {
	w, n := newWorld(t, 1, nil), newNode()
	b := NewBitcoin(w.config(chartertest.Bitcoin), 0, n.dial)
	n.mine(pay(nil, []int64{1, 20, 300}, addressOf(receive, 99), addressOf(receive, 199), addressOf(changes, 100)))
	n.mine(pay(nil, []int64{4000, 50000}, addressOf(receive, 199), addressOf(receive, 300)))
	if err := b.Follow(t.Context()); err != nil {
		t.Fatal(err)
	}
	// 199 comes within reach by 99; 100 on the other branch never does, nor does 300.
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 1 + 20 + 4000})
	before := n.read
	w.mu.Lock()
	w.highest[receive] = 250 // which is watched already
	w.mu.Unlock()
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 1 + 20 + 4000})
	if n.read != before {
		t.Errorf("expected no block to be read again, found %d", n.read-before)
	}
	w.mu.Lock()
	w.highest[receive], w.highest[changes] = 300, 100 // which was not
	w.mu.Unlock()
	w.tick()
	holds(t, b, 2, map[canon.Name]uint64{"btc-hot": 1 + 20 + 300 + 4000 + 50000})
}

func TestEVMHoldingsAreThoseOfABuriedBlock(t *testing.T) {
	e, err := chains.StartEVM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	commit := func() common.Hash {
		t.Helper()
		hash, err := e.Commit()
		if err != nil {
			t.Fatal(err)
		}
		return hash
	}
	deployed, err := e.DeployToken(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	commit()
	id := canon.ChainID(e.Config().Chain)
	coin, token := canon.AssetID(string(id)+"/slip44:60"), canon.AssetID(fmt.Sprintf("%s/erc20:0x%x", id, deployed))
	w := newWorld(t, 2, func(g *canon.Genesis) { rename(g, id, coin, token) })
	dials := 0
	s := NewEVM(w.config(id), func(ctx context.Context) (EVMNode, error) {
		if dials++; dials == 1 {
			return nil, errors.New("connection refused")
		}
		return chain.DialEVM(ctx, e.Config())
	})
	defer s.Close()
	if _, err := s.State(t.Context()); err == nil || refusal.Of(err) != nil {
		t.Errorf("a node that is away: expected an error that is no refusal, found %v", err)
	}
	at := func(wallet, holder canon.Name) common.Address {
		return common.Address(addressOf(Branch{wallet, holder, 0}, 0))
	}
	for to, amount := range map[common.Address]int64{at("eth-hot", "acme-main"): 500, at("eth-hot", "beta-main"): 30, at("eth-omnibus", "pool"): 7, at("eth-omnibus", "acme-part"): 1} {
		if _, err := e.Fund(t.Context(), to, big.NewInt(amount)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := e.MintToken(t.Context(), deployed, at("eth-omnibus", "pool"), big.NewInt(11)); err != nil {
		t.Fatal(err)
	}
	paid := commit()
	before, err := s.State(t.Context())
	if err != nil || len(before.Holdings) != 0 {
		t.Fatalf("one block deep: expected nothing, found %+v, %v", before, err)
	}
	commit()
	if again, err := s.State(t.Context()); err != nil || again.Height != before.Height {
		t.Errorf("within the second: expected the same answer, found %+v, %v", again, err)
	}
	w.tick()
	state, err := s.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []canon.Holding{{Wallet: "eth-hot", Asset: coin, Amount: canon.AmountOf(530)}, {Wallet: "eth-omnibus", Asset: token, Amount: canon.AmountOf(11)},
		{Wallet: "eth-omnibus", Asset: coin, Amount: canon.AmountOf(7)}}
	if fmt.Sprint(state.Holdings) != fmt.Sprint(want) || state.Block != canon.Digest(paid) || state.Height != before.Height+1 || state.At != 5001 {
		t.Errorf("expected %v in block %s, found %+v", want, paid, state)
	}
	w.tick()
	w.keyless = true
	if _, err := s.State(t.Context()); refusal.Of(err) == nil {
		t.Errorf("an address that is not known: expected a refusal, found %v", err)
	}
}

// rename puts another EVM chain in the place of the test charter's.
func rename(g *canon.Genesis, id canon.ChainID, coin, token canon.AssetID) {
	asset := func(a *canon.AssetID) {
		switch *a {
		case chartertest.ETH:
			*a = coin
		case chartertest.USD:
			*a = token
		}
	}
	for i := range g.Chains {
		if g.Chains[i].Kind == canon.EVM {
			g.Chains[i].ID = id
		}
	}
	for i := range g.Wallets {
		if g.Wallets[i].Chain == chartertest.EVM {
			g.Wallets[i].Chain = id
		}
	}
	for i := range g.Assets {
		asset(&g.Assets[i].ID)
	}
	for i := range g.Limits {
		asset(&g.Limits[i].Asset)
	}
	for i := range g.Prices {
		asset(&g.Prices[i].Asset)
	}
	for i := range g.Rules {
		for _, list := range [][]canon.AssetAmount{g.Rules[i].Amounts, g.Rules[i].FeeCaps, g.Rules[i].Above} {
			for j := range list {
				asset(&list[j].Asset)
			}
		}
	}
}
