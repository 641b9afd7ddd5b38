package cli_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/descriptor"
)

// vaulted has wallets with keys in tokens.
func vaulted(t *testing.T) *world {
	t.Helper()
	o, err := clitest.NewFrom(t.TempDir(), clitest.WithDevices)
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, o)
}

func TestWalletsOfTokensReadAsPlainWords(t *testing.T) {
	t.Parallel()
	w := vaulted(t)
	p := w.person(t, "fund-a", rpc.Custodian)
	for _, name := range []string{"btc-hot", "btc-vault", "eth-vault", "btc-cold", "eth-cold"} {
		w.coordinator.Wallets = append(w.coordinator.Wallets, &pb.Wallet{Name: "wallets/" + name, Scheme: "a lie", Devices: []string{"a lie"}, SingleDevice: name == "btc-cold"})
	}
	p.both(t, "wallets-devices", func(ctx context.Context, s *cli.Session) error { return s.Wallets(ctx) })
	p.both(t, "charter-devices", func(_ context.Context, s *cli.Session) error { return s.ShowCharter() })
}

func TestAddressesOfTokensNeedWhoCountsAndThePool(t *testing.T) {
	t.Parallel()
	w := vaulted(t)
	pools := t.TempDir()
	if err := w.WritePools(pools); err != nil {
		t.Fatal(err)
	}
	attest := func(signer, wallet string, index uint64, change ...func(*canon.Address)) cli.SignedDocument {
		return document(must[canon.Signed](t)(w.AttestAt(signer, wallet, index, change...)))
	}
	by := func(wallet string, index uint64, signers ...string) (out []cli.SignedDocument) {
		for _, s := range signers {
			out = append(out, attest(s, wallet, index))
		}
		return out
	}
	other := func(a *canon.Address) { a.Address = append([]byte{}, a.Address...); a.Address[5] ^= 1 }
	for _, tt := range []struct {
		name         string
		pools        string
		attestations []cli.SignedDocument
		want         string // in what is printed, or in the error
		refused      bool
	}{
		{"a vault's, with its device", "", by("eth-vault", 0, "node-1", "node-2", "vault-1"), "and 1 of vault-1", false},
		{"a vault's, without its device", "", by("eth-vault", 0, "node-1", "node-2", "node-3"), "1 of the devices vault-1", true},
		{"a vault's, with another's device", "", by("eth-vault", 0, "node-1", "node-2", "vault-2"), "1 of the devices vault-1", true},
		{"a device does not count for a holder", "", by("eth-vault", 0, "node-1", "vault-1"), "2 distinct signers", true},
		{"cold, by the roster", "", by("btc-cold", 1, "node-1", "node-2"), "bcrt1q", false},
		{"cold, derived here", pools, by("btc-cold", 1, "node-1", "node-2"), "from the pool of keys", false},
		{"cold on an EVM chain, derived here", pools, by("eth-cold", 0, "node-3", "node-4"), "from the pool of keys", false},
		{"cold, by devices", "", by("btc-cold", 1, "vault-1", "vault-2", "vault-3"), "2 distinct signers", true},
		{"cold, another than the pool gives", pools, []cli.SignedDocument{attest("node-1", "btc-cold", 1, other), attest("node-2", "btc-cold", 1, other)}, "which pool", true},
		{"cold, with the pool elsewhere", t.TempDir(), by("btc-cold", 1, "node-1", "node-2"), "in directory", true},
		{"cold, with an MPC key", "", []cli.SignedDocument{attest("node-1", "btc-cold", 1, withKey), attest("node-2", "btc-cold", 1, withKey)}, "key", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := w.person(t, "fund-a", rpc.Custodian)
			b, err := json.Marshal(cli.AddressFile{Attestations: tt.attestations})
			if err != nil {
				t.Fatal(err)
			}
			p.In = strings.NewReader(string(b))
			err = p.run(t, func(_ context.Context, s *cli.Session) error { return s.VerifyAddress("-", tt.pools) })
			if !tt.refused && (err != nil || !strings.Contains(p.out.String(), tt.want)) {
				t.Errorf("expected %q, found %v and %s", tt.want, err, p.out)
			}
			if tt.refused && (cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), tt.want) || p.out.Len() != 0) {
				t.Errorf("expected a refusal with %q and nothing printed, found %v and %s", tt.want, err, p.out)
			}
		})
	}
}

