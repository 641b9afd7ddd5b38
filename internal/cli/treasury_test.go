package cli_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// treasury is an organisation with a warm wallet, a treasury desk and a band of 10 % hot bitcoin, whose coordinator says what the test has it say.
func treasury(t *testing.T) *world {
	t.Helper()
	o, err := clitest.NewFrom(t.TempDir(), func(g *canon.Genesis) {
		warm := g.Wallets[0]
		warm.Name, warm.Label, warm.Tier, warm.Number = "btc-warm", "Bitcoin, warm", canon.Warm, 7
		g.Wallets = append(g.Wallets, warm)
		g.Allocation[0].MaxPermill, g.Allocation[0].TargetPermill = 100, 50
		g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Treasury desk", Treasury: true,
			Keys: []canon.PublicKey{clitest.Public("desk")}, Devices: []canon.PublicKey{clitest.Public("desk/device")}})
	})
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, o)
}

func (w *world) btc() canon.AssetID { return w.Charter.Genesis().Assets[0].ID }

// sees is a node's statement of what the Bitcoin wallets hold, in satoshi.
func (w *world) sees(node string, hot, warm uint64) *pb.Signed {
	return clitest.Wire(clitest.SignAs(node, canon.Balances{Organisation: w.Charter.Organisation(), Signer: canon.Name(node), Chain: w.btc().Chain(), Height: 7, At: canon.TimeOf(noon),
		Holdings: []canon.Holding{{Wallet: "btc-hot", Asset: w.btc(), Amount: canon.AmountOf(hot)}, {Wallet: "btc-warm", Asset: w.btc(), Amount: canon.AmountOf(warm)}}}))
}

// said is what a coordinator says when two nodes see so much.
func (w *world) said(hot, warm uint64, line *pb.AllocationLine) *pb.GetAllocationResponse {
	evm := func(node string) *pb.Signed {
		return clitest.Wire(clitest.SignAs(node, canon.Balances{Organisation: w.Charter.Organisation(), Signer: canon.Name(node), Chain: "eip155:1337", At: canon.TimeOf(noon)}))
	}
	line.Asset, line.Tier, line.Warm, line.Cold = string(w.btc()), "hot", canon.AmountOf(warm).String(), "0"
	return &pb.GetAllocationResponse{At: timestamppb.New(noon), Lines: []*pb.AllocationLine{line},
		Balances: []*pb.Signed{w.sees("node-1", hot, warm), w.sees("node-2", hot, warm), evm("node-1"), evm("node-2")}}
}

func allocationOf(ctx context.Context, s *cli.Session) error { return s.Allocation(ctx) }

func TestTreasuryTableIsWorkedOutFromStatements(t *testing.T) {
	t.Parallel()
	w := treasury(t)
	w.coordinator.Allocation = w.said(20_000_000, 80_000_000, &pb.AllocationLine{Hot: "20000000", Breached: true})
	w.coordinator.Allocation.Warnings = []*pb.AllocationWarning{{Text: "BTC in hot wallets: 20.0%, above the most of 10.0%"}}
	p := w.person(t, "ops", rpc.Operator)
	err := p.run(t, allocationOf)
	if !errors.Is(err, cli.ErrBreached) || cli.ExitCode(err) != cli.ExitBreached {
		t.Errorf("a breach: expected exit code 2, found %v", err)
	}
	golden(t, "treasury.txt", p.out.String())
	p.JSON = true
	if err := p.run(t, allocationOf); !errors.Is(err, cli.ErrBreached) {
		t.Error(err)
	}
	golden(t, "treasury.json", p.out.String())
	p.JSON = false
	w.coordinator.Allocation = w.said(5_000_000, 95_000_000, &pb.AllocationLine{Hot: "5000000"})
	if err := p.run(t, allocationOf); err != nil {
		t.Errorf("within the band: expected no error, found %v", err)
	}
}

func TestTreasuryDoesNotBelieveTheCoordinator(t *testing.T) {
	t.Parallel()
	w := treasury(t)
	p := w.person(t, "ops", rpc.Operator)
	w.coordinator.Allocation = w.said(20_000_000, 80_000_000, &pb.AllocationLine{Hot: "5000000"})
	if err := p.run(t, allocationOf); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(p.out.String(), "BREACHED") || !strings.Contains(p.out.String(), "DOUBT") {
		t.Errorf("other figures than the statements': expected the statements' figures, a doubt and exit code 3, found %v\n%s", err, p.out)
	}
	forged := w.said(5_000_000, 95_000_000, &pb.AllocationLine{Hot: "5000000"})
	forged.Balances[0].Signature[0] ^= 1
	w.coordinator.Allocation = forged
	if err := p.run(t, allocationOf); err == nil || !strings.Contains(err.Error(), "of 2 signers") || !strings.Contains(p.err.String(), "signature") {
		t.Errorf("one forged statement of two: expected too few, found %v\n%s", err, p.err)
	}
	w.coordinator.Allocation = w.said(5_000_000, 95_000_000, &pb.AllocationLine{Hot: "5000000"})
	w.wait(6 * time.Minute)
	if err := p.run(t, allocationOf); err == nil || !strings.Contains(err.Error(), "of 2 signers") {
		t.Errorf("statements of six minutes ago: expected them not to count, found %v", err)
	}
}

