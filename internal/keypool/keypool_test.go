package keypool_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// spec asks for six keys.
func spec() keypool.Spec {
	return keypool.Spec{Wallet: "btc-cold", Chain: chartertest.Bitcoin, Signer: "vault-1", Identity: chartertest.Public("vault-1"),
		Accounts: []canon.Name{"acme-main", "beta-main"}, Receive: 2, Change: 1, Sign: chartertest.Key("vault-1")}
}

// specOf is the spec for another signer.
func specOf(signer canon.Name) keypool.Spec {
	s := spec()
	s.Signer, s.Identity, s.Sign = signer, chartertest.Public(string(signer)), chartertest.Key(string(signer))
	return s
}

func made(t *testing.T, token hsm.Token, s keypool.Spec) canon.KeyPool {
	t.Helper()
	pool, err := keypool.Make(t.Context(), token, s)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestMakeHasTheTokenGenerateAKeyForEveryAddress(t *testing.T) {
	token := hsmtest.Open(t)
	pool := made(t, token, spec())
	want := canon.KeyPool{Wallet: "btc-cold", Chain: chartertest.Bitcoin, Accounts: []canon.Name{"acme-main", "beta-main"}, Receive: 2, Change: 1, Devices: pool.Devices}
	if diff := cmp.Diff(want, pool); diff != "" || len(pool.Devices) != 1 || pool.Devices[0].Signer != "vault-1" || pool.Devices[0].Identity != chartertest.Public("vault-1") {
		t.Errorf("expected a pool of vault-1, found %s", diff)
	}
	seen := map[string]bool{}
	for at, public := range pool.Devices[0].Keys {
		account, branch, index := keyset.Position(&pool, uint64(at))
		key, err := token.ECDSA(t.Context(), keyset.Label("btc-cold", account, branch, index), hsm.KeyClass{})
		if err != nil {
			t.Fatal(err)
		}
		if k := key.Public(); string(k[:]) != string(public) || seen[string(public)] {
			t.Errorf("key %d: expected %x, found %x", at, k, public)
		}
		seen[string(public)] = true
	}
	if len(seen) != 6 {
		t.Errorf("expected 6 keys, found %d", len(seen))
	}
}

// broken fails when it is asked for one key too many, as a token does that is pulled out.
type broken struct {
	hsm.Token
	left int
}

var errPulled = errors.New("pulled out")

func (b *broken) CreateECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error) {
	if b.left--; b.left < 0 {
		return nil, errPulled
	}
	return b.Token.CreateECDSA(ctx, label, class)
}

func TestMakeGoesOnAfterAnInterruption(t *testing.T) {
	token := hsmtest.Open(t)
	if _, err := keypool.Make(t.Context(), &broken{token, 4}, spec()); !errors.Is(err, errPulled) || !strings.Contains(err.Error(), "btc-cold/beta-main/0/1") {
		t.Fatalf("expected the token to fail at its fifth key, found %v", err)
	}
	whole := made(t, &broken{token, 2}, spec())
	again := made(t, &broken{token, 0}, spec())
	if !reflect.DeepEqual(whole.Devices[0].Keys, again.Devices[0].Keys) {
		t.Error("once more: expected the same keys, found others")
	}
	larger := spec()
	larger.Accounts, larger.Receive = []canon.Name{"new", "acme-main", "beta-main"}, 3
	next := made(t, &broken{token, 6}, larger)
	if err := keyset.Extends(opened(t, whole), opened(t, next), canon.SchemeHSM); err != nil {
		t.Errorf("a larger pool: expected the same keys for the same addresses, found %v", err)
	}
}

func opened(t *testing.T, p canon.KeyPool) *keyset.Pool {
	t.Helper()
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := keyset.OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	return pool
}

