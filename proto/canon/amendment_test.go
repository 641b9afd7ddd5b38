package canon

import (
	"encoding/hex"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// The fields that came with amendments are left out when empty: a genesis of before keeps its bytes, and its organisation its id.
func TestGenesisWithoutAmendmentFieldsKeepsItsDigest(t *testing.T) {
	text, err := os.ReadFile("testdata/genesis-v1-without-amendment-fields.hex")
	if err != nil {
		t.Fatal(err)
	}
	encoding, digest, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	b, err := hex.DecodeString(encoding)
	if err != nil {
		t.Fatal(err)
	}
	var g Genesis
	if err := Decode(b, &g); err != nil {
		t.Fatal(err)
	}
	again, found, err := Seal(g)
	if err != nil || hex.EncodeToString(again) != encoding || found.String() != digest {
		t.Errorf("expected the same bytes and digest %s, found %s (%v)", digest, found, err)
	}
}

func TestAmendmentRulesAreEnforcedOnDecoding(t *testing.T) {
	amendment := func(change func(*Amendment)) Document {
		a := sample(&Amendment{}).(*Amendment)
		change(a)
		return a
	}
	entry := func(change func(*CharterEntry)) Document {
		e := sample(&CharterEntry{}).(*CharterEntry)
		change(e)
		return e
	}
	for name, d := range map[string]Document{
		"number of the genesis": amendment(func(a *Amendment) { a.Number = 1 }),
		"heals one":             amendment(func(a *Amendment) { a.Heals = a.Heals[:1] }),
		"heals one twice":       amendment(func(a *Amendment) { a.Heals[1] = a.Heals[0] }),
		"heals out of order":    amendment(func(a *Amendment) { a.Heals[0], a.Heals[1] = a.Heals[1], a.Heals[0] }),
		"no state":              amendment(func(a *Amendment) { a.State = nil }),
		"unknown step":          entry(func(e *CharterEntry) { e.Step = 4 }),
		"proposal with held":    entry(func(e *CharterEntry) { e.Step = StepPropose }),
		"no amendment":          entry(func(e *CharterEntry) { e.Amendment = nil }),
		"held backwards":        &Held{Signer: "a", Since: 2, Until: 1},
		"head of number 0":      &Head{Signer: "a"},
	} {
		b, err := encMode.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(d).Elem()).Interface().(Document)
		if err := Decode(b, into); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}
