package cli_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// stated signs a statement as an authority of the charter, whose key is named as it is.
func stated(t *testing.T, authority string, d canon.Document) canon.Signed {
	t.Helper()
	document := must[[]byte](t)(canon.Encode(d))
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(clitest.Key(authority), d.Kind().Message(document))}
}

// withAuthorities changes a charter so that its rule "large" goes by prices, an attribute, a clearance and a delay, and has a warm wallet and a desk.
func withAuthorities(g *canon.Genesis) {
	g.Authorities = []canon.Authority{
		{Name: "feed", Purpose: canon.PurposePrice, Key: clitest.Public("feed")}, {Name: "kyc-desk", Purpose: canon.PurposeAttribute, Key: clitest.Public("kyc-desk")},
		{Name: "screener", Purpose: canon.PurposeScreening, Key: clitest.Public("screener")},
	}
	g.Prices = []canon.PriceSource{{Asset: g.Assets[0].ID, Currency: "USD", Authorities: []canon.Name{"feed"}, MaxAge: 3600, Min: canon.AmountOf(1e15), Max: bigAmount("1000000000000000000")}}
	cold := g.Wallets[0]
	cold.Name, cold.Label, cold.Tier, cold.Number = "btc-warm", "Bitcoin, warm", canon.Warm, 9
	g.Wallets = append(g.Wallets, cold)
	g.Clients = append(g.Clients, canon.Client{Name: "desk", Label: "Treasury", Treasury: true, Keys: []canon.PublicKey{clitest.Public("desk")}, Devices: []canon.PublicKey{clitest.Public("desk/device")}})
	r := &g.Rules[1]
	r.To = append(r.To, canon.Target{Kind: canon.TargetWallet, Name: canon.Any}, canon.Target{Kind: canon.TargetBook, Name: "exchanges"})
	r.Amounts = r.Amounts[:1] // BTC, which has a price
	r.Delay, r.Clearances = 3600, []canon.Name{"screener"}
	r.Attributes = []canon.AttributeCondition{{Name: "kyc", Values: []canon.Text{"enhanced"}, Authority: "kyc-desk"}}
	r.Value = &canon.ValueRange{Currency: "USD", Max: canon.AmountOf(1_000_000_000_000)}
}

func bigAmount(text string) canon.Amount {
	a, err := wallets.ParseAmount(text, canon.Asset{})
	if err != nil {
		panic(err)
	}
	return a
}

// rests adds the statements that rule "large" asks for to an intent.
func (w *world) rests(t *testing.T, request canon.Signed) func(*canon.Intent) {
	t.Helper()
	org, at := w.Charter.Organisation(), canon.TimeOf(w.clock())
	return func(i *canon.Intent) {
		i.At = at
		i.Destinations = []canon.Destination{{Groups: []canon.Name{"exchanges"}, Recent: []canon.Name{"new"}}, {Groups: []canon.Name{}}}
		i.Prices = []canon.Signed{stated(t, "feed", canon.Price{Organisation: org, Authority: "feed", Asset: w.Charter.Genesis().Assets[0].ID, Currency: "USD", Value: bigAmount("65000250000000000"), At: at - 60})}
		i.Attributes = []canon.Signed{stated(t, "kyc-desk", canon.Attribute{Organisation: org, Authority: "kyc-desk", Client: "fund-a", Name: "kyc", Value: "enhanced", At: at - 30, NotAfter: at + 10*86_400})}
		i.Clearances = []canon.Signed{stated(t, "screener", canon.Clearance{Organisation: org, Authority: "screener", Request: canon.KindRequest.Digest(request.Document), Cleared: true, At: at, NotAfter: at + 10*86_400})}
	}
}

