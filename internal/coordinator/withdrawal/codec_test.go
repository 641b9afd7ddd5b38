package withdrawal_test

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

func TestEncodingBringsEveryStateBackUnchanged(t *testing.T) {
	for _, s := range withdrawal.States() {
		w := reach(t, s)
		b, err := withdrawal.Encode(w)
		if err != nil {
			t.Fatal(err)
		}
		back, err := withdrawal.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, back); diff != "" {
			t.Errorf("%s: (-before +after)\n%s", s, diff)
		}
	}
}

func TestDecodeRefusesWhatEncodeDoesNotWrite(t *testing.T) {
	w := reach(t, withdrawal.Requested)
	w.State = "paid"
	unknown, err := withdrawal.Encode(w)
	if err != nil {
		t.Fatal(err)
	}
	good, err := withdrawal.Encode(reach(t, withdrawal.Signed))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"unknown state": unknown, "empty": nil, "trailing byte": append(good[:len(good):len(good)], 0), "cut short": good[:len(good)-1],
		"unknown field": {0xa1, 0x61, 'x', 0x01}, "too large": make([]byte, withdrawal.MaxEncoded+1),
	} {
		if _, err := withdrawal.Decode(b); !errors.Is(err, withdrawal.ErrEncoding) {
			t.Errorf("%s: expected ErrEncoding, found %v", name, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range withdrawal.States() {
		b, err := withdrawal.Encode(reach(f, s))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := withdrawal.Decode(b)
		if err != nil {
			return
		}
		once, err := withdrawal.Encode(w)
		if err != nil {
			t.Fatal(err)
		}
		again, err := withdrawal.Decode(once)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := withdrawal.Encode(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("encoding changed from\n%x to\n%x, error %v", once, twice, err)
		}
	})
}

func FuzzDecodeRefusals(f *testing.F) {
	b, err := withdrawal.EncodeRefusals(withdrawaltest.Refusals)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("[{}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := withdrawal.DecodeRefusals(b)
		if err != nil {
			return
		}
		once, err := withdrawal.EncodeRefusals(list)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := withdrawal.DecodeRefusals(once); err != nil || len(back) != len(list) {
			t.Fatalf("expected %d reasons, found %d, error %v", len(list), len(back), err)
		}
	})
}

func TestEveryEventMakesARecordThatALogTakes(t *testing.T) {
	for _, s := range withdrawal.States() {
		w := reach(t, s)
		if s == withdrawal.Approved {
			w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventPrepare))
		}
		for _, k := range withdrawal.Kinds() {
			if !withdrawal.Allowed(s, k) {
				continue
			}
			e := fated(s, withdrawaltest.Event(t, w, k))
			after := mustApply(t, w, e)
			r, err := withdrawal.RecordOf(withdrawaltest.Organisation, w, after, e)
			if err != nil {
				t.Fatal(err)
			}
			leaf, err := r.Leaf()
			if err != nil {
				t.Fatalf("%s × %s: %v", s, k, err)
			}
			back, err := audit.ParseLeaf(leaf)
			if err != nil || back.Before != string(s) || back.After != string(after.State) || back.Event != string(k) {
				t.Errorf("%s × %s: found %+v, error %v", s, k, back, err)
			}
		}
	}
}

func TestTheRecordNamesWhatTheEventBrought(t *testing.T) {
	w := reach(t, withdrawal.Requested)
	e := withdrawaltest.Event(t, w, withdrawal.EventAllow)
	after := mustApply(t, w, e)
	r, err := withdrawal.RecordOf(withdrawaltest.Organisation, w, after, e)
	if err != nil {
		t.Fatal(err)
	}
	want := []audit.Object{{Name: "intent", Digest: canon.KindIntent.Digest(e.Intent)}}
	if diff := cmp.Diff(want, r.Objects); diff != "" {
		t.Error(diff)
	}
	first, err := withdrawal.RecordOf(withdrawaltest.Organisation, withdrawal.Withdrawal{}, w, withdrawal.Event{Kind: withdrawal.EventRequest, Actor: audit.Coordinator})
	if err != nil {
		t.Fatal(err)
	}
	want = []audit.Object{{Name: "request", Digest: canon.KindRequest.Digest(w.Request.Document)}}
	if diff := cmp.Diff(want, first.Objects); diff != "" {
		t.Error(diff)
	}
}
