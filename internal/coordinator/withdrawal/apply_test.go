package withdrawal_test

import (
	"errors"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal/withdrawaltest"
	"github.com/strongroom/strongroom/proto/canon"
)

// lifeCycle is the table of docs/WITHDRAWAL.md, written down once more: state, then "event>state" for everything that is allowed.
// A state after a slash is where the event leads when the withdrawal has an anchor whose fate is unknown.
var lifeCycle = map[withdrawal.State]string{
	"requested":         "deny>denied hold>held submit>awaiting-approval allow>approved expire>expired fail>failed",
	"held":              "hold>held deny>denied submit>awaiting-approval allow>approved expire>expired",
	"awaiting-approval": "approval>awaiting-approval statement>awaiting-approval approve>approved reject>rejected expire>expired",
	"approved": "approval>approved statement>approved refuse>approved ack>approved prepare>approved certify>reserved " +
		"reject>rejected/burning expire>expired/burning fail>failed/burning",
	"reserved": "approval>reserved statement>reserved refuse>reserved ack>reserved prepare>approved export>exported cosign>signing attempt>signing " +
		"reject>burning expire>burning fail>burning",
	"exported": "approval>exported statement>exported refuse>exported sign>signed reject>burning expire>burning fail>burning",
	"signing": "approval>signing statement>signing refuse>signing ack>signing prepare>approved cosign>signing attempt>signing sign>signed " +
		"reject>burning expire>burning fail>burning",
	"signed":    "statement>signed broadcast>broadcast fail>burning",
	"broadcast": "statement>broadcast include>broadcast reorganise>broadcast replace>replaced confirm>confirmed fail>burning",
	"replaced":  "statement>replaced include>replaced reorganise>replaced replace>replaced confirm>confirmed fail>burning",
	"confirmed": "reorganise>broadcast close>closed",
	"burning":   "statement>burning burn>burnt confirm>confirmed close>closed fail>failed",
	"denied":    "", "rejected": "", "expired": "", "burnt": "", "closed": "", "failed": "",
}

// reach leads a new withdrawal to a state.
func reach(t testing.TB, s withdrawal.State) withdrawal.Withdrawal {
	t.Helper()
	w := withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.Bitcoin, "r-1"))
	path, ok := withdrawaltest.Paths[s]
	if !ok {
		t.Fatalf("no path to state %s", s)
	}
	for _, k := range path {
		w = mustApply(t, w, withdrawaltest.Event(t, w, k))
	}
	if w.State != s {
		t.Fatalf("path to %s: found %s", s, w.State)
	}
	return w
}

func mustApply(t testing.TB, w withdrawal.Withdrawal, e withdrawal.Event) withdrawal.Withdrawal {
	t.Helper()
	after, err := withdrawal.Apply(w, e)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

// fated gives an event in burning the fate that it needs there.
func fated(s withdrawal.State, e withdrawal.Event) withdrawal.Event {
	if s == withdrawal.Burning && (e.Kind == withdrawal.EventFail || e.Kind == withdrawal.EventClose) {
		e.Fate = withdrawal.FateSpent
	}
	return e
}

func TestEveryPairOfStateAndEventLeadsWhereTheTableSays(t *testing.T) {
	for _, s := range withdrawal.States() {
		want := map[withdrawal.Kind]string{}
		for _, pair := range strings.Fields(lifeCycle[s]) {
			event, to, _ := strings.Cut(pair, ">")
			want[withdrawal.Kind(event)] = to
		}
		w := reach(t, s)
		if s == withdrawal.Approved { // as far as a prepared transaction
			w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventPrepare))
		}
		for _, k := range withdrawal.Kinds() {
			to, allowed := want[k]
			if _, with, both := strings.Cut(to, "/"); both {
				to = with
			}
			after, err := withdrawal.Apply(w, fated(s, withdrawaltest.Event(t, w, k)))
			if !allowed {
				checkRefused(t, w, after, err, k)
				continue
			}
			if err != nil || string(after.State) != to || after.Version != w.Version+1 {
				t.Errorf("%s × %s: expected %s, found %s, version %d after %d, error %v", s, k, to, after.State, after.Version, w.Version, err)
			}
			if !withdrawal.Allowed(s, k) {
				t.Errorf("Allowed(%s, %s) = false", s, k)
			}
		}
	}
	if len(lifeCycle) != len(withdrawal.States()) {
		t.Errorf("table has %d states, the code %d", len(lifeCycle), len(withdrawal.States()))
	}
}

