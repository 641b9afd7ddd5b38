package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/coordinator/store/sqlite"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/chain"
)

// evmChain is one chain for all tests of the package: every organisation has a key and so addresses of its own.
var evmChain *chains.EVM

func TestMain(m *testing.M) {
	var err error
	if evmChain, err = chains.StartEVM(context.Background()); err != nil {
		slog.Error("EVM chain", "error", err.Error())
		os.Exit(1)
	}
	code := m.Run()
	if err := evmChain.Close(); err != nil {
		slog.Error("EVM chain", "error", err.Error())
		code = 1
	}
	os.Exit(code)
}

// world is a coordinator on a real store with nodes and chains around it.
type world struct {
	*organisation
	t       *testing.T
	ctx     context.Context
	nodes   map[canon.Name]*node
	all     *committee
	bitcoin *ledgerChain
	offset  atomic.Int64 // of the clock, seconds
	loads   atomic.Int64 // of the genesis's own book
	path    string
	service *Service
	pools   string                                             // directory
	desks   map[canon.Name]strongroomv1.AuthorityServiceClient // the authorities that the coordinator has an address for
	stopped chan struct{}
	cancel  context.CancelFunc
}

func newWorld(t *testing.T, token canon.AssetID, changes ...func(*organisation, *canon.Genesis)) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	w := &world{organisation: newOrganisation(t, token, changes...), t: t, ctx: ctx, nodes: map[canon.Name]*node{}, bitcoin: newLedgerChain(),
		path: filepath.Join(t.TempDir(), "strongroom.db"), desks: map[canon.Name]strongroomv1.AuthorityServiceClient{}}
	w.all = &committee{organisation: w.organisation, sessions: map[string]*session{}, now: w.now}
	for _, name := range append(slices.Clone(nodeNames), w.vaultNames()...) {
		w.nodes[name] = w.all.node(name)
	}
	w.pools = w.writePools(t)
	w.open()
	t.Cleanup(w.close)
	return w
}

func (w *world) now() time.Time { return time.Now().Add(time.Duration(w.offset.Load()) * time.Second) }

