package keyset

import (
	"bytes"
	"slices"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/fxamacker/cbor/v2"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

var twoDevices = wallet(btc, canon.SchemeHSM, 2, "vault-1", "vault-2")

// copyOf returns a pool of which every list can be changed.
func copyOf(t testing.TB, p canon.KeyPool) canon.KeyPool {
	t.Helper()
	b, err := canon.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	var again canon.KeyPool
	if err := canon.Decode(b, &again); err != nil {
		t.Fatal(err)
	}
	return again
}

func TestPoolsOpenUnderTheirDigestOnly(t *testing.T) {
	p := poolOf(t, twoDevices, 3, 2)
	b, digest, err := canon.Seal(p)
	if err != nil {
		t.Fatal(err)
	}
	pool, err := OpenPool(b, digest)
	if err != nil {
		t.Fatal(err)
	}
	if pool.Digest() != digest || pool.Document().Wallet != "vault" || len(pool.Document().Devices) != 2 {
		t.Errorf("expected the pool of vault, found %+v", pool)
	}
	for name, c := range map[string]struct {
		b      []byte
		digest canon.Digest
		field  string
	}{
		"another digest": {b, canon.Digest{1}, "pool"},
		"one bit":        {append(bytes.Clone(b[:len(b)-1]), b[len(b)-1]^1), digest, "pool"},
		"longer":         {append(bytes.Clone(b), 0), canon.KindKeyPool.Digest(append(bytes.Clone(b), 0)), "pool"},
		"nothing":        {nil, canon.KindKeyPool.Digest(nil), "pool"},
		"another kind":   {b, canon.KindPossession.Digest(b), "pool"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := OpenPool(c.b, c.digest)
			refused(t, err, c.field)
		})
	}
}

// Whoever makes up a pool lacks the proof that somebody has the keys, for these addresses, in this wallet, at this signer.
func TestKeysWithoutTheirProofAreRefused(t *testing.T) {
	original := poolOf(t, twoDevices, 3, 2)
	foreign := keyOf("somebody else's")
	for name, c := range map[string]struct {
		change func(p *canon.KeyPool)
		field  string
	}{
		"key of somebody else":              {func(p *canon.KeyPool) { p.Devices[1].Keys[4] = foreign.PubKey().SerializeCompressed() }, "devices[1].proofs[4]"},
		"proof of another key":              {func(p *canon.KeyPool) { p.Devices[0].Proofs[0] = p.Devices[0].Proofs[1] }, "devices[0].proofs[0]"},
		"two addresses swapped":             {func(p *canon.KeyPool) { swap(&p.Devices[0], 2, 3) }, "devices[0].proofs[2]"},
		"accounts swapped":                  {func(p *canon.KeyPool) { slices.Reverse(p.Accounts) }, "devices[0].proofs[0]"},
		"another account":                   {func(p *canon.KeyPool) { p.Accounts[1] = "globex-main" }, "devices[0].proofs[5]"},
		"an account twice":                  {func(p *canon.KeyPool) { p.Accounts[1] = p.Accounts[0] }, "accounts[1]"},
		"another wallet":                    {func(p *canon.KeyPool) { p.Wallet = "vault-two" }, "devices[0].proofs[0]"},
		"another chain":                     {func(p *canon.KeyPool) { p.Chain = evm.ID }, "devices[0].proofs[0]"},
		"another signer":                    {func(p *canon.KeyPool) { p.Devices[0].Signer = "vault-9" }, "devices[0].proofs[0]"},
		"another identity":                  {func(p *canon.KeyPool) { p.Devices[0].Identity = p.Devices[1].Identity }, "devices[0].proofs[0]"},
		"one device's keys under two names": {func(p *canon.KeyPool) { p.Devices[1] = p.Devices[0]; p.Devices[1].Signer = "vault-2" }, "devices[1].keys[0]"},
		"one device twice":                  {func(p *canon.KeyPool) { p.Devices[1] = p.Devices[0] }, "devices[1].signer"},
		"devices' names swapped": {func(p *canon.KeyPool) {
			p.Devices[0].Signer, p.Devices[1].Signer = p.Devices[1].Signer, p.Devices[0].Signer
		}, "devices[0].proofs[0]"},
		"branches moved":     {func(p *canon.KeyPool) { p.Receive, p.Change = 2, 3 }, "devices[0].proofs[2]"},
		"key that is none":   {func(p *canon.KeyPool) { p.Devices[0].Keys[0] = bytes.Repeat([]byte{7}, 33) }, "devices[0].proofs[0]"},
		"high s":             {func(p *canon.KeyPool) { p.Devices[1].Proofs[9] = highS(p.Devices[1].Proofs[9]) }, "devices[1].proofs[9]"},
		"empty proof":        {func(p *canon.KeyPool) { p.Devices[0].Proofs[0] = make([]byte, 64) }, "devices[0].proofs[0]"},
		"proof of no length": {func(p *canon.KeyPool) { p.Devices[0].Proofs[0] = nil }, "pool"},
		"one key too few":    {func(p *canon.KeyPool) { p.Devices[0].Keys = p.Devices[0].Keys[1:] }, "pool"},
		"no devices":         {func(p *canon.KeyPool) { p.Devices = nil }, "pool"},
		"no accounts":        {func(p *canon.KeyPool) { p.Accounts = nil }, "pool"},
	} {
		t.Run(name, func(t *testing.T) {
			p := copyOf(t, original)
			c.change(&p)
			signParts(t, &p)
			b, err := canon.Encode(p)
			if err != nil {
				b = rawPool(t, p)
			}
			pool, err := OpenPool(b, canon.KindKeyPool.Digest(b))
			refused(t, err, c.field)
			if pool != nil {
				t.Error("expected no pool next to the refusal")
			}
		})
	}
}

