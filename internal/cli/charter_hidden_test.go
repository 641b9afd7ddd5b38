package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// full fills every list of a charter's rules, limits and the rest with entries that use every field.
func full(g *canon.Genesis) {
	btc, eth := g.Assets[0].ID, g.Assets[1].ID
	g.Rules = append(g.Rules, canon.Rule{
		Name: "all", Clients: []canon.Name{"fund-a"}, Accounts: []canon.Name{"fund-a-main"}, Wallets: []canon.Name{"btc-hot"}, Action: canon.ActionApprove,
		Quorum: g.Rules[1].Quorum, Expiry: 3600, Signing: 600, Amounts: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(7)}},
		FeeCaps: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(8)}}, Limits: []canon.Name{"all"}, Calls: []canon.Name{"stake"},
		To:    []canon.Target{{Kind: canon.TargetBook, Name: "exchanges"}, {Kind: canon.TargetWallet, Name: "btc-hot"}, {Kind: canon.TargetTier, Name: "cold"}},
		Above: []canon.AssetAmount{{Asset: btc, Amount: canon.AmountOf(1)}},
		Value: &canon.ValueRange{Currency: "USD", Above: canon.AmountOf(500_000_000), Max: canon.AmountOf(10_000_000_000)},
		Tiers: []canon.Tier{canon.Hot, canon.Warm}, Hours: []canon.Hours{{Days: []uint64{1, 5}, From: 540, To: 1020, Zone: "Asia/Hong_Kong"}, {Days: []uint64{6}, From: 1, To: 2, Zone: "UTC"}},
		From: 1_790_000_000, Before: 1_800_000_000, When: `client == "fund-a"`, Delay: 7200, Clearances: []canon.Name{"screening"},
		Attributes: []canon.AttributeCondition{{Name: "kyc", Values: []canon.Text{"basic", "enhanced"}, Authority: "kyc-desk"}, {Name: "risk", Values: []canon.Text{"low"}}},
		Holds:      []canon.Hold{{When: "!known_ip"}, {When: "requests > 9", Deny: true}},
	}, canon.Rule{Name: "none", Action: canon.ActionDeny, AnyAmount: true, To: []canon.Target{{Kind: canon.TargetAny}}})
	g.Limits = append(g.Limits, canon.Limit{Name: "all", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(1_000_000), Window: 86400, Clients: []canon.Name{"fund-a"},
		Wallets: []canon.Name{"btc-hot"}, Per: []canon.Dimension{canon.PerClient, canon.PerDestination}, Accounts: []canon.Name{"fund-a-main"}, Tiers: []canon.Tier{canon.Hot},
		To: []canon.Target{{Kind: canon.TargetBook}}}, canon.Limit{Name: "few", Unit: canon.UnitCount, Asset: eth, Amount: canon.AmountOf(5)})
	g.Prices = []canon.PriceSource{{Asset: btc, Currency: "USD", Authorities: []canon.Name{"feed-1", "feed-2"}, MaxAge: 300, Min: canon.AmountOf(1e15), Max: canon.AmountOf(9e18)}}
	g.Allocation = append(g.Allocation, canon.Allocation{Tier: canon.Warm, MaxPermill: 100, Currency: "USD", TargetPermill: 50, MinPermill: 20})
	g.Clients[0].Attributes = []canon.ClientAttribute{{Name: "kyc", Value: "enhanced"}}
	g.Clients = append(g.Clients, canon.Client{Name: "desk", Treasury: true, Keys: []canon.PublicKey{{1}}, Devices: []canon.PublicKey{{2}}})
	g.Accounts = append(g.Accounts, canon.Account{Name: "pool", Client: "house", Number: 9, Kind: canon.Pool})
	g.Calls = []canon.CallRule{{Name: "stake", Label: "Stake", Chain: eth.Chain(), Contract: make([]byte, 20), Signature: "stake(uint256,uint256,address)", Payable: true, Arguments: []canon.ArgumentRule{
		{Allow: canon.ArgumentAtMost, Max: canon.AmountOf(100), Pays: []canon.AssetID{eth}}, {Allow: canon.ArgumentEqual, Values: [][]byte{make([]byte, 32)}}, {Allow: canon.ArgumentSelf}}}}
	g.Builds, g.Confirmed, g.Lifted = []canon.Digest{{1}}, []canon.Digest{{2}}, []canon.Digest{{3}}
	g.RecoveryCount, g.Delays.Recovery, g.Delays.Balances, g.Book.Owned = 1, 99, 300, true
	g.Wallets[1].StartNonce = 4
	vault := g.Wallets[0]
	vault.Name, vault.Scheme, vault.Number, vault.Needed, vault.Backup, vault.SingleDevice = "vault", canon.SchemeCosign, 9, 1, canon.BackupNone, true
	vault.Devices = []canon.Device{{Signer: "vault-1", Attestation: make([]byte, 33)}, {Signer: "vault-2"}}
	vault.Pool, vault.Recovery = make([]byte, 32), make([]byte, 33)
	g.Wallets = append(g.Wallets, vault)
}

