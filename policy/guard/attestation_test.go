package guard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

func sha256Of(label string) [32]byte { return sha256.Sum256([]byte(label)) }

// attested is a withdrawal that devices attest.
func attested(t testing.TB) (*world, *Signable, canon.Digest) {
	t.Helper()
	w := deviceWorld(t)
	s, err := Check(w.encode(w.attestedPaper()), w.view())
	if err != nil {
		t.Fatal(err)
	}
	_, rid, err := canon.Seal(w.reservation(s))
	if err != nil {
		t.Fatal(err)
	}
	return w, s, rid
}

// attestation is what a device gives its word for.
func (w *world) attestation(s *Signable, rid canon.Digest, device canon.Name) canon.Attestation {
	return canon.Attestation{Organisation: w.charter.Organisation(), Signer: device, Wallet: "evm-cosign", Reservation: rid, Transaction: s.Transaction(), Charter: w.charter.Digest()}
}

// attest signs an attestation with a key of a token.
func attest(t testing.TB, a canon.Attestation, key *btcec.PrivateKey) canon.Signed {
	t.Helper()
	document, digest, err := canon.Seal(a)
	if err != nil {
		t.Fatal(err)
	}
	sig := chartertest.TokenSign(key, digest)
	return canon.Signed{Document: document, Scheme: canon.ECDSA, Signature: sig[:]}
}

func attestationKey(device canon.Name) *btcec.PrivateKey {
	return chartertest.TokenKey(device, keyset.AttestationLabel("evm-cosign"))
}

func (w *world) attests(s *Signable, rid canon.Digest, devices ...canon.Name) (list []canon.Signed) {
	for _, d := range devices {
		list = append(list, attest(w.t, w.attestation(s, rid, d), attestationKey(d)))
	}
	return list
}

func TestAttestationsOfEnoughDevicesCount(t *testing.T) {
	w, s, rid := attested(t)
	for _, devices := range [][]canon.Name{{"vault-1", "vault-2"}, {"vault-3", "vault-1"}, {"vault-2", "vault-3", "vault-1"}} {
		if err := s.CheckAttestations(w.attests(s, rid, devices...), rid, w.view()); err != nil {
			t.Errorf("%v: %v", devices, err)
		}
	}
	device, err := CheckAttestation(w.attests(s, rid, "vault-3")[0], s.Wallet(), rid, s.Transaction(), w.view())
	if err != nil || device != "vault-3" {
		t.Errorf("expected vault-3, found %s (%v)", device, err)
	}
}

func TestBadAttestationsAreRefused(t *testing.T) {
	w, s, rid := attested(t)
	good := w.attests(s, rid, "vault-1", "vault-2", "vault-3")
	one := func(change func(a *canon.Attestation), key *btcec.PrivateKey) []canon.Signed {
		a := w.attestation(s, rid, "vault-2")
		change(&a)
		return []canon.Signed{good[0], attest(t, a, key)}
	}
	own := attestationKey("vault-2")
	same := func(*canon.Attestation) {}
	for name, c := range map[string]struct {
		list  []canon.Signed
		field string
		says  string // what the refusal must tell of
	}{
		"none":                {nil, "attestations", "2 distinct devices"},
		"one too few":         {good[:1], "attestations", "vault-1"},
		"one device twice":    {[]canon.Signed{good[0], good[0]}, "attestations[1].signer", "vault-1"},
		"one more than there": {[]canon.Signed{good[0], good[1], good[2], good[0]}, "attestations", "4"},
		"no device":           {one(func(a *canon.Attestation) { a.Signer = "node-1" }, own), "attestations[1].signer", "node-1"},
		"another's name":      {one(func(a *canon.Attestation) { a.Signer = "vault-3" }, own), "attestations[1].signature", "vault-3"},
		"organisation":        {one(func(a *canon.Attestation) { a.Organisation[0]++ }, own), "attestations[1].organisation", "vault-2"},
		"wallet":              {one(func(a *canon.Attestation) { a.Wallet = "btc-cosign" }, own), "attestations[1].wallet", "vault-2"},
		"reservation":         {one(func(a *canon.Attestation) { a.Reservation[0]++ }, own), "attestations[1].reservation", "vault-2"},
		"transaction":         {one(func(a *canon.Attestation) { a.Transaction[0]++ }, own), "attestations[1].transaction", "vault-2"},
		"another charter":     {one(func(a *canon.Attestation) { a.Charter[0]++ }, own), "attestations[1].charter", "vault-2"},
		"key of an address":   {one(same, chartertest.TokenKey("vault-2", keyset.Label("btc-tokens", "acme-one", 0, 0))), "attestations[1].signature", "vault-2"},
		"key of another":      {one(same, attestationKey("vault-1")), "attestations[1].signature", "vault-2"},
		"garbage":             {[]canon.Signed{good[0], {Document: []byte{0x80}, Scheme: canon.ECDSA, Signature: good[1].Signature}}, "attestations[1]", "canonical"},
		"high s":              {[]canon.Signed{good[0], high(good[1])}, "attestations[1].signature", "n/2"},
		"by the identity": {[]canon.Signed{good[0], {Document: good[1].Document, Scheme: canon.Ed25519,
			Signature: ed25519.Sign(chartertest.Key("vault-2"), canon.KindAttestation.Message(good[1].Document))}}, "attestations[1].scheme", "vault-2"},
		"under another kind": {[]canon.Signed{good[0], {Document: good[1].Document, Scheme: canon.ECDSA, Signature: signedAs(canon.KindPossession, good[1].Document)}}, "attestations[1].signature", "vault-2"},
		"one bad of three":   {[]canon.Signed{good[0], good[1], one(func(a *canon.Attestation) { a.Wallet = "btc-cosign" }, own)[1]}, "attestations[2].wallet", "vault-2"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.CheckAttestations(c.list, rid, w.view())
			refused(t, err, c.field)
			if !bytes.Contains([]byte(err.Error()), []byte(c.says)) {
				t.Errorf("expected a refusal that names %s, found %v", c.says, err)
			}
		})
	}
}