func TestOfficersSeeTheFactsThatAnIntentRestsOn(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	request := w.ownRequest(t, "fund-a", clitest.Pay{To: known, Amount: "0.5 BTC"}, clitest.Pay{To: unknown, Amount: "0.25 BTC"})
	intent := must[[]byte](t)(w.Intent(request, w.rests(t, request)))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	alice.both(t, "show-facts", func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)) })
	alice.both(t, "inbox-own", func(ctx context.Context, s *cli.Session) error { return s.Inbox(ctx, false) })
	for _, line := range strings.Split(golden80(t, "show-facts.txt"), "\n") {
		if len([]rune(line)) > 80 && !strings.Contains(strings.TrimSpace(line), " ") {
			continue // one word, which is never cut
		}
		if len([]rune(line)) > 80 {
			t.Errorf("expected lines of at most 80 characters, found %q", line)
		}
	}
}

func golden80(t *testing.T, name string) string {
	t.Helper()
	return string(must[[]byte](t)(os.ReadFile(filepath.Join("testdata", name))))
}

// ownRequest is a request whose second payment goes to the account's own address 3 of the warm wallet.
func (w *world) ownRequest(t *testing.T, signer string, pays ...clitest.Pay) canon.Signed {
	t.Helper()
	signed := must[canon.Signed](t)(w.Request(w.clock(), "r-1", "btc-hot", pays...))
	var r canon.Request
	if err := canon.Decode(signed.Document, &r); err != nil {
		t.Fatal(err)
	}
	r.Outputs[len(r.Outputs)-1].Own = &canon.OwnAddress{Wallet: "btc-warm", Index: 3}
	r.Requester = clitest.Public(signer)
	document := must[[]byte](t)(canon.Encode(r))
	return canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(clitest.Key(signer), canon.KindRequest.Message(document))}
}

func TestOfficersSeeThatADeskAsks(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	request := w.ownRequest(t, "desk", clitest.Pay{To: unknown, Amount: "0.25 BTC"})
	intent := must[[]byte](t)(w.Intent(request, w.rests(t, request), func(i *canon.Intent) { i.Destinations = nil }))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	expect(t, w.person(t, "alice", rpc.Officer).shown(t, digestOf(intent)), "Asked by treasury desk desk", "which is own wallet btc-warm (Bitcoin, warm), warm, index 3")
}

func TestWhatAnAuthorityDidNotSignIsRefusedBeforeItIsShown(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	request := w.ownRequest(t, "fund-a", clitest.Pay{To: known, Amount: "0.5 BTC"}, clitest.Pay{To: unknown, Amount: "0.25 BTC"})
	intent := must[[]byte](t)(w.Intent(request, w.rests(t, request), func(i *canon.Intent) { i.Prices[0].Signature[0] ^= 1 }))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	alice := w.person(t, "alice", rpc.Officer)
	err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Show(ctx, digestOf(intent)) })
	if !errors.Is(err, cli.ErrRefused) {
		t.Errorf("expected ErrRefused, found %v", err)
	}
	expect(t, strings.Join(strings.Fields(alice.out.String()), " "), "REFUSED", "price: signature")
}

// attested returns an address of the account in the warm wallet that so many signers attest.
func (w *world) attested(t *testing.T, wallet string, signers ...string) *pb.Address {
	t.Helper()
	out := &pb.Address{}
	for _, n := range signers {
		a := must[canon.Signed](t)(w.Attest(n, 7, func(a *canon.Address) {
			known, _ := w.Charter.Wallet(canon.Name(wallet))
			a.Wallet, a.Path[1] = known.Name, known.Number
		}))
		out.Attestations = append(out.Attestations, clitest.Wire(a))
	}
	return out
}