func TestMakeRefusesAKeyOfAnotherClass(t *testing.T) {
	token := hsmtest.Open(t)
	s := spec()
	if _, err := token.CreateECDSA(t.Context(), keyset.Label(s.Wallet, "acme-main", 1, 0), hsm.KeyClass{Attended: true}); err != nil {
		t.Fatal(err)
	}
	_, err := keypool.Make(t.Context(), token, s)
	if !errors.Is(err, hsm.ErrKeyAttributes) || !strings.Contains(err.Error(), "btc-cold/acme-main/1/0") {
		t.Errorf("expected %v of the key's label, found %v", hsm.ErrKeyAttributes, err)
	}
}

// cameIn is a token with a key of the label that came in from another token; one that somebody imported as plain text looks the same.
func cameIn(t *testing.T, label string) hsm.Token {
	t.Helper()
	key, kcv := [32]byte{1}, pkcs11.KCV(&[32]byte{1})
	open := func(use pkcs11.KEKUse) *pkcs11.Token {
		cfg := hsmtest.NewToken(t)
		officer := cfg
		officer.PIN = []byte(hsmtest.SecurityOfficerPIN)
		if err := pkcs11.CreateKEK(t.Context(), officer, "kek", use, &key); err != nil {
			t.Fatal(err)
		}
		return hsmtest.OpenConfig(t, cfg)
	}
	from, to := open(pkcs11.KEKWraps), open(pkcs11.KEKUnwraps)
	if _, err := from.CreateECDSA(t.Context(), label, hsm.KeyClass{Restorable: true}); err != nil {
		t.Fatal(err)
	}
	w, err := from.Wrap(t.Context(), "kek", kcv, label, false)
	if err == nil {
		_, err = to.Restore(t.Context(), "kek", kcv, w, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestMakeTakesKeysThatCameInOnlyWhereTheyWereRestored(t *testing.T) {
	s := spec()
	s.Accounts, s.Receive, s.Change, s.Class = s.Accounts[:1], 1, 0, hsm.KeyClass{Restorable: true}
	token := cameIn(t, keyset.Label(s.Wallet, s.Accounts[0], 0, 0))
	if _, err := keypool.Make(t.Context(), token, s); !errors.Is(err, hsm.ErrKeyAttributes) || !strings.Contains(err.Error(), "CKA_LOCAL") {
		t.Errorf("expected %v of CKA_LOCAL, found %v", hsm.ErrKeyAttributes, err)
	}
	if err := keypool.Generate(t.Context(), token, s); !errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("without signatures: expected %v, found %v", hsm.ErrKeyAttributes, err)
	}
	s.Restored = true
	if d := made(t, token, s).Devices[0]; d.Backup != canon.BackupWrap || d.Attended {
		t.Errorf("expected backup wrap, found %v, %v", d.Backup, d.Attended)
	}
	s.Receive = 2 // nothing is generated in the place of what the backup had
	if _, err := keypool.Make(t.Context(), token, s); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("a key that was not restored: expected %v, found %v", hsm.ErrNoKey, err)
	}
}

func TestMakeGivesAttendedKeysTheirPIN(t *testing.T) {
	token := hsmtest.Open(t)
	s := spec()
	s.Class, s.Accounts = hsm.KeyClass{Attended: true}, s.Accounts[:1]
	if _, err := keypool.Make(t.Context(), token, s); !errors.Is(err, hsm.ErrPIN) {
		t.Errorf("without PIN: expected %v, found %v", hsm.ErrPIN, err)
	}
	s.PIN = hsm.PIN(hsmtest.UserPIN)
	if d := made(t, token, s).Devices[0]; len(d.Keys) != 3 || !d.Attended || d.Backup != canon.BackupNone {
		t.Errorf("expected 3 attended keys, found %d, %v, %v", len(d.Keys), d.Attended, d.Backup)
	}
}

func TestMakeRefusesASpecBeforeItAsksTheToken(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*keypool.Spec)
		field  string
	}{
		"no wallet":               {func(s *keypool.Spec) { s.Wallet = "" }, "wallet"},
		"wallet any":              {func(s *keypool.Spec) { s.Wallet = canon.Any }, "wallet"},
		"no signer":               {func(s *keypool.Spec) { s.Signer = "Vault" }, "signer"},
		"no identity":             {func(s *keypool.Spec) { s.Identity = canon.PublicKey{} }, "identity"},
		"no key of the identity":  {func(s *keypool.Spec) { s.Sign = nil }, "sign"},
		"another identity's key":  {func(s *keypool.Spec) { s.Sign = chartertest.Key("vault-2") }, "sign"},
		"restored, of class none": {func(s *keypool.Spec) { s.Restored = true }, "restored"},
		"no chain":                {func(s *keypool.Spec) { s.Chain = "bitcoin" }, "chain"},
		"no account":              {func(s *keypool.Spec) { s.Accounts = nil }, "accounts, receive, change"},
		"account without a name":  {func(s *keypool.Spec) { s.Accounts[1] = "" }, "accounts[1]"},
		"account twice":           {func(s *keypool.Spec) { s.Accounts[1] = "acme-main" }, "accounts[1]"},
		"no receive key":          {func(s *keypool.Spec) { s.Receive = 0 }, "accounts, receive, change"},
		"too many keys":           {func(s *keypool.Spec) { s.Receive = canon.MaxPoolKeys / 2 }, "accounts, receive, change"},
		"keys beyond all numbers": {func(s *keypool.Spec) { s.Receive, s.Change = 1<<63, 1<<63 }, "accounts, receive, change"},
		"two addresses on EVM":    {func(s *keypool.Spec) { s.Chain = chartertest.EVM }, "receive, change"},
		"change on EVM":           {func(s *keypool.Spec) { s.Chain, s.Receive, s.Change = chartertest.EVM, 1, 1 }, "receive, change"},
	} {
		t.Run(name, func(t *testing.T) {
			s := spec()
			tt.change(&s)
			_, err := keypool.Make(t.Context(), nil, s) // a nil token panics when it is asked
			r := refusal.Of(err)
			if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == "pool" && f.Field == tt.field }) {
				t.Errorf("expected a refusal by pool of %s, found %v", tt.field, err)
			}
		})
	}
}