// visit calls see for every value that is no struct and no list, with where it stands and how to change it.
func visit(v reflect.Value, path string, see func(path string, v reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil():
		// Another rule has one.
	case v.Kind() == reflect.Pointer:
		visit(v.Elem(), path, see)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			visit(v.Field(i), path+"."+v.Type().Field(i).Name, see)
		}
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Uint8:
		for i := range v.Len() {
			visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i), see)
		}
	case v.Kind() == reflect.Array:
		see(path, v.Index(0))
	default:
		see(path, v)
	}
}

// another changes a value for another of its type.
func another(t *testing.T, v reflect.Value) {
	t.Helper()
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Slice: // of bytes
		b := append([]byte{}, v.Bytes()...)
		if len(b) == 0 {
			b = []byte{0}
		}
		b[len(b)-1]++
		v.SetBytes(b)
	default:
		t.Fatalf("expected a kind that can be changed, found %s", v.Kind())
	}
}

// unseen are fields that the charter's text does not say, with why.
var unseen = map[string]string{
	".Version": "1, or no charter", ".Salt": "random, and in the digest",
	".Rules[3].Expiry": "denies", ".Rules[3].Signing": "denies", ".Rules[3].To[0].Name": "any has no name",
	".Limits[0].Currency": "counts an asset", ".Limits[1].Currency": "counts an asset", ".Limits[2].Currency": "counts an asset",
	".Limits[3].Asset": "counts money", ".Limits[4].Currency": "counts withdrawals",
	".Calls[0].Arguments[1].Max": "of values", ".Calls[0].Arguments[2].Max": "the address that calls",
}

// What officers approve they must be able to see: no field of a charter may change without a change of what charter show prints.
func TestNothingOfACharterIsHidden(t *testing.T) {
	t.Parallel()
	o, err := clitest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	g := o.Charter.Genesis() // this test's own: nobody else reads it, and no rule of charters holds for it from here on
	full(g)
	shown := func() string {
		b, err := json.Marshal(cli.CharterViewOf(o.Charter))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	before := shown()
	count := 0
	visit(reflect.ValueOf(g).Elem(), "", func(path string, v reflect.Value) {
		if why := unseen[path]; why != "" {
			return
		}
		count++
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		another(t, v)
		if shown() == before {
			t.Errorf("%s: expected a change to show, found the same text", path)
		}
		v.Set(old)
	})
	if count < 300 {
		t.Errorf("expected every field of a whole charter, found %d", count)
	}
	if shown() != before {
		t.Error("expected the charter as it was, found another")
	}
}

// unshown are fields of what officers approve that the text does not say, with why.
var unshown = map[string]string{
	"request.Requester": "a key; shown if it is a desk's", "request.FeeCap": "the intent's, which is no higher, is shown",
	"request.NotAfter": "the intent's, which is no later, is shown", "attributes[0].Client": "verified to be the request's",
}

// What officers approve they must be able to see, statements of others among it.
func TestNothingOfAnIntentIsHidden(t *testing.T) {
	t.Parallel()
	w := newWorldOf(t, must[*clitest.Organisation](t)(clitest.NewFrom(t.TempDir(), withAuthorities)))
	request := w.ownRequest(t, "fund-a", clitest.Pay{To: known, Amount: "0.5 BTC"}, clitest.Pay{To: unknown, Amount: "0.25 BTC"})
	intent := must[[]byte](t)(w.Intent(request, w.rests(t, request)))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	err := w.person(t, "alice", rpc.Officer).run(t, func(ctx context.Context, s *cli.Session) error {
		found, err := cli.Find(ctx, s, digestOf(intent))
		if err != nil {
			return err
		}
		r := found.Review()
		r.Facts.Balances = []canon.Balances{{Signer: "node-1", Chain: bitcoin, Height: 9, At: 1_790_000_000, Holdings: []canon.Holding{{Wallet: "btc-hot", Asset: r.Request.Outputs[0].Asset, Amount: canon.AmountOf(5)}}}}
		r.Facts.Clearances[0].Reason = "seen"
		r.Request.Memo, r.Request.TravelRule, r.Request.TravelData = make([]byte, 32), "case 7", make([]byte, 32)
		r.Facts.Request = &r.Request
		shown := func() string {
			v, err := found.Shown(s)
			if err != nil {
				return "refused: " + err.Error()
			}
			return string(must[[]byte](t)(json.Marshal(v)))
		}
		before, count := shown(), 0
		for root, v := range map[string]any{"request": &r.Request, "destinations": &r.Facts.Destinations, "prices": &r.Facts.Prices, "attributes": &r.Facts.Attributes,
			"clearances": &r.Facts.Clearances, "balances": &r.Facts.Balances} {
			visit(reflect.ValueOf(v).Elem(), root, func(path string, v reflect.Value) {
				if strings.HasSuffix(path, ".Organisation") || strings.HasSuffix(path, "].Request") || unshown[path] != "" {
					return // verified to be the one that everything is about
				}
				count++
				old := reflect.New(v.Type()).Elem()
				old.Set(v)
				another(t, v)
				if shown() == before {
					t.Errorf("%s: expected a change to show, found the same text", path)
				}
				v.Set(old)
			})
		}
		if count < 40 {
			t.Errorf("expected every field of a whole intent, found %d", count)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