func checkRefused(t *testing.T, w, after withdrawal.Withdrawal, err error, k withdrawal.Kind) {
	t.Helper()
	var refused *withdrawal.TransitionError
	if !errors.As(err, &refused) || refused.State != w.State || refused.Event != k {
		t.Errorf("%s × %s: expected a TransitionError naming both, found %v", w.State, k, err)
	}
	if !reflect.DeepEqual(w, after) {
		t.Errorf("%s × %s: a refused event changed the withdrawal", w.State, k)
	}
	if withdrawal.Allowed(w.State, k) {
		t.Errorf("Allowed(%s, %s) = true", w.State, k)
	}
}

func TestAnApprovedWithdrawalWithoutAnchorEndsAtOnce(t *testing.T) {
	for k, to := range map[withdrawal.Kind]withdrawal.State{withdrawal.EventReject: withdrawal.Rejected,
		withdrawal.EventExpire: withdrawal.Expired, withdrawal.EventFail: withdrawal.Failed} {
		w := reach(t, withdrawal.Approved)
		if after := mustApply(t, w, withdrawaltest.Event(t, w, k)); after.State != to || after.AnchorUse() != withdrawal.AnchorNone {
			t.Errorf("%s: expected %s without anchor, found %s, %d", k, to, after.State, after.AnchorUse())
		}
	}
}

func TestTheFateOfTheAnchorDecidesHowAWithdrawalEnds(t *testing.T) {
	prepared := reach(t, withdrawal.Approved)
	prepared = mustApply(t, prepared, withdrawaltest.Event(t, prepared, withdrawal.EventPrepare))
	acked := mustApply(t, prepared, withdrawaltest.Event(t, prepared, withdrawal.EventAck))
	again := mustApply(t, prepared, withdrawaltest.Event(t, prepared, withdrawal.EventPrepare))
	for _, c := range []struct {
		name string
		w    withdrawal.Withdrawal
		fate withdrawal.Fate
		want withdrawal.State // empty: refused
		use  withdrawal.AnchorUse
	}{
		{"asked, unknown", prepared, withdrawal.FateUnknown, withdrawal.Burning, withdrawal.AnchorOpen},
		{"asked, all refused", prepared, withdrawal.FateFree, withdrawal.Failed, withdrawal.AnchorNone},
		{"asked, spent", prepared, withdrawal.FateSpent, withdrawal.Failed, withdrawal.AnchorSpent},
		{"acked, said to be free", acked, withdrawal.FateFree, "", 0},
		{"prepared anew, said to be free", again, withdrawal.FateFree, "", 0},
		{"no such fate", prepared, 3, "", 0},
		{"signed, reverted", reach(t, withdrawal.Signed), withdrawal.FateSpent, withdrawal.Failed, withdrawal.AnchorSpent},
		{"burning, unknown", reach(t, withdrawal.Burning), withdrawal.FateUnknown, "", 0},
		{"burning, nobody acked", reach(t, withdrawal.Burning), withdrawal.FateFree, withdrawal.Failed, withdrawal.AnchorNone},
	} {
		e := withdrawaltest.Event(t, c.w, withdrawal.EventFail)
		e.Fate = c.fate
		after, err := withdrawal.Apply(c.w, e)
		var refused *withdrawal.TransitionError
		if c.want == "" {
			if !errors.As(err, &refused) {
				t.Errorf("%s: expected a refusal, found %s, %v", c.name, after.State, err)
			}
			continue
		}
		if err != nil || after.State != c.want || after.AnchorUse() != c.use {
			t.Errorf("%s: expected %s, use %d, found %s, %d, error %v", c.name, c.want, c.use, after.State, after.AnchorUse(), err)
		}
	}
}

