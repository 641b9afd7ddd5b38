package cli_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func document(s canon.Signed) cli.SignedDocument {
	return cli.SignedDocument{Document: s.Document, Scheme: uint8(s.Scheme), Signature: s.Signature}
}

func TestOnlyAddressesThatEnoughSignersAttestVerify(t *testing.T) {
	t.Parallel()
	w, foreign := newWorld(t), newWorld(t, "Example Custody", "Another Custody")
	attest := func(o *world, node string, change ...func(*canon.Address)) cli.SignedDocument {
		return document(must[canon.Signed](t)(o.Attest(node, 7, change...)))
	}
	one, two := attest(w, "node-1"), attest(w, "node-2")
	forged := two
	forged.Signature = append([]byte{two.Signature[0] ^ 1}, two.Signature[1:]...)
	alike := func(change func(*canon.Address)) []cli.SignedDocument {
		return []cli.SignedDocument{attest(w, "node-1", change), attest(w, "node-2", change)}
	}
	const text = "bcrt1qycp5qgmc84aqcdsvfn3kt7kravrmwqwe34lwpr"
	for _, tt := range []struct {
		name         string
		address      string
		attestations []cli.SignedDocument
		want         string // in the error; empty for none
	}{
		{"two signers", text, []cli.SignedDocument{one, two}, ""},
		{"three signers, no text", "", []cli.SignedDocument{one, two, attest(w, "node-4")}, ""},
		{"another text", known, []cli.SignedDocument{one, two}, "as attested"},
		{"one signer", text, []cli.SignedDocument{one}, "2 distinct signers"},
		{"one signer twice", text, []cli.SignedDocument{one, one}, "2 distinct signers"},
		{"none", text, nil, "2 distinct signers"},
		{"a forged one among them", text, []cli.SignedDocument{one, forged, attest(w, "node-3")}, "does not verify"},
		{"one signed by another than it names", text, []cli.SignedDocument{one, {Document: two.Document, Scheme: 1, Signature: one.Signature}}, "one by node-2"},
		{"another organisation", text, []cli.SignedDocument{attest(foreign, "node-1"), attest(foreign, "node-2")}, "organisation"},
		{"a stranger", text, append(alike(nop), attest(w, "node-5")), "a signer of the charter"},
		{"different indexes", text, []cli.SignedDocument{one, document(must[canon.Signed](t)(w.Attest("node-2", 8)))}, "the same fields"},
		{"another wallet's path", text, alike(func(a *canon.Address) { a.Path[1]++ }), "path"},
		{"the change branch", text, alike(func(a *canon.Address) { a.Path[3] = 1 }), "path"},
		{"an unknown wallet", text, alike(func(a *canon.Address) { a.Wallet = "vault" }), "wallet"},
		{"an account of others", text, alike(func(a *canon.Address) { a.Account = "house-main" }), "account"},
		{"another chain", text, alike(func(a *canon.Address) { a.Chain = "eip155:1337" }), "chain"},
		{"an old epoch", text, alike(func(a *canon.Address) { a.KeyEpoch = 2 }), "epoch"},
		{"a script without address", "", alike(func(a *canon.Address) { a.Address = []byte{0x6a} }), "an address of the chain"},
		{"raw bytes", text, []cli.SignedDocument{{Document: []byte("x"), Scheme: 1, Signature: one.Signature}, two, one}, "canonical"},
		{"another scheme", text, []cli.SignedDocument{one, {Document: two.Document, Scheme: 2, Signature: two.Signature}}, "scheme 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := w.person(t, "fund-a", rpc.Custodian)
			b, err := json.Marshal(cli.AddressFile{Address: tt.address, Attestations: tt.attestations})
			if err != nil {
				t.Fatal(err)
			}
			p.In = strings.NewReader(string(b))
			err = p.run(t, func(_ context.Context, s *cli.Session) error { return s.VerifyAddress("-", "") })
			if tt.want == "" {
				if err != nil || !strings.Contains(p.out.String(), text) {
					t.Errorf("expected %s, found %v and %s", text, err, p.out)
				}
				return
			}
			if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), tt.want) || p.out.Len() != 0 {
				t.Errorf("expected a refusal with %q and nothing printed, found %v and %s", tt.want, err, p.out)
			}
		})
	}
}

func nop(*canon.Address) {}

func TestANewAddressIsVerifiedBeforeItIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pair := func(change ...func(*canon.Address)) []*pb.Signed {
		return []*pb.Signed{clitest.Wire(must[canon.Signed](t)(w.Attest("node-1", 7, change...))), clitest.Wire(must[canon.Signed](t)(w.Attest("node-2", 7, change...)))}
	}
	p := w.person(t, "fund-a", rpc.Custodian)
	out := filepath.Join(t.TempDir(), "address.json")
	create := func(account string) func(context.Context, *cli.Session) error {
		return func(ctx context.Context, s *cli.Session) error { return s.NewAddress(ctx, "btc-hot", account, "", out) }
	}
	w.coordinator.Addresses = []*pb.Address{{Address: unknown, Attestations: pair()}}
	if err := p.run(t, create("fund-a-main")); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected a text that is not attested to be refused, found %v", err)
	}
	w.coordinator.Addresses[0].Address = ""
	if err := p.run(t, create("house-main")); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected the address of another account to be refused, found %v", err)
	}
	if _, err := os.Stat(out); !os.IsNotExist(err) {
		t.Fatalf("expected no file yet, found %v", err)
	}
	if err := p.run(t, create("fund-a-main")); err != nil {
		t.Fatal(err)
	}
	if err := p.run(t, func(_ context.Context, s *cli.Session) error { return s.VerifyAddress(out, "") }); err != nil {
		t.Errorf("expected the written file to verify, found %v", err)
	}
}

func FuzzAddressFile(f *testing.F) {
	o, err := clitest.New(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	path, err := o.Files("fund-a", rpc.Custodian, "", nil)
	if err != nil {
		f.Fatal(err)
	}
	var file cli.AddressFile
	for _, n := range []string{"node-1", "node-2"} {
		s, err := o.Attest(n, 7)
		if err != nil {
			f.Fatal(err)
		}
		file.Attestations = append(file.Attestations, document(s))
	}
	good, err := json.Marshal(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"attestations":[{}]}`))
	f.Add([]byte(`{} {}`))
	var out strings.Builder
	app := &cli.App{Out: &out, ConfigFile: path}
	s, err := app.Open()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out.Reset()
		app.In = strings.NewReader(string(b))
		err := s.VerifyAddress("-", "")
		if err == nil && !strings.Contains(out.String(), "bcrt1qycp5qgmc84aqcdsvfn3kt7kravrmwqwe34lwpr") {
			t.Errorf("expected no other address than the attested one, found %s", out.String())
		}
	})
}
