package coordinator

import (
	"context"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// StateBalances states what the test says this node sees.
func (n *node) StateBalances(_ context.Context, r *strongroomv1.StateBalancesRequest, _ ...grpc.CallOption) (*strongroomv1.StateBalancesResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	if n.held == nil {
		return nil, status.Error(codes.FailedPrecondition, "chains: expected a source, found none")
	}
	signed, err := n.signed(canon.Balances{Organisation: n.charter.Organisation(), Signer: n.name, Chain: canon.ChainID(r.GetChain()), Height: 7,
		At: canon.TimeOf(n.now()), Holdings: n.held[canon.ChainID(r.GetChain())]})
	if n.mangle && err == nil {
		signed.Signature[0] ^= 1
	}
	return &strongroomv1.StateBalancesResponse{Balances: signed}, err
}

// banded has a warm wallet beside the hot one, a band for bitcoin in hot wallets, and a rule by which officers let assets move into warm ones.
func banded(t *testing.T) *world {
	w := newWorld(t, "")
	w.enact(func(g *canon.Genesis) {
		warm := g.Wallets[0]
		warm.Name, warm.Label, warm.Tier, warm.Number = "btc-warm", "Bitcoin, warm", canon.Warm, 3
		g.Wallets = append(g.Wallets, warm)
		g.Allocation = []canon.Allocation{{Asset: btc, Tier: canon.Hot, MaxPermill: 200, TargetPermill: 100, MinPermill: 50}}
		g.Delays.Balances = 300
		g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Treasury desk", Treasury: true, Keys: []canon.PublicKey{public(newKey(t))}})
		sweep := g.Rules[1]
		sweep.Name, sweep.To = "sweep", []canon.Target{{Kind: canon.TargetTier, Name: "warm"}}
		g.Rules = append([]canon.Rule{sweep}, g.Rules...)
	})
	w.follow(2)
	return w
}

// sees has the nodes state what the Bitcoin wallets hold, in satoshi.
func (w *world) sees(hot, warm uint64, nodes ...canon.Name) {
	for _, name := range nodes {
		w.nodes[name].set(func(n *node) {
			n.held = map[canon.ChainID][]canon.Holding{testBTC: {
				{Wallet: "btc-hot", Asset: btc, Amount: canon.AmountOf(hot)}, {Wallet: "btc-warm", Asset: btc, Amount: canon.AmountOf(warm)},
			}}
		})
	}
}

func (e *endpoint) allocation(role rpc.Role, name canon.Name) (*strongroomv1.GetAllocationResponse, error) {
	e.service.allocated.answer = nil // ask for what is true now
	return strongroomv1.NewTreasuryServiceClient(e.as(role, name)).GetAllocation(e.ctx, &strongroomv1.GetAllocationRequest{})
}

func TestTreasuryProposesToSweepABreachedBand(t *testing.T) {
	w := banded(t)
	w.fund(60_000_000, 40_000_000)
	w.sees(100_000_000, 100_000_000, nodeNames...)
	e := w.serve(false)
	got, err := e.allocation(rpc.Operator, "ops")
	if err != nil {
		t.Fatal(err)
	}
	line := got.GetLines()[0]
	if line.GetAsset() != string(btc) || !line.GetBreached() || line.GetSharePermill() != 500 || line.GetTier() != "hot" || line.GetHot() != "100000000" || line.GetMaxPermill() != 200 {
		t.Errorf("expected a breached share of 50 %% hot, found %v", line)
	}
	if len(got.GetWarnings()) == 0 {
		t.Error("expected a warning of the breach, found none")
	}
	if len(got.GetProposals()) != 1 {
		t.Fatalf("expected one proposal, found %v", got.GetProposals())
	}
	p := got.GetProposals()[0]
	if p.GetKind() != "sweep" || p.GetFromWallet() != "btc-hot" || p.GetToWallet() != "btc-warm" || p.GetAccount() != "acme-main" || p.GetClient() != "acme" || p.GetAmount() != "80000000" {
		t.Errorf("expected 0.8 BTC of acme's from hot to warm, found %v", p)
	}
	if p.GetVerdict() != "approve" || p.GetRule() != "sweep" {
		t.Errorf("expected rule sweep to ask for approval, found %s by %q: %v", p.GetVerdict(), p.GetRule(), p.GetRefusals())
	}
	warm, _ := w.service.charter().Wallet("btc-warm")
	account, _ := w.service.charter().Account("acme-main")
	derived, _, err := w.service.keys.derive(warm, account, 0, p.GetToIndex())
	if err != nil || w.service.addressText(testBTC, derived) != p.GetToAddress() {
		t.Errorf("expected the account's address %d in btc-warm, found %s, %v", p.GetToIndex(), p.GetToAddress(), err)
	}
	for _, signed := range got.GetBalances() {
		if _, err := fact.Balances(w.service.charter(), fromSigned(signed), w.service.now()); err != nil {
			t.Errorf("statements: %v", err)
		}
	}
}

func TestTreasuryReadsStatementsAgainstTheMover(t *testing.T) {
	w := banded(t)
	w.learn()
	w.sees(10_000_000, 90_000_000, nodeNames...)
	w.sees(30_000_000, 90_000_000, "node-2")
	w.nodes["node-3"].set(func(n *node) { n.mangle = true })
	w.nodes["node-4"].set(func(n *node) { n.down = true })
	e := w.serve(false)
	got, err := e.allocation(rpc.Officer, "alice")
	if err != nil || len(got.GetBalances()) != 4 { // of two nodes on two chains
		t.Fatalf("expected the statements of two nodes, found %d, %v", len(got.GetBalances()), err)
	}
	if l := got.GetLines()[0]; l.GetHot() != "30000000" || !l.GetBreached() {
		t.Errorf("expected the most that a node states of hot wallets, found %v", l)
	}
	w.nodes["node-2"].set(func(n *node) { n.held = nil })
	w.offset.Add(2 * balancesKept) // what was stated is asked for again
	got, err = e.allocation(rpc.Officer, "alice")
	if err != nil || len(got.GetLines()) != 0 || len(got.GetProposals()) != 0 || len(got.GetWarnings()) != 1 {
		t.Errorf("one statement for a chain: expected no line and a warning that some are missing, found %v, %v", got, err)
	}
}

func TestTreasuryAnswersDesksAndNoOtherClient(t *testing.T) {
	w := banded(t)
	w.sees(10_000_000, 90_000_000, nodeNames...)
	e := w.serve(false)
	if _, err := e.allocation(rpc.Custodian, "acme"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a client: expected PermissionDenied, found %v", err)
	}
	if _, err := e.allocation(rpc.Custodian, "desk"); err != nil {
		t.Errorf("the desk: expected an answer, found %v", err)
	}
	if _, err := e.allocation(rpc.Auditor, "audrey"); err != nil {
		t.Errorf("the auditor: expected an answer, found %v", err)
	}
}

func TestTreasuryWarnsOfWhatIsPending(t *testing.T) {
	w := banded(t)
	w.fund(10_000_000)
	w.sees(10_000_000, 90_000_000, nodeNames...)
	w.create("large", amount(8_000_000))
	e := w.serve(false)
	got, err := e.allocation(rpc.Operator, "ops")
	if err != nil || len(got.GetWarnings()) != 1 || got.GetWarnings()[0].GetSharePermill() >= 50 {
		t.Errorf("expected a warning that hot wallets will hold too little, found %v, %v", got.GetWarnings(), err)
	}
}

func TestTreasuryAnswersOfAMomentAgoServeEverybody(t *testing.T) {
	w := banded(t)
	w.sees(10_000_000, 90_000_000, nodeNames...)
	first, err := w.service.allocation(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.service.allocation(w.ctx)
	if err != nil || again != first {
		t.Errorf("expected the same answer again, found another, %v", err)
	}
	w.offset.Add(10)
	later, err := w.service.allocation(w.ctx)
	if err != nil || later == first {
		t.Errorf("ten seconds later: expected another answer, found the same, %v", err)
	}
}
