package ceremony

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// people are two attendants with keys from fixed seeds.
func people(t testing.TB) ([]canon.Attendant, []approval.Signer) {
	t.Helper()
	var all []canon.Attendant
	var signers []approval.Signer
	for _, name := range []canon.Name{"alice", "bob"} {
		text, signer, err := approval.NewKeyFile([]byte("correct horse"), "")
		if err != nil || len(text) == 0 {
			t.Fatal(err)
		}
		all, signers = append(all, canon.Attendant{Name: name, Label: canon.Text(name), Role: "key manager", Key: signer.Public()}), append(signers, signer)
	}
	return all, signers
}

// private is the key that the transcripts of these tests are about.
var private, public = btcec.PrivKeyFromBytes(bytes.Repeat([]byte{5}, 32))

func boolean(b bool) []byte {
	if b {
		return []byte{1}
	}
	return []byte{0}
}

// good is a transcript of a ceremony that made one key.
func good(t testing.TB, present []canon.Attendant) *canon.Transcript {
	t.Helper()
	var by []canon.Name
	for _, a := range present {
		by = append(by, a.Name)
	}
	tr := &canon.Transcript{Title: "Test", Purpose: canon.CeremonyGenerate, Place: "Here", Began: 1000, Ended: 1010, Present: present,
		Token: canon.CeremonyToken{Label: "cold-1", Serial: "0a"},
		Steps: []canon.CeremonyStep{{At: 1001, Action: "token", Outcome: "cold-1", By: by}, {At: 1010, Action: actionEnd, Outcome: outcomeComplete, By: by}}}
	k := canon.CeremonyKey{Label: "w/a/0/0", Public: public.SerializeCompressed(), Use: "w a 0/0"}
	for name, value := range map[canon.Text]bool{"CKA_TOKEN": true, "CKA_PRIVATE": true, "CKA_SENSITIVE": true, "CKA_SIGN": true, "CKA_DECRYPT": false,
		"CKA_UNWRAP": false, "CKA_DERIVE": false, "CKA_SIGN_RECOVER": false, "CKA_LOCAL": true, "CKA_ALWAYS_SENSITIVE": true, "CKA_EXTRACTABLE": false, "CKA_NEVER_EXTRACTABLE": true} {
		k.Attributes = append(k.Attributes, canon.CeremonyAttribute{Name: name, Value: boolean(value)})
	}
	tr.Keys = []canon.CeremonyKey{k}
	sign(tr)
	return tr
}

// sign makes the key's test signature again.
func sign(t *canon.Transcript) {
	k := &t.Keys[0]
	k.Message = testDigest(t.Token.Serial, t.Began, k.Label, k.Public)
	s := ecdsa.Sign(private, k.Message[:])
	r0, s0 := s.R(), s.S()
	r, low := r0.Bytes(), s0.Bytes()
	k.Signature = append(r[:], low[:]...)
}

func set(t *canon.Transcript, name canon.Text, value bool) {
	for i, a := range t.Keys[0].Attributes {
		if a.Name == name {
			t.Keys[0].Attributes[i].Value = boolean(value)
			return
		}
	}
	t.Keys[0].Attributes = append(t.Keys[0].Attributes, canon.CeremonyAttribute{Name: name, Value: boolean(value)})
}

func TestTranscriptOfTheRightFormIsAccepted(t *testing.T) {
	present, _ := people(t)
	for name, change := range map[string]func(*canon.Transcript){
		"born here":      func(*canon.Transcript) {},
		"may be wrapped": wrappable,
		"restored":       func(t *canon.Transcript) { t.Purpose = canon.CeremonyRestore; restored(t) },
		"an address":     func(t *canon.Transcript) { t.Keys[0].Address = bitcoin.ScriptP2WPKH([33]byte(t.Keys[0].Public)) },
		"aborted":        func(t *canon.Transcript) { t.Steps[1].Outcome = outcomeAborted; t.Keys = nil },
	} {
		tr := good(t, present)
		change(tr)
		var l refusal.List
		if verifyDocument(&l, tr); l.Err() != nil {
			t.Errorf("%s: %v", name, l.Err())
		}
	}
}

func wrappable(t *canon.Transcript) {
	set(t, "CKA_EXTRACTABLE", true)
	set(t, "CKA_NEVER_EXTRACTABLE", false)
	set(t, "CKA_WRAP_WITH_TRUSTED", true)
}

func restored(t *canon.Transcript) {
	set(t, "CKA_LOCAL", false)
	set(t, "CKA_ALWAYS_SENSITIVE", false)
	set(t, "CKA_NEVER_EXTRACTABLE", false)
}

