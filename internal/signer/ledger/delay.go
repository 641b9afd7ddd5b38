package ledger

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// delayed is an intent whose rule has a delay and which nothing was reserved for yet, and when it was first in order here.
type delayed struct {
	withdrawal canon.Digest
	seen, end  canon.Time // end: the last second at which the intent can be signed
}

// Delay records that an intent, whose rule has a delay, is in order but for that: with the time on the clock, which is read under the lock. check
// is called under the lock before anything is written, and what stands against the reservation itself, held inputs and limits among it, stands
// against the record too: it costs what a reservation costs. It returns when the intent was first in order, by the record that is there already or by
// this one, which is durable then. An intent that is known is not checked again. The error is a *refusal.Refusal where a rule stands against it.
func (l *Ledger) Delay(p Promise, clock func() canon.Time, check func(*Index) error) (canon.Time, error) {
	return l.delay(p, clock, func(rid canon.Digest, doc *canon.Reservation) error {
		if err := check(l.index); err != nil {
			return err
		}
		return l.index.mayReserve(rid, doc, p.StartNonce, l.limits)
	})
}

// DelayCertified is Delay for a reservation that a verified certificate is over. As with Hold limits are not asked: q signers asked theirs.
func (l *Ledger) DelayCertified(p Promise, clock func() canon.Time, check func(*Index) error) (canon.Time, error) {
	return l.delay(p, clock, func(_ canon.Digest, doc *canon.Reservation) error {
		if err := check(l.index); err != nil {
			return err
		}
		var failures refusal.List
		l.index.sameWithdrawal(doc, &failures)
		return failures.Err()
	})
}

func (l *Ledger) delay(p Promise, clock func() canon.Time, check func(canon.Digest, *canon.Reservation) error) (canon.Time, error) {
	var intent canon.Intent
	if err := canon.Decode(p.Intent, &intent); err != nil {
		return 0, refusal.New("encoding", "intent", "a canonical document", err.Error())
	}
	var doc canon.Reservation
	if err := canon.Decode(p.Reservation, &doc); err != nil {
		return 0, refusal.New("encoding", "reservation", "a canonical document", err.Error())
	}
	id := canon.KindIntent.Digest(p.Intent)
	if doc.Intent != id || doc.Withdrawal != intent.Withdrawal {
		return 0, refusal.New("reservation", "intent", id.String(), doc.Intent.String())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seen, known := l.index.IntentSeen(id); known {
		return seen, l.failed
	}
	if err := check(canon.KindReservation.Digest(p.Reservation), &doc); err != nil {
		return 0, err
	}
	seen := clock()
	if err := l.index.mayDelay(doc.Withdrawal, seen); err != nil {
		return 0, err
	}
	return seen, l.append(kindIntent, intentRecord{Intent: id, Withdrawal: doc.Withdrawal, Seen: seen, End: intent.NotAfter})
}

// mayDelay refuses one more intent beyond the bounds for a withdrawal and for all. Those that have ended by now do not count.
func (x *Index) mayDelay(withdrawal canon.Digest, now canon.Time) error {
	all, own := 0, 0
	for _, d := range x.delayed {
		if d.end < now {
			continue
		}
		all++
		if d.withdrawal == withdrawal {
			own++
		}
	}
	if own >= MaxIntents {
		return refusal.New("intents", "withdrawal", fmt.Sprintf("at most %d intents whose delay is counted", MaxIntents), "one more")
	}
	if all >= MaxDelayed {
		return refusal.New("intents", "intent", fmt.Sprintf("at most %d intents of all withdrawals whose delay is counted", MaxDelayed), "one more")
	}
	return nil
}

// IntentSeen returns when the intent of that digest was first in order but for its rule's delay, false if it never was, and for one that has
// ended without a reservation.
func (x *Index) IntentSeen(intent canon.Digest) (canon.Time, bool) {
	if seen, reserved := x.waited[intent]; reserved {
		return seen, true
	}
	d, known := x.delayed[intent]
	return d.seen, known
}

// IntentSeen returns when the intent of that digest was first in order but for its rule's delay; see Index.IntentSeen.
func (l *Ledger) IntentSeen(intent canon.Digest) (canon.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.index.IntentSeen(intent)
}

// applyIntent takes the record in, and forgets by its time the intents that have ended: the same ones when the ledger is read again.
func (x *Index) applyIntent(r record) error {
	var v intentRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	for id, d := range x.delayed {
		if d.end < v.Seen {
			delete(x.delayed, id)
		}
	}
	w := x.withdrawals[v.Withdrawal]
	if _, known := x.IntentSeen(v.Intent); known || w != nil && w.intent != v.Intent {
		return fmt.Errorf("%w: intent %s: expected one record for each, and none beside the intent that is reserved, found one more", ErrDamaged, v.Intent)
	}
	if err := x.mayDelay(v.Withdrawal, v.Seen); err != nil {
		return fmt.Errorf("%w: intent %s: %w", ErrDamaged, v.Intent, err)
	}
	if w != nil {
		x.waited[v.Intent] = v.Seen
		return nil
	}
	x.delayed[v.Intent] = delayed{withdrawal: v.Withdrawal, seen: v.Seen, end: v.End}
	return nil
}

// settle ends the counting for a withdrawal that something was reserved for: of its intents the one that was is left.
func (x *Index) settle(withdrawal, intent canon.Digest) {
	if d, known := x.delayed[intent]; known {
		x.waited[intent] = d.seen
	}
	for id, d := range x.delayed {
		if d.withdrawal == withdrawal {
			delete(x.delayed, id)
		}
	}
}