func TestMakeAttestationFindsItsKeyAgain(t *testing.T) {
	token := hsmtest.Open(t)
	one, err := keypool.MakeAttestation(t.Context(), token, "eth-cosign")
	if err != nil {
		t.Fatal(err)
	}
	again, err := keypool.MakeAttestation(t.Context(), token, "eth-cosign")
	if err != nil || again != one {
		t.Errorf("again: expected %x, found %x, %v", one, again, err)
	}
	other, err := keypool.MakeAttestation(t.Context(), token, "eth-other")
	if err != nil || other == one {
		t.Errorf("another wallet: expected another key than %x, found %x, %v", one, other, err)
	}
	if _, err := token.ECDSA(t.Context(), "eth-cosign/attestation", hsm.KeyClass{}); err != nil {
		t.Errorf("expected a key of the class that never leaves its token, found %v", err)
	}
	if _, err := keypool.MakeAttestation(t.Context(), token, "no name"); refusal.Of(err) == nil {
		t.Errorf("no wallet: expected a refusal, found %v", err)
	}
}

func TestJoinTakesDevicesInTheOrderGiven(t *testing.T) {
	first, second := hsmtest.Open(t), hsmtest.Open(t)
	one, two := made(t, first, specOf("vault-1")), made(t, second, specOf("vault-2"))
	pool, err := keypool.Join(two, one)
	if err != nil {
		t.Fatal(err)
	}
	if len(pool.Devices) != 2 || pool.Devices[0].Signer != "vault-2" || pool.Devices[1].Signer != "vault-1" {
		t.Fatalf("expected vault-2 and vault-1, found %+v", pool.Devices)
	}
	dir := t.TempDir()
	digest, err := keypool.Write(dir, pool)
	if err != nil {
		t.Fatal(err)
	}
	read, err := config.Pools(dir)(digest)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pool, *read.Document()); diff != "" {
		t.Errorf("what was written: %s", diff)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 || entries[0].Name() != config.PoolFile(digest) {
		t.Errorf("expected one file %s, found %v, %v", config.PoolFile(digest), entries, err)
	}
	if again, err := keypool.Write(dir, pool); err != nil || again != digest {
		t.Errorf("a second time: expected %s, found %s, %v", digest, again, err)
	}
	if _, err := keypool.Write(filepath.Join(dir, "none"), pool); err == nil {
		t.Error("no directory: expected an error, found none")
	}
}

