package store_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

var list = []canon.Signed{
	{Document: []byte{1}, Scheme: canon.Ed25519, Signature: make([]byte, 64)},
	{Document: []byte{2}, Scheme: canon.SSHSig, Signature: []byte{3}},
}

func TestSignedDocumentsComeBackAsTheyWere(t *testing.T) {
	b, err := store.EncodeSigned(list)
	if err != nil {
		t.Fatal(err)
	}
	back, err := store.DecodeSigned(b)
	if diff := cmp.Diff(list, back); err != nil || diff != "" {
		t.Errorf("error %v, %s", err, diff)
	}
	if _, err := store.EncodeSigned([]canon.Signed{{Scheme: 7}}); err == nil {
		t.Error("encoded a document of an unknown scheme")
	}
	if _, err := store.EncodeSigned(make([]canon.Signed, 257)); err == nil {
		t.Error("encoded 257 documents")
	}
	if _, err := store.DecodeSigned(make([]byte, 1<<20+1)); err == nil {
		t.Error("decoded more than a mebibyte")
	}
}

func TestDifferentQueriesHaveDifferentFingerprints(t *testing.T) {
	seen := map[string]store.Query{}
	for _, q := range []store.Query{
		{}, {Newest: true}, {Client: "a"}, {Wallet: "a"}, {States: []withdrawal.State{withdrawal.Denied}},
		{States: []withdrawal.State{withdrawal.Denied, withdrawal.Held}}, {Client: `a" wallet="b`}, {Client: "a", Wallet: "b"},
	} {
		if other, taken := seen[q.Fingerprint()]; taken {
			t.Errorf("%+v and %+v have the same fingerprint", q, other)
		}
		seen[q.Fingerprint()] = q
	}
}

func FuzzDecodeSigned(f *testing.F) {
	b, err := store.EncodeSigned(list)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x80})
	f.Fuzz(func(t *testing.T, b []byte) {
		found, err := store.DecodeSigned(b)
		if err != nil {
			return
		}
		once, err := store.EncodeSigned(found)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := store.DecodeSigned(once); err != nil || !cmp.Equal(found, again) {
			t.Fatalf("expected %v, found %v, error %v", found, again, err)
		}
	})
}

func FuzzParsePageToken(f *testing.F) {
	f.Add(store.PageToken("q", 7))
	f.Add("")
	f.Add("AQ")
	f.Fuzz(func(t *testing.T, token string) {
		position, err := store.ParsePageToken("q", token)
		switch {
		case err != nil && !errors.Is(err, store.ErrPageToken):
			t.Fatalf("expected ErrPageToken, found %v", err)
		case err == nil && token != "" && store.PageToken("q", position) != token:
			t.Fatalf("token %q and %q both mean %d", token, store.PageToken("q", position), position)
		}
	})
}
