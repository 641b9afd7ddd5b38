package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestIntentsAreRenderedFromTheirBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}, clitest.Pay{To: unknown, Amount: "0.25 BTC"})
	intent := w.intent(t, request)
	bob := must[canon.Signed](t)(w.Approve("bob", intent, canon.TimeOf(noon.Add(time.Hour))))
	p := clitest.PendingOf(intent, bob)
	p.AddressProofs = [][]byte{w.Proof(request, 0)}
	w.coordinator.Pending = []*pb.PendingIntent{p}
	token := w.intent(t, w.request(t, "r-2", "eth-hot", clitest.Pay{To: "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Amount: "750 USDX"}))
	w.nodes["node-2"].Seen = [][]byte{token, intent}

	alice := w.person(t, "alice", rpc.Officer)
	alice.both(t, "show", func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)[:8]) })
	alice.both(t, "inbox", func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) })
	allowed := w.intent(t, w.request(t, "r-3", "btc-hot", clitest.Pay{To: known, Amount: "0.01 BTC"}),
		func(i *canon.Intent) {
			i.Rule, i.Quorum, i.NotAfter = "small", canon.Quorum{}, canon.TimeOf(noon)
		})
	enough := w.intent(t, w.request(t, "r-4", "btc-hot", clitest.Pay{To: known, Amount: "3 BTC"}))
	met := clitest.PendingOf(enough, must[canon.Signed](t)(w.Approve("bob", enough, canon.TimeOf(noon.Add(time.Hour)))),
		must[canon.Signed](t)(w.Approve("carol", enough, canon.TimeOf(noon.Add(time.Hour)))))
	w.coordinator.Closed = []*pb.PendingIntent{met}
	w.nodes["node-3"].Seen = [][]byte{allowed, enough}
	alice.both(t, "inbox-all", func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, true) })
	golden(t, "inbox.txt", func() string {
		if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) }); err != nil {
			t.Error(err)
		}
		return alice.out.String()
	}())
	bobs := w.person(t, "bob", rpc.Officer)
	if err := bobs.run(t, func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) }); err != nil || !strings.Contains(bobs.out.String(), "[approved by you]") {
		t.Errorf("expected bob's own approval to be marked, found %v and:\n%s", err, bobs.out)
	}
}

func TestTheCharterReadsAsPlainWords(t *testing.T) {
	t.Parallel()
	p := newWorld(t).person(t, "alice", rpc.Officer)
	p.both(t, "charter", func(_ context.Context, s *cli.Session) error { return s.ShowCharter() })
	p.both(t, "digest", func(context.Context, *cli.Session) error { return p.VerifyCharter() })
}

func TestWithdrawalsAreRenderedFromTheSignedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	request := w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.015 BTC"})
	intent := w.intent(t, request)
	var r canon.Request
	if err := canon.Decode(request.Document, &r); err != nil {
		t.Fatal(err)
	}
	name := "withdrawals/" + r.WithdrawalID().String()
	w.coordinator.Withdrawals = []*pb.Withdrawal{{
		Name: name, State: "confirmed", Rule: "small", Request: clitest.Wire(request), Intent: intent,
		Client: "somebody-else", Payments: []*pb.Payment{{Address: "bcrt1qliar", Asset: "BTC", Amount: "1"}},
		Txid: strings.Repeat("ab", 32), Confirmations: 3, Fee: "1400", SignedBy: []string{"node-1", "node-3"},
		CreateTime: timestamppb.New(noon), UpdateTime: timestamppb.New(noon.Add(time.Minute)),
	}}
	w.coordinator.Events = []*pb.WithdrawalEvent{{Sequence: 7, Withdrawal: name, Event: "submit", State: "requested", CreateTime: timestamppb.New(noon),
		Refusals: []*pb.Refusal{{Rule: "limit", Field: "amount", Expected: "at most 1 BTC", Found: "2 BTC"}}}}
	p := w.person(t, "fund-a", rpc.Custodian)
	p.both(t, "withdrawal", func(ctx context.Context, s *cli.Session) error { return s.Withdrawal(ctx, r.WithdrawalID().String()) })
	p.both(t, "withdrawals", func(ctx context.Context, s *cli.Session) error { return s.Withdrawals(ctx, "") })
	for _, asJSON := range []bool{false, true} {
		p.JSON = asJSON
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Watch(ctx, 7, "") })
		if cli.ExitCode(err) != cli.ExitUnreachable {
			t.Errorf("expected the end of the stream to be an error of code 4, found %v", err)
		}
		golden(t, map[bool]string{false: "event.txt", true: "event.json"}[asJSON], p.out.String())
	}
}

func TestAddressesAndWalletsAreRendered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := &pb.Address{}
	for _, n := range []string{"node-3", "node-1"} {
		good.Attestations = append(good.Attestations, clitest.Wire(must[canon.Signed](t)(w.Attest(n, 7))))
	}
	w.coordinator.Addresses = []*pb.Address{good}
	asset := string(w.Charter.Genesis().Assets[0].ID)
	w.coordinator.Wallets = []*pb.Wallet{{Name: "wallets/btc-hot", Tier: "a lie", Balances: []*pb.Balance{{Account: "fund-a-main", Asset: asset, Confirmed: "150000000", Pending: "1"}}}}
	p := w.person(t, "fund-a", rpc.Custodian)
	p.both(t, "address", func(ctx context.Context, s *cli.Session) error {
		return s.NewAddress(ctx, "btc-hot", "fund-a-main", "a-1", "")
	})
	p.both(t, "addresses", func(ctx context.Context, s *cli.Session) error { return s.Addresses(ctx, "btc-hot", "fund-a-main") })
	p.both(t, "wallets", func(ctx context.Context, s *cli.Session) error { return s.Wallets(ctx) })
}

func TestStatusAndKeygenAreRendered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.coordinator.Status = &pb.GetStatusResponse{
		Chains: []*pb.ChainStatus{{Chain: "eip155:1337", Height: 12}},
		Signers: []*pb.SignerStatus{{Signer: "node-1", Reachable: true, LedgerLength: 5, LedgerHead: strings.Repeat("0a", 32),
			Keys: []*pb.KeyStatus{{Key: "hot", Epoch: 1, PublicKey: append([]byte{3}, make([]byte, 32)...)}}},
			{Signer: "node-4", Error: "no route"}, {Signer: "node-2", Reachable: true, Error: "token of wallet btc-warm: CKR_DEVICE_ERROR"}, {Signer: "node-9", Reachable: true}},
	}
	w.nodes["node-1"].Status = &pb.SignerStatus{Signer: "node-1", LedgerLength: 6, LedgerHead: strings.Repeat("0b", 32),
		Keys: []*pb.KeyStatus{{Key: "hot", Epoch: 1, PublicKey: append([]byte{2}, make([]byte, 32)...)}}}
	w.nodes["node-1"].Devices = []*pb.DeviceStatus{{Wallet: "btc-cold", Generation: 1, Committed: 7}, {Wallet: "btc-warm", Error: "CKR_DEVICE_REMOVED", Generation: 3}}
	p := w.person(t, "alice", rpc.Officer)
	p.both(t, "status", func(ctx context.Context, s *cli.Session) error { return s.Status(ctx) })
	p.both(t, "keygen", func(ctx context.Context, s *cli.Session) error { return s.GenerateKey(ctx, "hot") })
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.GenerateKey(ctx, "cold") }); err == nil {
		t.Error("expected a key that the charter does not name to be refused, found none")
	}
}