// open makes a coordinator on the database, without running it.
func (w *world) open() {
	w.t.Helper()
	s, err := sqlite.Open(w.ctx, w.path, w.charter.Organisation())
	if err != nil {
		w.t.Fatal(err)
	}
	charters, err := OpenCharters(w.ctx, w.genesis, w.charter.Organisation(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	books, err := OpenBooks(w.ctx, charters, func() (*book.Tree, error) { w.loads.Add(1); return w.book, nil }, s, w.now())
	if err != nil {
		w.t.Fatal(err)
	}
	p := Parts{Charters: charters, Genesis: w.genesis, Books: books, Store: s, Connect: w.connect, Key: w.coordinator,
		Bitcoin:     map[canon.ChainID]BitcoinNode{testBTC: {Node: w.bitcoin, TargetBlocks: 2}},
		EVM:         map[canon.ChainID]chain.EVM{testEVM: evmChain.Node()},
		Authorities: w.desks, Pools: config.Pools(w.pools),
		Log: slog.New(slog.DiscardHandler), Now: w.now, Parallel: 4, Poll: 20 * time.Millisecond}
	if testing.Verbose() {
		p.Log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	if w.service, err = New(w.ctx, p); err != nil {
		w.t.Fatal(err)
	}
}

// connect finds the node of a signer that the charter names.
func (w *world) connect(s canon.Signer) (Signer, error) {
	n, ok := w.nodes[s.Name]
	if !ok {
		return Signer{}, errors.New("expected an address in the configuration, found none")
	}
	return Signer{Client: n, Charters: n, Books: n}, nil
}

// run starts the coordinator's work.
func (w *world) run() {
	ctx, cancel := context.WithCancel(w.ctx)
	done := make(chan struct{})
	w.cancel, w.stopped = cancel, done
	s := w.service
	go func() {
		defer close(done)
		_ = s.Run(ctx)
	}()
}

// close stops the work and closes the store, if they are not yet.
func (w *world) close() {
	if w.cancel != nil {
		w.cancel()
		<-w.stopped
		w.cancel = nil
	}
	if w.service != nil {
		if err := w.service.Store.Close(); err != nil {
			w.t.Error(err)
		}
		w.service = nil
	}
}

// learn has the coordinator learn the group key and read the chain, as its loops do. One that runs reads by itself: two readers would get in each
// other's way.
func (w *world) learn() {
	w.t.Helper()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	if w.cancel != nil {
		w.awaitTip()
	} else if _, err := w.service.read(w.ctx, w.service.chains[testBTC]); err != nil {
		w.t.Fatal(err)
	}
	w.service.learnBooks(w.ctx)
}

// awaitTip waits until a coordinator that runs has read the Bitcoin chain to its end.
func (w *world) awaitTip() {
	w.t.Helper()
	tip, err := w.service.Bitcoin[testBTC].Node.Tip(w.ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		at, ok, err := w.service.Store.Cursor(w.ctx, testBTC)
		if err != nil {
			w.t.Fatal(err)
		}
		if ok && at.Height >= uint64(tip.Height) {
			return
		}
		select {
		case <-tick.C:
		case <-w.ctx.Done():
			w.t.Fatalf("expected the chain read to block %d, found %d", tip.Height, at.Height)
		}
	}
}

// fund pays acme's first address in one coin for each amount, and buries them deep enough.
func (w *world) fund(amounts ...int64) {
	w.t.Helper()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	wallet, _ := w.charter.Wallet("btc-hot")
	account, _ := w.charter.Account("acme-main")
	script, _, err := w.service.keys.derive(wallet, account, 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, a := range amounts {
		w.bitcoin.pay(script, a)
	}
	w.bitcoin.mine()
	w.bitcoin.mine()
	w.learn()
}

// sender is acme's address on the EVM chain.
func (w *world) sender() common.Address {
	w.t.Helper()
	w.service.signers.probe(w.ctx, nodeNames, w.service.keys.learn)
	wallet, _ := w.charter.Wallet("evm-hot")
	account, _ := w.charter.Account("acme-main")
	address, _, err := w.service.keys.derive(wallet, account, 0, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	return common.BytesToAddress(address)
}

// create asks for acme's request.
func (w *world) create(id string, change ...func(*canon.Request)) withdrawal.Withdrawal {
	w.t.Helper()
	row, err := w.service.Create(w.ctx, Submission{Request: w.sign(w.t, "acme", w.request(id, change...)), Client: "acme"})
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

// await waits for the withdrawal to be in one of the states.
func (w *world) await(id canon.Digest, states ...withdrawal.State) withdrawal.Withdrawal {
	w.t.Helper()
	return w.awaitThat(id, func(row withdrawal.Withdrawal) bool { return slices.Contains(states, row.State) }, states)
}

func (w *world) awaitThat(id canon.Digest, ok func(withdrawal.Withdrawal) bool, what any) withdrawal.Withdrawal {
	w.t.Helper()
	for {
		changed := w.service.Store.Changed()
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if ok(row) {
			return row
		}
		if row.State.Settled() {
			w.t.Fatalf("expected %v, found the withdrawal in %s: %v", what, row.State, row.Refusals)
		}
		select {
		case <-changed:
		case <-w.ctx.Done():
			w.t.Fatalf("expected %v, found the withdrawal still in %s: %v", what, row.State, row.Refusals)
		}
	}
}

// buried mines until the withdrawal is settled.
func (w *world) buried(id canon.Digest) withdrawal.Withdrawal {
	w.t.Helper()
	w.await(id, withdrawal.Broadcast, withdrawal.Confirmed)
	var once sync.Once
	return w.awaitThat(id, func(row withdrawal.Withdrawal) bool {
		once.Do(func() { w.bitcoin.mine(); w.bitcoin.mine() })
		return row.State == withdrawal.Confirmed
	}, "confirmed")
}

// amount changes what the request pays.
func amount(satoshi uint64) func(*canon.Request) {
	return func(r *canon.Request) { r.Outputs[0].Amount = canon.AmountOf(satoshi) }
}
