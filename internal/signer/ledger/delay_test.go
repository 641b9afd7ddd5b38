package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
)

// delayable is a promise with an intent for a withdrawal; intents with other numbers are other intents, with other anchors.
func delayable(t testing.TB, wid string, number uint64) Promise {
	t.Helper()
	b, err := canon.Encode(canon.Intent{Organisation: organisation, Withdrawal: digest(wid), Rule: "slow", Mode: canon.Template, CharterNumber: number, NotAfter: 9000,
		Request: canon.Signed{Document: []byte("request"), Scheme: canon.Ed25519, Signature: make([]byte, 64)}})
	if err != nil {
		t.Fatal(err)
	}
	r := plan{wid: wid, nonce: number, charge: 1}.reservation()
	r.Intent = canon.KindIntent.Digest(b)
	doc, err := canon.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return Promise{Reservation: doc, Intent: b}
}

func inOrder(*Index) error { return nil }

func TestWhenAnIntentWasFirstInOrderNeverChanges(t *testing.T) {
	c := config(t)
	l := open(t, c)
	b := delayable(t, "w", 1)
	id := canon.KindIntent.Digest(b.Intent)
	if _, known := l.IntentSeen(id); known {
		t.Error("expected an intent that was not seen, found it seen")
	}
	for _, now := range []canon.Time{5000, 4000, 9000} {
		if seen, err := l.Delay(b, at(now), inOrder); err != nil || seen != 5000 {
			t.Errorf("at %d: expected it seen at 5000, found %d, %v", now, seen, err)
		}
	}
	state := l.State()
	if state.Length != 2 {
		t.Errorf("expected one record beside the opening, found %d", state.Length-1)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, c)
	if seen, known := again.IntentSeen(id); !known || seen != 5000 || again.State() != state {
		t.Errorf("after a restart: expected it seen at 5000, found %t, %d", known, seen)
	}
}

func TestWhatIsNotInOrderBeginsNoDelay(t *testing.T) {
	l := open(t, config(t))
	out := errors.New("out of order")
	if _, err := l.Delay(delayable(t, "w", 1), at(5000), func(*Index) error { return out }); !errors.Is(err, out) || l.State().Length != 1 {
		t.Errorf("expected the check's error and no record, found %v and %d records", err, l.State().Length)
	}
	_, err := l.Delay(Promise{Intent: []byte("x")}, at(5000), inOrder)
	refused(t, err, "encoding", "intent")
}

func TestDelayedIntentsOfOneWithdrawalAreBounded(t *testing.T) {
	c := config(t)
	l := open(t, c)
	for n := range uint64(MaxIntents) {
		if _, err := l.Delay(delayable(t, "w", n+1), at(5000), inOrder); err != nil {
			t.Fatal(err)
		}
	}
	_, err := l.Delay(delayable(t, "w", MaxIntents+1), at(5000), inOrder)
	refused(t, err, "intents", "withdrawal")
	if _, err := l.Delay(delayable(t, "other", 1), at(5000), inOrder); err != nil {
		t.Error(err)
	}
	if _, err := Verify(c.Dir); err != nil {
		t.Error(err)
	}
}

func TestARecordOfADelayThatCouldNotBeHereIsDamage(t *testing.T) {
	record := func(wid, intent string, end canon.Time) intentRecord {
		return intentRecord{Intent: digest(intent), Withdrawal: digest(wid), Seen: 5000, End: end}
	}
	p := plan{wid: "w", nonce: 1, charge: 1}
	reserved := reservationRecord{Reservation: p.encode(t), Intent: p.intentBytes()}
	var many, all []any
	for n := range MaxIntents + 1 {
		many = append(many, record("w", fmt.Sprint(n), 9000))
	}
	for n := range MaxDelayed + 1 {
		all = append(all, record(fmt.Sprint("w", n), fmt.Sprint(n), 9000))
	}
	for name, records := range map[string][]any{
		"twice": {record("w", "i", 9000), record("w", "i", 9000)}, "beside what is reserved": {reserved, record("w", "i", 9000)},
		"more than there may be": many, "more of all than there may be": all,
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t)
			l := open(t, c)
			head := l.State().Head
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(filepath.Join(c.Dir, recordsName), os.O_WRONLY|os.O_APPEND, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range records {
				k := kindIntent
				if _, is := v.(reservationRecord); is {
					k = kindReservation
				}
				r, b, err := newRecord(k, head, v)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.Write(b); err != nil {
					t.Fatal(err)
				}
				head = r.hash
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			for what, err := range map[string]error{"open": errOf(Open(c)), "verify": errOf(Verify(c.Dir))} {
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("%s: expected damage, found %v", what, fmt.Sprint(err))
				}
			}
		})
	}
}