func TestDocumentsOfAnotherWithdrawalAreRefused(t *testing.T) {
	other := withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.Bitcoin, "r-2"))
	for _, k := range []withdrawal.Kind{withdrawal.EventAllow, withdrawal.EventApprove, withdrawal.EventPrepare, withdrawal.EventCertify} {
		if k != withdrawal.EventApprove {
			other = mustApply(t, other, withdrawaltest.Event(t, other, k))
		}
	}
	for _, c := range []struct {
		state withdrawal.State
		kind  withdrawal.Kind
	}{
		{withdrawal.Requested, withdrawal.EventAllow}, {withdrawal.AwaitingApproval, withdrawal.EventApproval},
		{withdrawal.AwaitingApproval, withdrawal.EventStatement}, {withdrawal.Approved, withdrawal.EventPrepare},
		{withdrawal.Reserved, withdrawal.EventAck}, {withdrawal.Approved, withdrawal.EventCertify},
	} {
		w := reach(t, c.state)
		if c.kind == withdrawal.EventCertify {
			w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventPrepare))
		}
		if after, err := withdrawal.Apply(w, withdrawaltest.Event(t, other, c.kind)); err == nil {
			t.Errorf("%s took the %s of another withdrawal and is %s", c.state, c.kind, after.State)
		}
	}
}

func TestAnEventMustBringItsOwnFieldsAndNoOthers(t *testing.T) {
	all := withdrawal.Event{}
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
			bare := withdrawal.Event{Kind: k, Time: e.Time, Actor: e.Actor, Fate: e.Fate}
			if !reflect.DeepEqual(bare, e) {
				if after, err := withdrawal.Apply(w, bare); err == nil {
					t.Errorf("%s × %s: an event without anything led to %s", s, k, after.State)
				}
			}
			if e.Ack == nil {
				stray := e
				stray.Ack = &withdrawal.Ack{Signer: "node-9"}
				if _, err := withdrawal.Apply(w, stray); err == nil {
					t.Errorf("%s × %s: took an ack beside", s, k)
				}
			}
			nobody := e
			nobody.Actor = all.Actor
			never := e
			never.Time = all.Time
			for _, e := range []withdrawal.Event{nobody, never} {
				if _, err := withdrawal.Apply(w, e); err == nil {
					t.Errorf("%s × %s: took an event without actor or time", s, k)
				}
			}
		}
	}
}

func TestANewVersionKeepsTheAnchorAndCountsOn(t *testing.T) {
	w := reach(t, withdrawal.Signing)
	anchor := *w.Anchor
	elsewhere := anchor
	elsewhere.Number++
	moved := withdrawal.Event{Kind: withdrawal.EventPrepare, Time: withdrawaltest.Start, Actor: audit.Coordinator, Prepared: withdrawaltest.Prepared(t, w, elsewhere)}
	if _, err := withdrawal.Apply(w, moved); err == nil {
		t.Error("took a version on another anchor")
	}
	repeated := w
	repeated.Prepared = nil
	same := moved
	same.Prepared = withdrawaltest.Prepared(t, repeated, anchor)
	if _, err := withdrawal.Apply(w, same); err == nil {
		t.Error("took a version with the number of the one before")
	}
	w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventPrepare))
	if len(w.Earlier) != 1 || w.Certificate != nil || len(w.Acks) != 0 || w.Attempt != 0 || !cmp.Equal(*w.Anchor, anchor) {
		t.Errorf("new version: expected the earlier one kept, no acks, the anchor unchanged, found %d earlier, %d acks", len(w.Earlier), len(w.Acks))
	}
}