func TestJoinRefusesWhatIsNotOfOnePool(t *testing.T) {
	first, second := hsmtest.Open(t), hsmtest.Open(t)
	one, two := made(t, first, specOf("vault-1")), made(t, second, specOf("vault-2"))
	part := func(token hsm.Token, change func(*keypool.Spec)) canon.KeyPool {
		s := specOf("vault-2")
		change(&s)
		return made(t, token, s)
	}
	for name, other := range map[string]canon.KeyPool{
		"another wallet":             part(second, func(s *keypool.Spec) { s.Wallet = "btc-deep" }),
		"another chain":              part(second, func(s *keypool.Spec) { s.Chain = "bip122:000000000019d6689c085ae165831e93" }),
		"other accounts":             part(second, func(s *keypool.Spec) { s.Accounts = s.Accounts[:1] }),
		"accounts in another order":  part(second, func(s *keypool.Spec) { slices.Reverse(s.Accounts) }),
		"more keys":                  part(second, func(s *keypool.Spec) { s.Receive = 3 }),
		"more change":                part(second, func(s *keypool.Spec) { s.Change = 2 }),
		"the same signer":            part(second, func(s *keypool.Spec) { *s = specOf("vault-1") }),
		"the same part":              one,
		"no device's keys":           {Wallet: one.Wallet, Chain: one.Chain, Accounts: one.Accounts, Receive: one.Receive, Change: one.Change, Devices: []canon.PoolDevice{{Signer: "vault-2"}}},
		"the keys of the same token": part(first, func(*keypool.Spec) {}),
		"another signer with the same identity": part(second, func(s *keypool.Spec) {
			s.Identity, s.Sign = chartertest.Public("vault-1"), chartertest.Key("vault-1")
		}),
		"the word of nobody": func() canon.KeyPool {
			p := two
			p.Devices = slices.Clone(p.Devices)
			p.Devices[0].Signature = nil
			return p
		}(),
		"a class that the signer did not sign": func() canon.KeyPool {
			p := two
			p.Devices = slices.Clone(p.Devices)
			p.Devices[0].Attended = true
			return p
		}(),
		"keys with another backup": part(hsmtest.Open(t), func(s *keypool.Spec) { s.Class.Restorable = true }),
		"a proof of another key": func() canon.KeyPool {
			p := two
			p.Devices = slices.Clone(p.Devices)
			p.Devices[0].Proofs = slices.Clone(p.Devices[0].Proofs)
			p.Devices[0].Proofs[1] = p.Devices[0].Proofs[0]
			return p
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := keypool.Join(one, other); refusal.Of(err) == nil {
				t.Errorf("expected a refusal, found %v", err)
			}
		})
	}
	if _, err := keypool.Join(); refusal.Of(err) == nil {
		t.Errorf("nothing: expected a refusal, found %v", err)
	}
	p := two
	p.Devices = nil
	if _, err := keypool.Join(p); refusal.Of(err) == nil {
		t.Errorf("no device: expected a refusal, found %v", err)
	}
	p.Devices = slices.Clone(two.Devices)
	p.Devices[0].Signer = "vault-3"
	if _, err := keypool.Write(t.TempDir(), p); refusal.Of(err) == nil {
		t.Errorf("proofs for another signer: expected a refusal to write it, found %v", err)
	}
}