// high returns the attestation with s replaced by n - s, which verifies just as well.
func high(s canon.Signed) canon.Signed {
	var n btcec.ModNScalar
	n.SetByteSlice(s.Signature[32:])
	b := n.Negate().Bytes()
	s.Signature = append(bytes.Clone(s.Signature[:32]), b[:]...)
	return s
}

func signedAs(kind canon.Kind, document []byte) []byte {
	sig := chartertest.TokenSign(attestationKey("vault-2"), kind.Digest(document))
	return sig[:]
}

// An attestation is for one reservation: under another, or another charter, the devices are asked again.
func TestAttestationsCountOnceOnly(t *testing.T) {
	w, s, rid := attested(t)
	list := w.attests(s, rid, "vault-1", "vault-2")
	other := rid
	other[31]++
	refused(t, s.CheckAttestations(list, other, w.view()), "attestations[0].reservation")
	later := deviceWorld(t)
	next := worldOf(t, bookEntries(), func(g *canon.Genesis) { later.withDevices(g); g.Label = "Another" })
	refused(t, s.CheckAttestations(list, rid, View{Charter: next.charter}), "attestations[0].charter")
}

func TestWalletsWhoseDevicesSignHaveNoAttestations(t *testing.T) {
	w, attesting, rid := attested(t)
	list := w.attests(attesting, rid, "vault-1", "vault-2")
	for _, p := range []*paper{w.devicePaper("btc-cosign"), w.devicePaper("btc-tokens"), w.evmPaper(eth), w.bitcoinPaper()} {
		s, err := Check(w.encode(p), w.view())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CheckAttestations(nil, rid, w.view()); err != nil {
			t.Errorf("%s: %v", s.Wallet().Name, err)
		}
		refused(t, s.CheckAttestations(list, rid, w.view()), "attestations")
	}
}

// tamperWithAttestation changes everything about a device's word: as somebody on the way could, and as a device could that signs what it changed.
func tamperWithAttestation(t *testing.T, fields map[string]int) {
	d := withdrawalIn(t, deviceWorld(t), "coin that tokens attest", evmCodec, (*world).attestedPaper)
	_, rid, err := canon.Seal(d.asked)
	if err != nil {
		t.Fatal(err)
	}
	list := d.w.attests(d.signable, rid, "vault-1", "vault-2")
	tw := newTamperer(t, d)
	tw.fields = fields
	ask := func(s canon.Signed, place, change string) {
		if err := explained(d.signable.CheckAttestations([]canon.Signed{s, list[1]}, rid, d.w.view())); err != nil {
			t.Errorf("%s: %s: %v", place, change, err)
		}
	}
	one, original := list[0], tw.encode(list[0])
	tw.document(&one, func(place, change string) bool {
		if bytes.Equal(tw.encode(one), original) {
			return false
		}
		ask(one, place, change)
		var a canon.Attestation
		if !bytes.Equal(one.Document, list[0].Document) && rawDecode(one.Document, &a) == nil && slices.Contains([]canon.Name{"vault-1", "vault-2", "vault-3"}, a.Signer) {
			lie := canon.Signed{Document: one.Document, Scheme: canon.ECDSA}
			sig := chartertest.TokenSign(attestationKey("vault-1"), canon.KindAttestation.Digest(one.Document))
			lie.Signature = sig[:]
			ask(lie, place, change+", signed")
		}
		return true
	})
	if s := new(big.Int).SetBytes(list[0].Signature[32:]); s.Cmp(halfN) > 0 {
		t.Error("expected a token that signs with low s")
	}
}
