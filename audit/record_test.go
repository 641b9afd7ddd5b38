package audit_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// goldenLeaf is record(0): the type string, a zero byte, and the map {1: org, 2: time, 3: actor, 4: wid, 5: event, 6: before, 7: after,
// 8: [{1: name, 2: digest}]}.
var goldenLeaf = hex.EncodeToString([]byte("strongroom/record/v1")) + "00" +
	"a8" +
	"01" + "5820" + "01" + strings.Repeat("00", 31) +
	"02" + "1a69f86ee7" +
	"03" + "6b" + hex.EncodeToString([]byte("coordinator")) +
	"04" + "5820" + "02" + strings.Repeat("00", 31) +
	"05" + "66" + hex.EncodeToString([]byte("submit")) +
	"06" + "69" + hex.EncodeToString([]byte("requested")) +
	"07" + "71" + hex.EncodeToString([]byte("awaiting-approval")) +
	"08" + "81" + "a2" + "01" + "66" + hex.EncodeToString([]byte("intent")) + "02" + "5820" + "03" + strings.Repeat("00", 31)

func leafOf(t testing.TB, r audit.Record) []byte {
	t.Helper()
	b, err := r.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestALeafHasItsGoldenBytes(t *testing.T) {
	if found := hex.EncodeToString(leafOf(t, record(0))); found != goldenLeaf {
		t.Errorf("expected\n%s, found\n%s", goldenLeaf, found)
	}
	back, err := audit.ParseLeaf(leafOf(t, record(0)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(record(0), back); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFieldOfARecordChangesItsLeaf(t *testing.T) {
	seen := map[string]string{string(leafOf(t, record(0))): "unchanged"}
	v := reflect.TypeFor[audit.Record]()
	changes := map[string]func(*audit.Record){
		"Organisation": func(r *audit.Record) { r.Organisation[5]++ },
		"Time":         func(r *audit.Record) { r.Time++ },
		"Actor":        func(r *audit.Record) { r.Actor = audit.ActorOf("officer", "alice") },
		"Withdrawal":   func(r *audit.Record) { r.Withdrawal[5]++ },
		"Event":        func(r *audit.Record) { r.Event = "allow" },
		"Before":       func(r *audit.Record) { r.Before = "" },
		"After":        func(r *audit.Record) { r.After = "approved" },
		"Objects": func(r *audit.Record) {
			r.Objects = append(r.Objects, audit.Object{Name: "request", Digest: canon.Digest{9}})
		},
	}
	for i := range v.NumField() {
		name := v.Field(i).Name
		change, ok := changes[name]
		if !ok {
			t.Fatalf("field %s has no change in this test", name)
		}
		r := record(0)
		change(&r)
		leaf := string(leafOf(t, r))
		if other, taken := seen[leaf]; taken {
			t.Errorf("%s gives the leaf of %s", name, other)
		}
		seen[leaf] = name
	}
}

func TestRecordsThatNoLogMayHoldAreRefused(t *testing.T) {
	many := make([]audit.Object, 513)
	for i := range many {
		many[i] = audit.Object{Name: "ack", Digest: canon.Digest{1, byte(i >> 8), byte(i)}}
	}
	for name, change := range map[string]func(*audit.Record){
		"no organisation":   func(r *audit.Record) { r.Organisation = canon.Digest{} },
		"no withdrawal":     func(r *audit.Record) { r.Withdrawal = canon.Digest{} },
		"year 10000":        func(r *audit.Record) { r.Time = 1 << 60 },
		"no actor":          func(r *audit.Record) { r.Actor = "" },
		"actor with spaces": func(r *audit.Record) { r.Actor = "officer/alice b" },
		"actor two lines":   func(r *audit.Record) { r.Actor = "officer/alice\n" },
		"no event":          func(r *audit.Record) { r.Event = "" },
		"event in capitals": func(r *audit.Record) { r.Event = "Submit" },
		"no state after":    func(r *audit.Record) { r.After = "" },
		"odd state before":  func(r *audit.Record) { r.Before = "requested!" },
		"object unnamed":    func(r *audit.Record) { r.Objects[0].Name = "" },
		"object zero":       func(r *audit.Record) { r.Objects[0].Digest = canon.Digest{} },
		"object twice":      func(r *audit.Record) { r.Objects = append(r.Objects, r.Objects[0]) },
		"objects unsorted": func(r *audit.Record) {
			r.Objects = append(r.Objects, audit.Object{Name: "ack", Digest: canon.Digest{1}})
		},
		"too many objects": func(r *audit.Record) { r.Objects = many },
	} {
		r := record(0)
		change(&r)
		if _, err := r.Leaf(); !errors.Is(err, audit.ErrRecord) {
			t.Errorf("%s: expected ErrRecord, found %v", name, err)
		}
	}
}

func TestOnlyTheOneFormOfALeafIsRead(t *testing.T) {
	good := leafOf(t, record(0))
	body := len("strongroom/record/v1") + 1
	edit := func(from, to string) []byte {
		b, err := hex.DecodeString(strings.Replace(goldenLeaf, from, to, 1))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, leaf := range map[string][]byte{
		"empty":            nil,
		"kind alone":       good[:body],
		"other kind":       append([]byte("strongroom/record/v2\x00"), good[body:]...),
		"trailing byte":    append(good[:len(good):len(good)], 0),
		"cut short":        good[:len(good)-1],
		"long integer":     edit("02"+"1a69f86ee7", "02"+"1b0000000069f86ee7"),
		"duplicate key":    edit("02"+"1a69f86ee7"+"03", "02"+"1a69f86ee7"+"02"),
		"unknown key":      edit("08"+"81", "09"+"81"),
		"indefinite map":   append(edit("00"+"a8", "00"+"bf"), 0xff),
		"tag":              edit("02"+"1a69f86ee7", "02"+"c1"+"1a69f86ee7"),
		"float":            edit("02"+"1a69f86ee7", "02"+"fa4b000000"),
		"null":             edit("02"+"1a69f86ee7", "02"+"f6"),
		"larger than ever": make([]byte, audit.MaxLeaf+1),
	} {
		if bytes.Equal(leaf, good) {
			t.Errorf("%s: the edit changed nothing", name)
		}
		if r, err := audit.ParseLeaf(leaf); !errors.Is(err, audit.ErrRecord) {
			t.Errorf("%s: expected ErrRecord, found %+v, %v", name, r, err)
		}
	}
}

func FuzzParseLeaf(f *testing.F) {
	f.Add(leafOf(f, record(0)))
	first := record(1)
	first.Before, first.Objects = "", nil
	f.Add(leafOf(f, first))
	f.Add([]byte("strongroom/record/v1\x00\xa0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := audit.ParseLeaf(b)
		if err != nil {
			return
		}
		if again, err := r.Leaf(); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("read %x, wrote %x, error %v", b, again, err)
		}
	})
}