// proposed is a sweep from hot to warm.
func (w *world) proposed() *pb.MoveProposal {
	return &pb.MoveProposal{Kind: "sweep", Client: "fund-a", Account: "fund-a-main", Asset: string(w.btc()), FromWallet: "btc-hot", ToWallet: "btc-warm",
		Amount: "15000000", FeeCap: "20000", ToAddress: known, Reason: "BTC in hot wallets: 20.0% of the holdings, at most 10.0%, target 5.0%", Verdict: "approve", Rule: "sweep"}
}

func TestTreasuryDeskAsksForWhatIsProposed(t *testing.T) {
	t.Parallel()
	w := treasury(t)
	w.coordinator.Allocation = w.said(20_000_000, 80_000_000, &pb.AllocationLine{Hot: "20000000", Breached: true})
	w.coordinator.Allocation.Proposals = []*pb.MoveProposal{w.proposed()}
	p := w.person(t, "desk", rpc.Custodian)
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Moves(ctx) }); err != nil {
		t.Fatal(err)
	}
	golden(t, "treasury-proposals.txt", p.out.String())
	var attested []*pb.Signed
	inWarm := func(a *canon.Address) { a.Wallet, a.Path[1] = "btc-warm", 7 }
	for _, node := range []string{"node-1", "node-2"} {
		attested = append(attested, clitest.Wire(must[canon.Signed](t)(w.Attest(node, 3, inWarm))))
	}
	var address canon.Address
	if err := canon.Decode(attested[0].GetDocument(), &address); err != nil {
		t.Fatal(err)
	}
	chain, _ := w.Charter.Chain(w.btc().Chain())
	w.coordinator.Addresses = []*pb.Address{{Address: must[string](t)(wallets.AddressText(chain, address.Address)), Wallet: "btc-warm", Account: "fund-a-main", Index: 3, Attestations: attested}}
	var sent *pb.Signed
	w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) { sent = s; return accept(w, "awaiting-approval")(s) }
	move := func(kind string, n int) error {
		return p.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.Move(ctx, cli.MoveOrder{Kind: kind, Number: n, RequestID: "sweep-1", Expiry: time.Hour}, false)
		})
	}
	p.Terminal = typist("0.1 BTC")
	if err := move("sweep", 1); !errors.Is(err, cli.ErrRefused) || sent != nil {
		t.Errorf("another amount typed: expected nothing signed, found %v", err)
	}
	p.Terminal = typist("0.15 BTC")
	if err := move("sweep", 1); err != nil {
		t.Fatal(err)
	}
	golden(t, "treasury-move.txt", p.out.String())
	r, err := approval.VerifyRequest(w.Charter, signedOf(sent))
	if err != nil {
		t.Fatal(err)
	}
	o := r.Outputs[0]
	if r.Client != "fund-a" || r.Requester != clitest.Public("desk") || r.Wallet != "btc-hot" || o.Own == nil || o.Own.Wallet != "btc-warm" || o.Own.Index != 3 ||
		string(o.Address) != string(address.Address) || o.Amount.String() != "15000000" || r.FeeCap.String() != "20000" {
		t.Errorf("expected the proposed amount to the attested address, signed by the desk, found %+v", r)
	}
	for _, n := range []int{0, 2, -1} {
		if err := move("sweep", n); err == nil {
			t.Errorf("sweep %d of 1: expected an error, found none", n)
		}
	}
	if err := move("refill", 1); err == nil {
		t.Error("a refill where none is proposed: expected an error, found none")
	}
}