func TestAMoveGoesWhereSignersAttest(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	order := cli.Order{Wallet: "btc-hot", Account: "fund-a-main", ToWallet: "btc-warm", Amounts: []string{"0.5 BTC"}, FeeCap: "0.0001 BTC", RequestID: "m-1", Expiry: time.Hour}
	move := func(o cli.Order) error {
		return w.person(t, "fund-a", rpc.Custodian).run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, o, false) })
	}
	w.coordinator.Addresses = []*pb.Address{w.attested(t, "btc-warm", "node-1")}
	if err := move(order); refusal.Of(err) == nil {
		t.Errorf("one signer's word: expected a refusal, found %v", err)
	}
	w.coordinator.Addresses = []*pb.Address{w.attested(t, "btc-hot", "node-1", "node-2")}
	if err := move(order); refusal.Of(err) == nil {
		t.Errorf("an address in another wallet: expected a refusal, found %v", err)
	}
	w.coordinator.Addresses = []*pb.Address{w.attested(t, "btc-warm", "node-1", "node-2")}
	if err := move(order); err != nil {
		t.Fatal(err)
	}
	var r canon.Request
	if err := canon.Decode(w.coordinator.Created.GetRequest().GetDocument(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Outputs) != 1 || r.Outputs[0].Own == nil || *r.Outputs[0].Own != (canon.OwnAddress{Wallet: "btc-warm", Index: 7}) || r.RequestID != "m-1" {
		t.Errorf("expected one output to address 7 of btc-warm, found %+v", r)
	}
	for name, change := range map[string]func(*cli.Order){
		"the same wallet":       func(o *cli.Order) { o.ToWallet = "btc-hot" },
		"another chain":         func(o *cli.Order) { o.ToWallet = "eth-hot" },
		"no wallet":             func(o *cli.Order) { o.ToWallet = "nowhere" },
		"an address as well":    func(o *cli.Order) { o.To = []string{known} },
		"two amounts":           func(o *cli.Order) { o.Amounts = append(o.Amounts, "1 BTC") },
		"an account of nowhere": func(o *cli.Order) { o.Account = "house-main" },
	} {
		changed := order
		change(&changed)
		if err := move(changed); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

func TestADeskMovesWhatItDoesNotOwn(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	w.coordinator.Addresses = []*pb.Address{w.attested(t, "btc-warm", "node-1", "node-2")}
	desk := w.person(t, "desk", rpc.Custodian)
	order := cli.Order{Wallet: "btc-hot", Account: "fund-a-main", ToWallet: "btc-warm", Amounts: []string{"0.5 BTC"}, FeeCap: "0.0001 BTC", Expiry: time.Hour}
	if err := desk.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order, false) }); err != nil {
		t.Fatal(err)
	}
	var r canon.Request
	if err := canon.Decode(w.coordinator.Created.GetRequest().GetDocument(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Client != "fund-a" || r.Requester != clitest.Public("desk") {
		t.Errorf("expected fund-a's request by the desk, found %s by %s", r.Client, r.Requester)
	}
	order.ToWallet, order.To = "", []string{known}
	if err := desk.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order, false) }); refusal.Of(err) == nil {
		t.Errorf("a payment to others: expected a refusal, found %v", err)
	}
}

func TestTravelRuleDataGoesWithTheRequestThatBindsIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	data := must[[]byte](t)(os.ReadFile("../../proto/ivms101/testdata/example-1.json"))
	path := filepath.Join(t.TempDir(), "ivms101.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	client := w.person(t, "fund-a", rpc.Custodian)
	order := cli.Order{Wallet: "btc-hot", Account: "fund-a-main", To: []string{known}, Amounts: []string{"0.5 BTC"}, FeeCap: "0.0001 BTC", Expiry: time.Hour, TravelFile: path}
	if err := client.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order, false) }); err != nil {
		t.Fatal(err)
	}
	var r canon.Request
	if err := canon.Decode(w.coordinator.Created.GetRequest().GetDocument(), &r); err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(data); string(r.TravelData) != string(sum[:]) || string(w.coordinator.Created.GetTravelRuleData()) != string(data) {
		t.Errorf("expected the file beside a request that binds its digest, found %x", r.TravelData)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(data), `"LEGL"`, `"Barnes"`, 2)), 0o600); err != nil {
		t.Fatal(err)
	}
	err := client.run(t, func(ctx context.Context, s *cli.Session) error { return s.Withdraw(ctx, order, false) })
	if refusal.Of(err) == nil || strings.Contains(client.out.String()+err.Error(), "Barnes") || !strings.Contains(err.Error(), "nameIdentifierType") {
		t.Errorf("data that is none: expected a refusal that names the member and quotes nothing, found %v", err)
	}
}