// Keys that a signer's own process did not find in its token are not its part, whatever they prove.
func TestPartsOfPoolsAreSignedByTheirSigners(t *testing.T) {
	original := poolOf(t, twoDevices, 3, 2)
	for name, change := range map[string]func(d *canon.PoolDevice){
		"no signature":            func(d *canon.PoolDevice) { d.Signature = nil },
		"another part's":          func(d *canon.PoolDevice) { d.Signature = original.Devices[0].Signature },
		"one bit":                 func(d *canon.PoolDevice) { d.Signature[9] ^= 1 },
		"another identity":        func(d *canon.PoolDevice) { d.Identity[0]++ },
		"another class":           func(d *canon.PoolDevice) { d.Backup = canon.BackupWrap },
		"attended":                func(d *canon.PoolDevice) { d.Attended = true },
		"keys of somebody else's": func(d *canon.PoolDevice) { swap(d, 0, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			p := copyOf(t, original)
			change(&p.Devices[1])
			b, err := canon.Encode(p)
			if err != nil {
				t.Fatal(err)
			}
			_, err = OpenPool(b, canon.KindKeyPool.Digest(b))
			refused(t, err, "devices[1].signature")
		})
	}
}

// rawPool writes what canon refuses to.
func rawPool(t testing.TB, p canon.KeyPool) []byte {
	t.Helper()
	m, err := cbor.EncOptions{Sort: cbor.SortCoreDeterministic, NilContainers: cbor.NilContainerAsEmpty}.EncMode()
	if err != nil {
		t.Fatal(err)
	}
	b, err := m.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func swap(d *canon.PoolDevice, i, j int) {
	d.Keys[i], d.Keys[j] = d.Keys[j], d.Keys[i]
	d.Proofs[i], d.Proofs[j] = d.Proofs[j], d.Proofs[i]
}

// highS replaces s by n - s, which verifies just as well.
func highS(sig []byte) []byte {
	var s btcec.ModNScalar
	s.SetByteSlice(sig[32:])
	b := s.Negate().Bytes()
	return append(bytes.Clone(sig[:32]), b[:]...)
}

// A pool may list thousands of keys that are all wrong.
func TestRefusalsOfPoolsStayShort(t *testing.T) {
	p := poolOf(t, twoDevices, 200, 0)
	p.Wallet = "vault-two"
	signParts(t, &p)
	b, err := canon.Encode(p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenPool(b, canon.KindKeyPool.Digest(b))
	refused(t, err, "devices[0].proofs[0]")
	if n := len(refusal.Of(err).Failures); n > 10 {
		t.Errorf("expected at most 10 failures, found %d", n)
	}
}

func TestVerifyTakesOneFormOfSignature(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		key := keyOf(rapid.String().Draw(rt, "key"))
		public := key.PubKey().SerializeCompressed()
		var digest [32]byte
		copy(digest[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(rt, "digest"))
		sig := sign(key, digest)
		if err := Verify(public, digest, sig); err != nil {
			rt.Fatal(err)
		}
		at := rapid.IntRange(0, 511).Draw(rt, "bit")
		flipped := bytes.Clone(sig)
		flipped[at/8] ^= 1 << (at % 8)
		other := digest
		other[at%32]++
		for name, err := range map[string]error{
			"one bit":      Verify(public, digest, flipped),
			"other digest": Verify(public, other, sig),
			"high s":       Verify(public, digest, highS(sig)),
			"longer":       Verify(public, digest, append(bytes.Clone(sig), 0)),
			"nothing":      Verify(public, digest, nil),
			"uncompressed": Verify(key.PubKey().SerializeUncompressed(), digest, sig),
			"no key":       Verify(nil, digest, sig),
			"other key":    Verify(keyOf("another").PubKey().SerializeCompressed(), digest, sig),
		} {
			if err == nil {
				rt.Fatalf("%s: expected a refusal", name)
			}
		}
	})
}

// Whatever a file holds, a pool is what its bytes say, with every proof, or a refusal.
func FuzzOpenPool(f *testing.F) {
	for _, w := range []canon.Wallet{twoDevices, wallet(btc, canon.SchemeCosign, 1, "vault-1")} {
		b, err := canon.Encode(poolOf(f, w, 2, 1))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte{0xa0})
	f.Fuzz(func(t *testing.T, b []byte) {
		pool, err := OpenPool(b, canon.KindKeyPool.Digest(b))
		if err != nil {
			if refusal.Of(err) == nil || pool != nil {
				t.Fatalf("expected a refusal and no pool, found %v", err)
			}
			return
		}
		again, err := canon.Encode(pool.Document())
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("expected the pool of these bytes, found %x (%v)", again, err)
		}
	})
}