// What an officer would overlook in a list of attributes, and what a forger would write.
func TestTranscriptsThatDoNotAddUpAreRefused(t *testing.T) {
	present, _ := people(t)
	for name, c := range map[string]struct {
		change func(*canon.Transcript)
		field  string
	}{
		"extractable, not wrap-with-trusted": {func(t *canon.Transcript) { set(t, "CKA_EXTRACTABLE", true); set(t, "CKA_NEVER_EXTRACTABLE", false) }, "CKA_WRAP_WITH_TRUSTED"},
		"not sensitive":                      {func(t *canon.Transcript) { set(t, "CKA_SENSITIVE", false) }, "CKA_SENSITIVE"},
		"was not sensitive once":             {func(t *canon.Transcript) { set(t, "CKA_ALWAYS_SENSITIVE", false) }, "CKA_ALWAYS_SENSITIVE"},
		"could leave once":                   {func(t *canon.Transcript) { set(t, "CKA_NEVER_EXTRACTABLE", false) }, "CKA_NEVER_EXTRACTABLE"},
		"derives":                            {func(t *canon.Transcript) { set(t, "CKA_DERIVE", true) }, "CKA_DERIVE"},
		"imported":                           {restored, "keys[0].attributes"},
		"backed up, not made for it":         {func(t *canon.Transcript) { t.Purpose = canon.CeremonyBackup }, "keys[0].attributes"},
		"an attribute twice": {func(t *canon.Transcript) {
			t.Keys[0].Attributes = append(t.Keys[0].Attributes, canon.CeremonyAttribute{Name: "CKA_LOCAL", Value: []byte{0}})
		}, "keys[0].attributes"},
		"no attributes":                   {func(t *canon.Transcript) { t.Keys[0].Attributes = nil }, "CKA_TOKEN"},
		"another token's signature":       {func(t *canon.Transcript) { t.Token.Serial = "0b" }, "keys[0].message"},
		"a signature of another ceremony": {func(t *canon.Transcript) { t.Began-- }, "keys[0].message"},
		"another key's label":             {func(t *canon.Transcript) { t.Keys[0].Label = "w/a/0/1" }, "keys[0].message"},
		"an altered signature":            {func(t *canon.Transcript) { t.Keys[0].Signature[10] ^= 1 }, "keys[0].signature"},
		"another's address":               {func(t *canon.Transcript) { t.Keys[0].Address = make([]byte, 22) }, "keys[0].address"},
		"a key twice":                     {func(t *canon.Transcript) { t.Keys = append(t.Keys, t.Keys[0]) }, "keys[1]"},
		"no keys":                         {func(t *canon.Transcript) { t.Keys = nil }, "keys"},
		"no end":                          {func(t *canon.Transcript) { t.Steps = t.Steps[:1] }, "steps"},
		"an end that one person saw":      {func(t *canon.Transcript) { t.Steps[1].By = t.Steps[1].By[:1] }, "steps"},
		"an end that one person saw twice": {func(t *canon.Transcript) {
			t.Steps[1].By = []canon.Name{"alice", "alice"}
		}, "steps"},
		"a stranger's confirmation": {func(t *canon.Transcript) { t.Steps[0].By = []canon.Name{"mallory"} }, "steps[0].by"},
		"a step before it began":    {func(t *canon.Transcript) { t.Steps[0].At = 999 }, "steps[0].at"},
		"a key that may not sign":   {func(t *canon.Transcript) { t.Present[0].Key = make([]byte, 40) }, "present[0].key"},
	} {
		tr := good(t, append([]canon.Attendant{}, present...))
		c.change(tr)
		var l refusal.List
		verifyDocument(&l, tr)
		found := false
		if r := refusal.Of(l.Err()); r != nil {
			for _, f := range r.Failures {
				found = found || f.Field == c.field || strings.HasSuffix(f.Field, "."+c.field)
			}
		}
		if !found {
			t.Errorf("%s: expected a refusal of %s, found %v", name, c.field, l.Err())
		}
	}
}