func TestDescriptorsFollowFromCharterSignersAndPool(t *testing.T) {
	t.Parallel()
	w := vaulted(t)
	pools := t.TempDir()
	if err := w.WritePools(pools); err != nil {
		t.Fatal(err)
	}
	public := chartertest.TokenKey("group", "hot").PubKey().SerializeCompressed()
	give := func(node string, public []byte) {
		w.nodes[node].Status = &pb.SignerStatus{Signer: node, Keys: []*pb.KeyStatus{{Key: "hot", Epoch: 1, PublicKey: public}}}
	}
	give("node-1", public)
	p := w.person(t, "alice", rpc.Officer)
	export := func(e cli.Export) (cli.DescriptorsView, error) {
		t.Helper()
		p.JSON = true
		err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Descriptors(ctx, e) })
		var v cli.DescriptorsView
		if err == nil && json.Unmarshal(p.out.Bytes(), &v) != nil {
			t.Fatalf("expected JSON, found %s", p.out)
		}
		return v, err
	}
	if _, err := export(cli.Export{Wallet: "btc-hot", Count: 1}); cli.ExitCode(err) != cli.ExitUnreachable {
		t.Errorf("expected one signer not to do, found %v", err)
	}
	give("node-2", chartertest.TokenKey("another", "hot").PubKey().SerializeCompressed())
	give("node-4", public)
	for _, tt := range []struct {
		name        string
		export      cli.Export
		descriptors int
		form        string
		by          int // signers who gave the key
	}{
		{"MPC", cli.Export{Wallet: "btc-hot", Account: "fund-a-main", Count: 1}, 2, "wpkh([", 2},
		{"MPC and a token, with a recovery key", cli.Export{Wallet: "btc-vault", Count: 5, Pools: pools}, 10, "wsh(sortedmulti(2,", 2},
		{"tokens, as far as the pool goes", cli.Export{Wallet: "btc-cold", Count: 5, Pools: pools}, 3, "wsh(sortedmulti(2,", 0},
	} {
		v, err := export(tt.export)
		if err != nil || len(v.Descriptors) != tt.descriptors || len(v.AttestedBy) != tt.by {
			t.Errorf("%s: expected %d descriptors by %d signers, found %+v, %v", tt.name, tt.descriptors, tt.by, v, err)
		}
		for _, d := range v.Descriptors {
			parsed, err := descriptor.Parse(d.Descriptor)
			if err != nil || !strings.HasPrefix(d.Descriptor, tt.form) {
				t.Fatalf("%s: expected %s, found %s, %v", tt.name, tt.form, d.Descriptor, err)
			}
			script, _, err := parsed.Script(0)
			if err != nil {
				t.Fatal(err)
			}
			chain, _ := w.Charter.Chain(canon.ChainID(v.Chain))
			if text, err := wallets.AddressText(chain, script); d.Index != nil && (err != nil || text != d.Address) {
				t.Errorf("%s: expected the descriptor of %s, found %s, %v", tt.name, d.Address, text, err)
			}
		}
	}
	for name, tt := range map[string]struct {
		export cli.Export
		want   string
	}{
		"no pool":        {cli.Export{Wallet: "btc-cold", Count: 1}, "no directory"},
		"another chain":  {cli.Export{Wallet: "eth-cold", Count: 1, Pools: pools}, "Bitcoin"},
		"no account":     {cli.Export{Wallet: "btc-cold", Account: "house-main", Count: 1, Pools: pools}, "house-main"},
		"no such wallet": {cli.Export{Wallet: "nowhere", Count: 1}, "nowhere"},
		"none":           {cli.Export{Wallet: "btc-cold", Pools: pools}, "count"},
	} {
		if _, err := export(tt.export); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: expected an error with %q, found %v", name, tt.want, err)
		}
	}
	give("node-3", chartertest.TokenKey("another", "hot").PubKey().SerializeCompressed())
	if _, err := export(cli.Export{Wallet: "btc-hot", Count: 1}); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected two keys that more signers give than may lie to be refused, found %v", err)
	}
}

func withKey(a *canon.Address) { a.Key, a.KeyEpoch = "hot", 1 }
