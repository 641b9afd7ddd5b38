package signer_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/holdings"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// purse is an EVM node that knows balances by heart.
type purse struct {
	mu   sync.Mutex
	wei  map[common.Address]int64
	last time.Time // of the last block
	down error
}

func (p *purse) set(down error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *purse) Tip(context.Context) (chain.EVMBlock, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return chain.EVMBlock{Number: 41, Time: uint64(p.last.Unix())}, p.down
}

func (p *purse) BlockAt(_ context.Context, n uint64) (chain.EVMBlock, error) {
	return chain.EVMBlock{Number: n, Hash: common.Hash{byte(n)}}, nil
}

func (p *purse) BalanceIn(_ context.Context, block common.Hash, account common.Address) (*big.Int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if block != (common.Hash{41}) {
		return nil, errors.New("expected block 41")
	}
	return big.NewInt(p.wei[account]), nil
}

func (p *purse) TokenBalanceIn(context.Context, common.Hash, common.Address, common.Address) (*big.Int, error) {
	return nil, errors.New("expected no token")
}

func (p *purse) Close() {}

// pooling adds an omnibus wallet on each chain.
func pooling(g *canon.Genesis) {
	g.Clients = append(g.Clients, canon.Client{Name: "house", Label: "House", House: true, Keys: []canon.PublicKey{edPublic("house")}, Devices: []canon.PublicKey{edPublic("device house")}})
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 50, Kind: canon.Pool}, canon.Account{Name: "acme-part", Client: "acme", Number: 51, Kind: canon.Omnibus})
	parts := []canon.Name{"pool", "acme-part"}
	g.Wallets = append(g.Wallets,
		canon.Wallet{Name: "btc-pool", Chain: btcChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 3, Accounts: parts},
		canon.Wallet{Name: "evm-pool", Chain: evmChain, Tier: canon.Hot, Scheme: canon.SchemeMPC, Key: "main", Number: 4, Accounts: parts})
}

func (w *world) evmAddress(wallet, account uint64) common.Address {
	w.t.Helper()
	path, err := wallets.NewPath(60, wallet, account, 0, 0)
	check(w.t, err)
	child, err := wallets.Derive(w.group, wallets.ChainCode(w.charter.Organisation(), "main", w.group), path)
	check(w.t, err)
	return ethereum.AddressOf(child.Public)
}

func TestASignerStatesWhatItsOwnNodeShows(t *testing.T) {
	node := &purse{wei: map[common.Address]int64{}, last: start.Add(-time.Minute)}
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches), gossip: never, genesis: pooling, config: func(c *signer.Config) {
		if c.Self == "node-1" {
			c.EVM = map[canon.ChainID]signer.EVMSource{evmChain: {Dial: func(context.Context) (holdings.EVMNode, error) { return node, nil }}}
		}
	}})
	node.wei[w.evmAddress(2, 1)], node.wei[w.evmAddress(4, 50)], node.wei[w.evmAddress(4, 51)] = 700, 30, 5 // the last is nobody's
	state := func(name canon.Name, id canon.ChainID) (canon.Balances, error) {
		r, err := w.front(name).StateBalances(t.Context(), &strongroomv1.StateBalancesRequest{Chain: string(id)})
		if err != nil {
			return canon.Balances{}, err
		}
		document, public := r.GetBalances().GetDocument(), edPublic(string(name))
		if !ed25519.Verify(public[:], canon.KindBalances.Message(document), r.GetBalances().GetSignature()) {
			t.Errorf("expected a signature of %s, found another", name)
		}
		var b canon.Balances
		return b, canon.Decode(document, &b)
	}
	got, err := state("node-1", evmChain)
	check(t, err)
	want := canon.Balances{Organisation: w.charter.Organisation(), Signer: "node-1", Chain: evmChain, Height: 41, Block: canon.Digest{41}, At: canon.TimeOf(start),
		Holdings: []canon.Holding{{Wallet: "evm-hot", Asset: eth, Amount: canon.AmountOf(700)}, {Wallet: "evm-pool", Asset: eth, Amount: canon.AmountOf(30)}}}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("expected %+v, found %+v", want, got)
	}
	for name, id := range map[canon.Name]canon.ChainID{"node-1": btcChain, "node-2": evmChain} {
		_, err := state(name, id)
		refused(t, err, "balances", "chain")
	}
	_, err = state("node-1", "eip155:7")
	refused(t, err, "balances", "chain")
	w.advance(9*time.Minute + time.Second)
	_, err = state("node-1", evmChain) // a node that stands still
	refused(t, err, "balances", "chain")
	node.set(errors.New("no answer"))
	w.advance(time.Second)
	if _, err = state("node-1", evmChain); status.Code(err) != codes.Unavailable || refusal.Of(err) != nil {
		t.Errorf("a node that does not answer: expected Unavailable, found %v", err)
	}
	// A signer without a source, and one whose source is away, sign all the same.
	evidence := w.evidence(payment{id: "a", nonce: 7})
	w.reserve(evidence, w.reservation(evidence), "node-1", "node-2")
}

// The addresses of an omnibus account are the pool's; whose they are shown to, the attestation says.
func TestAnOmnibusAccountIsShownAddressesOfThePool(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: never, genesis: pooling})
	attest := func(account string, branch, index uint64) (a canon.Address) {
		r, err := w.front("node-1").AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-pool", Account: account, Branch: branch, Index: index})
		check(t, err)
		check(t, canon.Decode(r.GetAttestation().GetDocument(), &a))
		return a
	}
	part, pool := attest("acme-part", 0, 70), attest("pool", 0, 70)
	if part.Account != "acme-part" || pool.Account != "pool" || string(part.Address) != string(pool.Address) || !slices.Equal(part.Path, []uint64{1, 3, 50, 0, 70}) {
		t.Errorf("expected one address of the pool at 1/3/50/0/70, found %+v and %+v", part, pool)
	}
	l := w.signers["node-1"].ledger
	if got, none := l.HighestIndex("btc-pool", "pool", 0), l.HighestIndex("btc-pool", "acme-part", 0); got != 70 || none != -1 {
		t.Errorf("expected index 70 seen of the pool, found %d, and %d of the part", got, none)
	}
	_, err := w.front("node-1").AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-pool", Account: "acme-one"})
	refused(t, err, "address", "account")
}