func TestQuestionsToDevicesAreCountedForEachCertificate(t *testing.T) {
	w := reach(t, withdrawal.Reserved)
	ask := func(names ...canon.Name) withdrawal.Event {
		e := withdrawaltest.Event(t, w, withdrawal.EventCosign)
		e.Participants = names
		return e
	}
	for _, names := range [][]canon.Name{nil, {"vault-1", "vault-1"}, slices.Repeat([]canon.Name{"vault-1"}, canon.MaxDevices+1)} {
		if _, err := withdrawal.Apply(w, ask(names...)); err == nil {
			t.Errorf("took a question to %v", names)
		}
	}
	w = mustApply(t, w, ask("vault-1", "vault-2"))
	before := w
	w = mustApply(t, w, ask("vault-3", "vault-1"))
	want := []withdrawal.Cosign{{Signer: "vault-1", Attempt: 2, Latest: true}, {Signer: "vault-2", Attempt: 1}, {Signer: "vault-3", Attempt: 1, Latest: true}}
	if !cmp.Equal(w.Cosigns, want) || !before.Cosigns[1].Latest || w.State != withdrawal.Signing {
		t.Errorf("expected %v and the row before untouched, found %v, %v in %s", want, w.Cosigns, before.Cosigns, w.State)
	}
	if w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventPrepare)); len(w.Cosigns) != 0 {
		t.Errorf("a new version: expected no questions yet, found %v", w.Cosigns)
	}
}

func TestTheSameDecisionIsTakenOnce(t *testing.T) {
	w := reach(t, withdrawal.AwaitingApproval)
	e := withdrawaltest.Event(t, w, withdrawal.EventApproval)
	w = mustApply(t, w, e)
	if !withdrawal.HasDocument(w.Approvals, e.Approval.Document) {
		t.Error("HasDocument does not find the approval")
	}
	if _, err := withdrawal.Apply(w, e); err == nil {
		t.Error("took the same approval twice")
	}
}

func TestTerminalStatesAreNeverLeftWhateverHappens(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := withdrawaltest.New(t, withdrawaltest.Request(rapid.SampledFrom([]canon.ChainID{withdrawaltest.Bitcoin, withdrawaltest.EVM}).Draw(r, "chain"), "r-1"))
		var last time.Time
		for range rapid.IntRange(1, 40).Draw(r, "events") {
			e := withdrawaltest.Event(t, w, rapid.SampledFrom(candidates(w.State)).Draw(r, "kind"))
			if slices.Contains([]withdrawal.Kind{withdrawal.EventReject, withdrawal.EventExpire, withdrawal.EventFail, withdrawal.EventClose}, e.Kind) {
				e.Fate = withdrawal.Fate(rapid.IntRange(0, 2).Draw(r, "fate"))
			}
			e.Time = withdrawaltest.Start.Add(time.Duration(rapid.IntRange(-100, 100).Draw(r, "seconds")) * time.Second)
			before, err := withdrawal.Encode(w)
			if err != nil {
				r.Fatal(err)
			}
			after, err := withdrawal.Apply(w, e)
			if untouched, _ := withdrawal.Encode(w); string(untouched) != string(before) {
				r.Fatalf("Apply changed its argument in %s × %s", w.State, e.Kind)
			}
			if err != nil {
				continue
			}
			checkStep(r, w, after, e)
			if after.Updated.Before(last) {
				r.Fatalf("the record's time went back from %s to %s", last, after.Updated)
			}
			w, last = after, after.Updated
		}
	})
}

// candidates lists every kind of event, and those that the state allows several times, so that random walks get far.
func candidates(s withdrawal.State) []withdrawal.Kind {
	list := withdrawal.Kinds()
	for _, k := range withdrawal.Kinds() {
		if withdrawal.Allowed(s, k) {
			list = append(list, slices.Repeat([]withdrawal.Kind{k}, 8)...)
		}
	}
	return list
}

// checkStep checks what holds for every step that was taken.
func checkStep(r *rapid.T, w, after withdrawal.Withdrawal, e withdrawal.Event) {
	if w.State.Terminal() {
		r.Fatalf("%s left terminal state %s for %s", e.Kind, w.State, after.State)
	}
	if w.Anchor != nil && (after.Anchor == nil || !cmp.Equal(*w.Anchor, *after.Anchor)) {
		r.Fatalf("%s changed the anchor", e.Kind)
	}
	if after.Anchor != nil && after.State.Terminal() && after.AnchorUse() == withdrawal.AnchorOpen {
		r.Fatalf("%s left the anchor open in terminal state %s", e.Kind, after.State)
	}
	if after.Pending() && after.State.Settled() {
		r.Fatalf("%s left amounts set aside in %s", e.Kind, after.State)
	}
}

