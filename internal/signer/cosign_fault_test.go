package signer_test

import (
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// answers has a token's signatures come out as this, after the real token made them.
func answers(sign func([64]byte, error) ([64]byte, error)) func(*faulty) {
	return func(f *faulty) { f.sign = sign }
}

func failing(err error) func(*faulty) {
	return answers(func([64]byte, error) ([64]byte, error) { return [64]byte{}, err })
}

func losing(err error) func(*faulty) {
	return func(f *faulty) { f.lookUp = func() error { return err } }
}

// mirrored is the other signature that everybody can make of one, with s in the upper half.
func mirrored(signature [64]byte, err error) ([64]byte, error) {
	s := new(big.Int).Sub(btcec.S256().N, new(big.Int).SetBytes(signature[32:]))
	s.FillBytes(signature[32:])
	return signature, err
}

// fail is about tokens that do not answer, answer wrongly, or lost a key: no signature leaves that was not verified, what may exist is on record as
// committed, and the next attempt goes through.
func (v *vaults) fail(t *testing.T) {
	f := &faulty{Token: v.tokens["vault-1"]}
	toOwn := func(g *canon.Genesis) {
		g.Rules[0].To = append(g.Rules[0].To, canon.Target{Kind: canon.TargetWallet, Name: canon.Any})
	}
	w := v.world(t, setUp{engine: same(reaches), genesis: toOwn}, func(name canon.Name, token signer.Token) signer.Token {
		if name == "vault-1" {
			return f
		}
		return token
	})
	p := w.spend("btc-cosign", "a", 0)
	attempt := uint64(0)
	for name, c := range map[string]struct {
		fault func(*faulty)
		code  codes.Code
		field string // of the refusal, if it is one
		used  bool   // the attempt
	}{
		"lost while it signs":        {failing(hsm.ErrTokenLost), codes.Unavailable, "", true},
		"no answer":                  {failing(hsm.ErrTimeout), codes.Unavailable, "", true},
		"closed":                     {failing(hsm.ErrClosed), codes.Unavailable, "", true},
		"a signature of its own":     {answers(func(s [64]byte, err error) ([64]byte, error) { s[40] ^= 1; return s, err }), codes.Unavailable, "", true},
		"a signature with high s":    {answers(mirrored), codes.Unavailable, "", true},
		"zeros":                      {answers(func(_ [64]byte, err error) ([64]byte, error) { return [64]byte{}, err }), codes.Unavailable, "", true},
		"another PIN while it signs": {failing(hsm.ErrPIN), codes.FailedPrecondition, "", true},
		"locked":                     {losing(hsm.ErrPINLocked), codes.FailedPrecondition, "", false},
		"lost":                       {losing(fmt.Errorf("opening: %w", hsm.ErrTokenLost)), codes.Unavailable, "", false},
		"no key":                     {losing(hsm.ErrNoKey), codes.FailedPrecondition, "token.key btc-cosign/acme-one/0/0", false},
		"two keys":                   {losing(hsm.ErrAmbiguous), codes.FailedPrecondition, "token.key btc-cosign/acme-one/0/0", false},
		"key of another class": {func(f *faulty) { f.class = &hsm.KeyClass{Restorable: true} }, codes.FailedPrecondition,
			"token.key btc-cosign/acme-one/0/0", false},
		"another key": {func(f *faulty) { f.public = &[33]byte{2, 1} }, codes.FailedPrecondition, "token.key btc-cosign/acme-one/0/0", false},
	} {
		w.run(name, func(t *testing.T) {
			attempt++
			before := w.made("vault-1", "btc-cosign")
			f.set(c.fault)
			_, err := w.cosign("vault-1", p, attempt)
			f.set(func(*faulty) {})
			if r := refusal.Of(err); status.Code(err) != c.code || (r != nil) != (c.field != "") {
				t.Errorf("expected %s, found %v", c.code, err)
			} else if r != nil {
				refused(t, err, "device", c.field)
			}
			if n := w.made("vault-1", "btc-cosign"); (n > before) != c.used {
				t.Errorf("expected committed %t, found %d after %d", c.used, n, before)
			}
			_, err = w.cosign("vault-1", p, attempt)
			if c.used {
				refused(t, err, "attempt", "attempt")
				attempt++
				_, err = w.cosign("vault-1", p, attempt)
			}
			check(t, err)
		})
	}
	w.run("an address of a lost key", func(t *testing.T) {
		f.set(losing(hsm.ErrNoKey))
		defer f.set(func(*faulty) {})
		for wallet, field := range map[string]string{"btc-cosign": "token.key btc-cosign/acme-one/0/1", "evm-cosign": "token.key evm-cosign/attestation"} {
			_, err := w.address("vault-1", wallet, 0, map[string]uint64{"btc-cosign": 1}[wallet])
			refused(t, err, "device", field)
		}
		if n := w.signers["vault-1"].ledger.HighestIndex("btc-cosign", "acme-one", 0); n != 0 {
			t.Errorf("expected nothing seen beyond what was spent, found index %d", n)
		}
	})
	w.run("change for a lost key", func(t *testing.T) {
		f.set(func(f *faulty) { f.lost = "btc-cosign/acme-one/1/0" })
		defer f.set(func(*faulty) {})
		p, before := w.spend("btc-cosign", "change", 0), w.made("vault-1", "btc-cosign")
		_, err := w.cosign("vault-1", p, 1)
		refused(t, err, "device", "token.key btc-cosign/acme-one/1/0")
		if n := w.made("vault-1", "btc-cosign"); n != before {
			t.Errorf("expected nothing committed, found %d after %d", n, before)
		}
		f.set(func(*faulty) {})
		_, err = w.cosign("vault-1", p, 1) // no attempt was used up
		check(t, err)
	})
	w.run("an own address of a lost key", func(t *testing.T) {
		f.set(func(f *faulty) { f.lost = "btc-vault/acme-one/0/1" })
		defer f.set(func(*faulty) {})
		p := w.sweep("btc-cosign", "own", "btc-vault", 1)
		_, err := w.cosign("vault-1", p, 1)
		refused(t, err, "device", "token.key btc-vault/acme-one/0/1")
		f.set(func(*faulty) {})
		_, err = w.cosign("vault-1", p, 1)
		check(t, err)
	})
	w.run("a rejection in the meantime", func(t *testing.T) {
		p := w.spend("btc-cosign", "b", 1)
		before := w.made("vault-1", "btc-cosign")
		f.set(func(f *faulty) { f.lookUp = func() error { return w.reject("vault-1", "alice", p.evidence) } })
		_, err := w.cosign("vault-1", p, 1)
		f.set(func(*faulty) {})
		refused(t, err, "approvals", "evidence.statements")
		if n := w.made("vault-1", "btc-cosign"); n != before {
			t.Errorf("expected nothing committed after a rejection, found %d after %d", n, before)
		}
	})
	w.run("a crash", func(t *testing.T) { w.crash(t, f) })
}

// crash ends the process between COMMITTED and the signature, and starts it again without any peer.
func (w *world) crash(t *testing.T, f *faulty) {
	p, n := w.spend("btc-cosign", "c", 2), w.signers["vault-1"]
	f.set(func(f *faulty) {
		f.before = func() {
			report, err := ledger.Verify(n.dir)
			if state := n.ledger.State(); err != nil || report.Length != state.Length || report.Head != state.Head {
				t.Errorf("expected everything on disk before the token is asked, found %+v, %v", report, err)
			}
			if !committed(t, n.ledger, canon.KindReservation.Digest(p.reservation)) {
				t.Error("expected COMMITTED before the token is asked, found none")
			}
		}
		failing(hsm.ErrTokenLost)(f)
	})
	if _, err := w.cosign("vault-1", p, 1); status.Code(err) != codes.Unavailable {
		t.Errorf("expected Unavailable, found %v", err)
	}
	f.set(func(*faulty) {})
	made := w.made("vault-1", "btc-cosign")
	n.stop()
	config := n.config
	var err error
	config.Ledger, err = signer.OpenLedger(t.Context(), n.dir, w.charter, "vault-1", n.shares)
	check(t, err)
	config.Peers = nil // it knows the public key by its ledger
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() {
		check(t, restarted.Close())
		check(t, config.Ledger.Close())
	}()
	request := &strongroomv1.CosignRequest{Evidence: p.evidence, Certificate: p.certificate, Attempt: 1}
	_, err = restarted.Cosign(t.Context(), request)
	refused(t, err, "attempt", "attempt")
	st, err := restarted.GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
	check(t, err)
	if d := st.GetDevices()[0]; d.GetWallet() != "btc-cosign" || d.GetCommitted() != made {
		t.Errorf("expected %d committed after a restart, found %v", made, d)
	}
	request.Attempt = 2
	r, err := restarted.Cosign(t.Context(), request)
	check(t, err)
	digests := p.digests(t, w, "btc-cosign", 2)
	check(t, keyset.Verify(r.GetPublicKeys()[0], digests[0], r.GetSignatures()[0]))
}

// many withdrawals are signed at once, each attempt once, and no more at a time than there are places.
func (v *vaults) many(t *testing.T) {
	f := &faulty{Token: v.tokens["vault-2"]}
	w := v.world(t, setUp{engine: same(reaches), config: func(c *signer.Config) {
		d := c.Devices["btc-vault"]
		switch c.Self {
		case "vault-2":
			c.Sessions, d.Health = 2, func() error { return hsm.ErrTokenLost }
			c.Devices["btc-vault"] = d
		case "vault-3":
			d.Health, d.Generation = nil, func() uint64 { return 3 }
			c.Devices["btc-vault"] = d
		}
	}}, func(name canon.Name, token signer.Token) signer.Token {
		if name == "vault-2" {
			return f
		}
		return token
	})
	all := make([]*spending, 4)
	for i := range all {
		all[i] = w.spend("btc-vault", fmt.Sprint("many-", i), 0, 1)
	}
	w.run("at once", func(t *testing.T) {
		var wg sync.WaitGroup
		results := make([][2]error, len(all))
		for i, p := range all {
			for j := range 2 {
				wg.Go(func() {
					r, err := w.cosign("vault-1", p, 1)
					if results[i][j] = err; err == nil {
						for k, digest := range p.digests(t, w, "btc-vault", 0, 1) {
							results[i][j] = keyset.Verify(r.GetPublicKeys()[k], digest, r.GetSignatures()[k])
						}
					}
				})
			}
		}
		wg.Wait()
		for i, r := range results {
			if (r[0] == nil) == (r[1] == nil) {
				t.Errorf("withdrawal %d: expected one of two equal attempts to sign, found %v and %v", i, r[0], r[1])
			}
		}
		if n := w.made("vault-1", "btc-vault"); n != 8 {
			t.Errorf("expected 8 signatures committed to, found %d", n)
		}
	})
	w.run("health", func(t *testing.T) {
		w.signers["vault-3"].heard.wait("health of a token", 1) // its own first check
		for name, want := range map[canon.Name]*strongroomv1.DeviceStatus{"vault-1": {Generation: 1, Committed: 8},
			"vault-2": {Generation: 1, Error: hsm.ErrTokenLost.Error()}, "vault-3": {Generation: 3}} {
			st, err := w.front(name).GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
			check(t, err)
			d := st.GetDevices()[len(st.GetDevices())-1]
			if d.GetWallet() != "btc-vault" || d.GetGeneration() != want.GetGeneration() || d.GetError() != want.GetError() || d.GetCommitted() != want.GetCommitted() {
				t.Errorf("%s: expected %v, found %v", name, want, d)
			}
		}
	})
	w.run("beyond the places", func(t *testing.T) {
		in, out := make(chan struct{}, 2), make(chan struct{})
		var looked atomic.Int32
		f.set(func(f *faulty) {
			f.lookUp = func() error {
				if looked.Add(1) <= 2 {
					in <- struct{}{}
					<-out
				}
				return hsm.ErrTokenLost
			}
		})
		var wg sync.WaitGroup
		for _, p := range all[:2] {
			wg.Go(func() { _, _ = w.cosign("vault-2", p, 1) })
		}
		<-in
		<-in
		if _, err := w.cosign("vault-2", all[2], 1); status.Code(err) != codes.ResourceExhausted {
			t.Errorf("expected ResourceExhausted, found %v", err)
		}
		close(out)
		wg.Wait()
		f.set(func(*faulty) {})
		_, err := w.cosign("vault-2", all[2], 1)
		check(t, err)
	})
}

// gone removes the tokens from the disk between COMMITTED and the signature. It comes last.
func (v *vaults) gone(t *testing.T) {
	f := &faulty{Token: v.tokens["vault-1"]}
	w := v.world(t, setUp{engine: same(reaches)}, func(name canon.Name, token signer.Token) signer.Token {
		if name == "vault-1" {
			return f
		}
		return token
	})
	p := w.spend("btc-vault", "gone", 0)
	f.set(func(f *faulty) { f.before = func() { removeTokens(t) } })
	if _, err := w.cosign("vault-1", p, 1); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "btc-vault/acme-one/0/0") {
		t.Errorf("expected Unavailable, with the key named, found %v", err)
	}
	if n := w.made("vault-1", "btc-vault"); n != 1 {
		t.Errorf("expected 1 signature committed to, found %d", n)
	}
}

// removeTokens empties SoftHSM's directory.
func removeTokens(t *testing.T) {
	t.Helper()
	conf, err := os.ReadFile(os.Getenv(pkcs11.SoftHSMConf))
	check(t, err)
	for line := range strings.Lines(string(conf)) {
		if dir, ok := strings.CutPrefix(line, "directories.tokendir"); ok {
			all, err := filepath.Glob(filepath.Join(strings.Trim(dir, " =\n"), "*"))
			check(t, err)
			if len(all) < len(vaultNames) {
				t.Fatalf("expected %d tokens, found %v", len(vaultNames), all)
			}
			for _, one := range all {
				check(t, os.RemoveAll(one))
			}
		}
	}
}