func TestTreasuryDeskSignsNothingElseThanItMeans(t *testing.T) {
	t.Parallel()
	w := treasury(t)
	chain, _ := w.Charter.Chain(w.btc().Chain())
	attest := func(n string) *pb.Signed {
		return clitest.Wire(must[canon.Signed](t)(w.Attest(n, 3, func(a *canon.Address) { a.Wallet, a.Path[1] = "btc-warm", 7 })))
	}
	attested := []*pb.Signed{attest("node-1"), attest("node-2")}
	var address canon.Address
	if err := canon.Decode(attested[0].GetDocument(), &address); err != nil {
		t.Fatal(err)
	}
	w.coordinator.Addresses = []*pb.Address{{Address: must[string](t)(wallets.AddressText(chain, address.Address)), Wallet: "btc-warm", Account: "fund-a-main", Index: 3, Attestations: attested}}
	for _, c := range []struct {
		name            string
		hot, warm       uint64
		edit            func(*pb.MoveProposal)
		account, amount string
		fee             string // of what is signed; empty: nothing is
	}{
		{name: "as meant", hot: 20_000_000, warm: 80_000_000, account: "fund-a-main", amount: "0.15 BTC", fee: "20000"},
		{name: "another amount meanwhile", hot: 20_000_000, warm: 80_000_000, edit: func(m *pb.MoveProposal) { m.Amount = "14000000" }, account: "fund-a-main", amount: "0.15 BTC"},
		{name: "another account", hot: 20_000_000, warm: 80_000_000, account: "fund-b-main", amount: "0.15 BTC"},
		{name: "an amount without an account", hot: 20_000_000, warm: 80_000_000, amount: "0.15 BTC"},
		{name: "no confirmation", hot: 20_000_000, warm: 80_000_000},
		{name: "more than the statements call for", hot: 20_000_000, warm: 80_000_000, edit: func(m *pb.MoveProposal) { m.Amount = "19000000" }, account: "fund-a-main", amount: "0.19 BTC"},
		{name: "no breach", hot: 5_000_000, warm: 95_000_000, account: "fund-a-main", amount: "0.15 BTC"},
		{name: "a fee above every rule's", hot: 20_000_000, warm: 80_000_000, edit: func(m *pb.MoveProposal) { m.FeeCap = "4000000" }, account: "fund-a-main", amount: "0.15 BTC", fee: "100000"},
	} {
		m := w.proposed()
		if c.edit != nil {
			c.edit(m)
		}
		w.coordinator.Allocation = w.said(c.hot, c.warm, &pb.AllocationLine{Hot: canon.AmountOf(c.hot).String()})
		w.coordinator.Allocation.Proposals = []*pb.MoveProposal{m}
		var sent *pb.Signed
		w.coordinator.Create = func(s *pb.Signed) (*pb.Withdrawal, error) { sent = s; return accept(w, "awaiting-approval")(s) }
		p := w.person(t, "desk", rpc.Custodian)
		err := p.run(t, func(ctx context.Context, s *cli.Session) error {
			return s.Move(ctx, cli.MoveOrder{Kind: "sweep", Number: 1, Account: c.account, Amount: c.amount, Expiry: time.Hour}, false)
		})
		if (err == nil) != (c.fee != "") || (sent != nil) != (c.fee != "") {
			t.Errorf("%s: expected signed %t, found %t, %v", c.name, c.fee != "", sent != nil, err)
			continue
		}
		if sent == nil {
			continue
		}
		if r, err := approval.VerifyRequest(w.Charter, signedOf(sent)); err != nil || r.FeeCap.String() != c.fee {
			t.Errorf("%s: expected a fee of at most %s, found %+v, %v", c.name, c.fee, r, err)
		}
	}
}

func TestTreasuryProposalsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	w := treasury(t)
	p := w.person(t, "desk", rpc.Custodian)
	for name, edit := range map[string]func(*pb.MoveProposal){
		"kind":           func(m *pb.MoveProposal) { m.Kind = "refill" },
		"same tier":      func(m *pb.MoveProposal) { m.ToWallet = "btc-hot" },
		"unknown wallet": func(m *pb.MoveProposal) { m.ToWallet = "none" },
		"other chain":    func(m *pb.MoveProposal) { m.ToWallet = "eth-hot" },
		"other client":   func(m *pb.MoveProposal) { m.Client = "house" },
		"asset":          func(m *pb.MoveProposal) { m.Asset = "eip155:1337/slip44:60" },
		"amount":         func(m *pb.MoveProposal) { m.Amount = "-1" },
		"long amount":    func(m *pb.MoveProposal) { m.Amount = strings.Repeat("9", 1000) },
		"address":        func(m *pb.MoveProposal) { m.ToAddress = "nowhere" },
	} {
		m := w.proposed()
		edit(m)
		w.coordinator.Allocation = w.said(20_000_000, 80_000_000, &pb.AllocationLine{Hot: "20000000", Breached: true})
		w.coordinator.Allocation.Proposals = []*pb.MoveProposal{m}
		if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Moves(ctx) }); cli.ExitCode(err) != cli.ExitRefused {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}