func TestEveryStateHasAParagraph(t *testing.T) {
	b, err := os.ReadFile("../../../docs/WITHDRAWAL.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, part := range strings.Split(string(b), "\n## ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		sections[strings.TrimSpace(name)] = text
	}
	for _, s := range withdrawal.States() {
		text := strings.TrimSpace(sections[string(s)])
		if text == "" {
			t.Errorf("docs/WITHDRAWAL.md has no paragraph for state %s", s)
		}
		for _, pair := range strings.Fields(lifeCycle[s]) {
			event, _, _ := strings.Cut(pair, ">")
			if !strings.Contains(text, "`"+event+"`") {
				t.Errorf("docs/WITHDRAWAL.md, state %s: event `%s` is not mentioned", s, event)
			}
		}
	}
}

func TestAnExactIntentComesWithItsTransactionAndNoOther(t *testing.T) {
	w := withdrawaltest.New(t, withdrawaltest.Request(withdrawaltest.EVM, "r-1"))
	exact := withdrawal.Exact{Unsigned: []byte("the call"), Inputs: []canon.OwnPath{{Account: w.Account}}, Fee: canon.AmountOf(7)}
	template := withdrawaltest.Event(t, w, withdrawal.EventSubmit)
	var i canon.Intent
	if err := canon.Decode(template.Intent, &i); err != nil {
		t.Fatal(err)
	}
	i.Mode, i.Transactions, i.Inputs = canon.Exact, []canon.Digest{canon.TransactionDigest(exact.Unsigned)}, exact.Inputs
	good := template
	good.Intent, good.Exact = withdrawaltest.Signed(t, i).Document, &exact
	for name, change := range map[string]func(e *withdrawal.Event, x *withdrawal.Exact){
		"no transaction":       func(e *withdrawal.Event, _ *withdrawal.Exact) { e.Exact = nil },
		"with a template":      func(e *withdrawal.Event, _ *withdrawal.Exact) { e.Intent = template.Intent },
		"another transaction":  func(_ *withdrawal.Event, x *withdrawal.Exact) { x.Unsigned = []byte("another call") },
		"an empty transaction": func(_ *withdrawal.Event, x *withdrawal.Exact) { x.Unsigned = nil },
		"other inputs":         func(_ *withdrawal.Event, x *withdrawal.Exact) { x.Inputs = nil },
		"change":               func(_ *withdrawal.Event, x *withdrawal.Exact) { x.Change = exact.Inputs },
	} {
		e, x := good, exact
		e.Exact = &x
		change(&e, &x)
		if after, err := withdrawal.Apply(w, e); err == nil {
			t.Errorf("%s: expected a refusal, found %s", name, after.State)
		}
	}
	w = mustApply(t, w, good)
	named := audit.Object{Name: "transaction", Digest: i.Transactions[0]}
	r, err := withdrawal.RecordOf(withdrawaltest.Organisation, withdrawal.Withdrawal{}, w, good)
	if err != nil || !slices.Contains(r.Objects, named) || !slices.Contains(withdrawal.Objects(w), named) {
		t.Errorf("expected the record and the row to name %v, found %v and %v, %v", named, r.Objects, withdrawal.Objects(w), err)
	}
	b, err := withdrawal.Encode(w)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := withdrawal.Decode(b); err != nil || !cmp.Equal(again.Exact, &exact) {
		t.Errorf("expected the transaction back from the row, found %v, %v", again.Exact, err)
	}
	w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventApproval))
	w = mustApply(t, w, withdrawaltest.Event(t, w, withdrawal.EventApprove))
	if after, err := withdrawal.Apply(w, withdrawaltest.Event(t, w, withdrawal.EventPrepare)); err == nil {
		t.Errorf("expected that another transaction is not prepared, found %s", after.State)
	}
}