// What is recorded is as large for a large intent as for a small one, and what a reservation needs is asked for before it.
func TestADelayCostsWhatAReservationCosts(t *testing.T) {
	c := config(t)
	l := open(t, c)
	size := func() int64 {
		info, err := os.Stat(filepath.Join(c.Dir, recordsName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	p := delayable(t, "large", 1)
	var doc canon.Intent
	if err := canon.Decode(p.Intent, &doc); err != nil {
		t.Fatal(err)
	}
	doc.Request.Document = make([]byte, 100_000)
	large, err := canon.Encode(doc)
	if err != nil {
		t.Fatal(err)
	}
	p = promiseOf(t, plan{wid: "large", nonce: 1, charge: 1}, large)
	if _, err := l.Delay(p, at(5000), inOrder); err != nil {
		t.Fatal(err)
	}
	if grown := size() - before; grown > 500 {
		t.Errorf("expected a record of at most 500 bytes, found %d", grown)
	}
	if _, err := reserve(t, l, plan{wid: "other", nonce: 2, charge: 90}); err != nil {
		t.Fatal(err)
	}
	length := l.State().Length
	intent := delayable(t, "w", 1).Intent
	_, err = l.Delay(promiseOf(t, plan{wid: "w", nonce: 3, charge: 50}, intent), at(5000), inOrder)
	refused(t, err, "limit", "charges[0]")
	_, err = l.Delay(promiseOf(t, plan{wid: "w", nonce: 2, charge: 1}, intent), at(5000), inOrder)
	refused(t, err, "held", "anchor")
	_, err = l.Delay(promiseOf(t, plan{wid: "other", nonce: 2, charge: 1}, delayable(t, "other", 7).Intent), at(5000), inOrder)
	refused(t, err, "one-intent", "intent")
	if got := l.State().Length; got != length {
		t.Errorf("expected no record of what is refused, found %d", got-length)
	}
	// What q signers acked waits here too, whatever this signer's limits say.
	if _, err := l.DelayCertified(promiseOf(t, plan{wid: "w", nonce: 3, charge: 50}, intent), at(5000), inOrder); err != nil {
		t.Error(err)
	}
}

func promiseOf(t testing.TB, p plan, intent []byte) Promise {
	t.Helper()
	r := p.reservation()
	r.Intent = canon.KindIntent.Digest(intent)
	b, err := canon.Encode(r)
	if err != nil {
		t.Fatal(err)
	}
	return Promise{Reservation: b, Intent: intent}
}

// Open intents are bounded in all; those that end, and those whose withdrawal is reserved, make room.
func TestWhatWaitsIsForgottenWhenItIsReservedOrHasEnded(t *testing.T) {
	c := config(t)
	l := open(t, c)
	first, rival := delayable(t, "w", 1), delayable(t, "w", 2)
	for _, p := range []Promise{first, rival, delayable(t, "ends", 3)} {
		if _, err := l.Delay(p, at(5000), inOrder); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Reserve(first, inOrder, signAck); err != nil {
		t.Fatal(err)
	}
	if n := len(l.index.delayed); n != 1 {
		t.Errorf("after a reservation: expected one intent that waits, found %d", n)
	}
	if seen, known := l.IntentSeen(canon.KindIntent.Digest(first.Intent)); !known || seen != 5000 {
		t.Errorf("what is reserved: expected it seen at 5000, found %t, %d", known, seen)
	}
	if _, known := l.IntentSeen(canon.KindIntent.Digest(rival.Intent)); known {
		t.Error("expected the rival of what is reserved forgotten, found it")
	}
	for n := range MaxDelayed - 1 {
		l.index.delayed[digest(fmt.Sprint("filler", n))] = delayed{withdrawal: digest(fmt.Sprint("filler", n)), seen: 5000, end: 9000}
	}
	_, err := l.Delay(delayable(t, "more", 4), at(9000), inOrder)
	refused(t, err, "intents", "intent")
	if _, err := l.Delay(delayable(t, "more", 4), at(9001), inOrder); err != nil {
		t.Error(err)
	}
	if n := len(l.index.delayed); n != 1 {
		t.Errorf("after all others ended: expected one intent that waits, found %d", n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again := open(t, c)
	if seen, known := again.IntentSeen(canon.KindIntent.Digest(first.Intent)); !known || seen != 5000 || len(again.index.delayed) != 1 {
		t.Errorf("after a restart: expected what is reserved seen at 5000 and one more, found %t, %d, %d", known, seen, len(again.index.delayed))
	}
}

// A charge is held against the spends of its own counter that can still count, however many others there are.
func TestSpendsOfOtherCountersAreNotLookedAt(t *testing.T) {
	spends := Spends{}
	for n := range 1000 {
		name := fmt.Sprint("client=", n)
		spends.add(policy.Spend{Limit: "daily", Counter: name, From: canon.Time(n), To: canon.Time(n + 60)})
		spends.add(policy.Spend{Limit: "hourly", Counter: "client=7", From: canon.Time(n), To: canon.Time(n + 60)})
	}
	for _, end := range []canon.Time{500, 100, 900, 500} {
		spends.add(policy.Spend{Limit: "daily", Counter: "client=7", From: end - 60, To: end})
	}
	charge := canon.Charge{Limit: "daily", Counter: "client=7"}
	for from, want := range map[canon.Time][]canon.Time{0: {67, 100, 500, 500, 900}, 68: {100, 500, 500, 900}, 500: {500, 500, 900}, 501: {900}, 901: nil} {
		var found []canon.Time
		for _, s := range spends.Since(charge, from) {
			found = append(found, s.To)
		}
		if !slices.Equal(found, want) {
			t.Errorf("from %d: expected the ends %v, found %v", from, want, found)
		}
	}
}

func errOf[T any](_ T, err error) error { return err }