// write puts a transcript into a directory and has the signers sign it.
func write(t *testing.T, tr *canon.Transcript, signers ...approval.Signer) string {
	t.Helper()
	document, err := canon.Encode(tr)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), TranscriptFile)
	if err := writeFile(path, canon.KindTranscript.Message(document)); err != nil {
		t.Fatal(err)
	}
	for i, s := range signers {
		signing, err := NewSigning(path, tr.Present[i].Name)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(signing.Meant(signing.t.digest.String()), signing.Sign(s)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestEverybodySigns(t *testing.T) {
	present, signers := people(t)
	path := write(t, good(t, present), signers[0])
	if r, err := Verify(path, Expected{}); !errors.Is(err, ErrUnsigned) || len(r.Unsigned) != 1 || r.Unsigned[0] != "bob" {
		t.Errorf("one of two: %v, %v", r, err)
	}
	path = write(t, good(t, present), signers...)
	r, err := Verify(path, Expected{})
	if !errors.Is(err, ErrUnvouched) || r.Vouched {
		t.Errorf("both, nobody knows them: %v", err)
	}
	digest, err := canon.ParseDigest(r.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := Verify(path, Expected{Transcript: digest}); err != nil || !r.Vouched {
		t.Errorf("both: %v", err)
	}
	digest[0] ^= 1
	if _, err := Verify(path, Expected{Transcript: digest}); refusal.Of(err) == nil {
		t.Errorf("another digest: %v", err)
	}
	if _, err := Verify(path, Expected{Module: canon.Digest{1}}); refusal.Of(err) == nil {
		t.Errorf("another module: %v", err)
	}
	if err := os.WriteFile(SignatureFile(path, "bob"), []byte("no signature"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(path, Expected{}); refusal.Of(err) == nil {
		t.Errorf("a file that is no signature: %v", err)
	}
	s, err := NewSigning(path, "alice")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Meant(r.Digest), s.Sign(signers[1])); refusal.Of(err) == nil {
		t.Errorf("bob signs as alice: %v", err)
	}
}

// Who signs says which transcript he means before he is shown one.
func TestSigningNeedsWhatWasNotedInTheRoom(t *testing.T) {
	present, signers := people(t)
	s, err := NewSigning(write(t, good(t, present)), "alice")
	if err != nil {
		t.Fatal(err)
	}
	words := s.Report.Words[:]
	for _, bad := range []string{"", strings.Join(words[:3], " "), strings.Join(words[:5], " "), strings.Join(words[1:5], " "), strings.Repeat("0", 64)} {
		if err := s.Meant(bad); refusal.Of(err) == nil {
			t.Errorf("%q: expected a refusal, found %v", bad, err)
		}
	}
	if err := s.Sign(signers[0]); refusal.Of(err) == nil {
		t.Errorf("without a digest: expected a refusal, found %v", err)
	}
	if err := errors.Join(s.Meant(" "+strings.ToUpper(strings.Join(words[:4], "  "))), s.Sign(signers[0])); err != nil {
		t.Error(err)
	}
}

// A transcript that somebody made up has good signatures by people of the right names.
func TestOnlyKnownPeopleVouch(t *testing.T) {
	present, signers := people(t)
	stranger, _ := people(t)
	path := write(t, good(t, present), signers...)
	for name, c := range map[string]struct {
		keys  []canon.Attendant
		known bool
	}{"all": {present, true}, "one of two": {present[:1], false}, "others of the same names": {stranger, false}} {
		var lines []byte
		for _, a := range c.keys {
			k, err := ssh.ParsePublicKey(a.Key)
			if err != nil {
				t.Fatal(err)
			}
			lines = append(append(lines, "# somebody\n"...), ssh.MarshalAuthorizedKey(k)...)
		}
		file := filepath.Join(t.TempDir(), "authorized_keys")
		if err := os.WriteFile(file, lines, 0o600); err != nil {
			t.Fatal(err)
		}
		known, err := LoadKnown(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := Verify(path, Expected{Known: known})
		if c.known && err != nil || !c.known && refusal.Of(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := fingerprint(present[0].Key); r.Present[0].Key != want || !strings.HasPrefix(want, "SHA256:") {
			t.Errorf("expected fingerprint %s, found %s", want, r.Present[0].Key)
		}
	}
	for name, text := range map[string]string{"empty": "\n", "nonsense": "alice\n", "weak": "ssh-dss AAAAB3NzaC1kc3MAAAAA\n"} {
		file := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadKnown(file); refusal.Of(err) == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}

func TestNobodySignsWhatIsWrong(t *testing.T) {
	present, _ := people(t)
	tr := good(t, present)
	set(tr, "CKA_EXTRACTABLE", true)
	if _, err := NewSigning(write(t, tr), "alice"); refusal.Of(err) == nil {
		t.Errorf("got %v", err)
	}
}

func FuzzParseTranscript(f *testing.F) {
	_, private, err := ed25519.GenerateKey(bytes.NewReader(make([]byte, 64)))
	if err != nil {
		f.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		f.Fatal(err)
	}
	document, err := canon.Encode(good(f, []canon.Attendant{{Name: "alice", Key: signer.PublicKey().Marshal()}}))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(canon.KindTranscript.Message(document))
	f.Add(document)
	f.Add(canon.KindTranscript.Message(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, err := parseTranscript(b)
		if err != nil {
			if refusal.Of(err) == nil {
				t.Fatalf("not a refusal: %v", err)
			}
			return
		}
		var l refusal.List
		classes := verifyDocument(&l, &tr.Transcript)
		report(tr, classes).Write(&bytes.Buffer{})
		if again, err := canon.Encode(tr.Transcript); err != nil || !bytes.Equal(canon.KindTranscript.Message(again), b) {
			t.Fatalf("accepted %x, which re-encodes as %x", b, again)
		}
	})
}
