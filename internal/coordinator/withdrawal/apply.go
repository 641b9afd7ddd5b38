package withdrawal

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/refusal"
)

// TransitionError says that an event does not fit the state, or does not bring what it must.
type TransitionError struct {
	State  State
	Event  Kind
	Reason string
}

func (e *TransitionError) Error() string {
	return fmt.Sprintf("withdrawal: event %s in state %s: %s", e.Event, e.State, e.Reason)
}

// Allowed reports whether an event of that kind is allowed in that state.
func Allowed(s State, k Kind) bool {
	_, ok := transitions[s][k]
	return ok
}

// Apply returns the withdrawal as it is after the event. It is the only function that changes a state. It fails with a
// *TransitionError and then w is still what it was; w itself never changes.
//
// An event that rejects, expires or fails a withdrawal with an anchor leads to burning unless its Fate says what became of the anchor:
// a signer that acked it holds it until the chain shows it spent (LIMITS.md, burn and close).
func Apply(w Withdrawal, e Event) (Withdrawal, error) {
	next, ok := transitions[w.State][e.Kind]
	if !ok {
		return w, refuse(w, e, "not allowed in this state")
	}
	if e.Time.IsZero() {
		return w, refuse(w, e, "time: expected one, found none")
	}
	if err := e.Actor.Check(); err != nil {
		return w, refuse(w, e, err.Error())
	}
	if field := e.stray(); field != "" {
		return w, refuse(w, e, field+": expected none with this event, found some")
	}
	after := w
	if err := record(&after, e); err != nil {
		return w, refuse(w, e, err.Error())
	}
	if w.Anchor != nil && (endsUnpaid(next) || (w.State == Burning && next == Closed)) {
		var err error
		if next, err = endOfAnchor(w, e, next); err != nil {
			return w, refuse(w, e, err.Error())
		}
		after.Fate = e.Fate
	}
	after.State = next
	after.Version++
	if t := stamp(e.Time); t.After(w.Updated) { // clocks may step back, the record does not
		after.Updated = t
	}
	return after, nil
}

func refuse(w Withdrawal, e Event, reason string) error {
	return &TransitionError{State: w.State, Event: e.Kind, Reason: reason}
}

func endsUnpaid(s State) bool { return s == Rejected || s == Expired || s == Failed }

// endOfAnchor says where a withdrawal that was to end in that state goes, given what became of its anchor.
func endOfAnchor(w Withdrawal, e Event, end State) (State, error) {
	switch e.Fate {
	case FateFree:
		if len(w.Acks) > 0 || len(w.Certificate) > 0 || len(w.Earlier) > 0 {
			return "", fmt.Errorf("fate: expected an anchor that was never acked, found %d acks and %d earlier versions", len(w.Acks), len(w.Earlier))
		}
		return end, nil
	case FateSpent:
		return end, nil
	case FateUnknown:
		if w.State == Burning {
			return "", fmt.Errorf("fate: expected the anchor to be spent, found unknown")
		}
		return Burning, nil
	}
	return "", fmt.Errorf("fate: expected 0 to 2, found %d", e.Fate)
}

// record notes in w what the event brings.
func record(w *Withdrawal, e Event) error {
	switch e.Kind {
	case EventDeny, EventHold, EventReject, EventRefuse, EventFail:
		if len(e.Refusals) == 0 {
			return fmt.Errorf("refusals: expected at least one, found none")
		}
		w.Refusals = slices.Clone(e.Refusals)
		if e.Kind == EventFail && e.Block != nil {
			return recordBlock(w, e)
		}
	case EventExpire:
		w.Refusals = []refusal.Failure{expiry(*w, e)}
	case EventSubmit, EventAllow:
		return recordIntent(w, e)
	case EventApproval:
		return recordApproval(w, e)
	case EventStatement:
		return recordStatement(w, e)
	case EventPrepare:
		return recordPrepared(w, e)
	case EventAck:
		return recordAck(w, e)
	case EventCertify:
		return recordCertificate(w, e)
	case EventCosign:
		return recordCosign(w, e)
	case EventAttempt:
		return recordAttempt(w, e)
	case EventSign, EventReplace:
		return recordTransaction(w, e)
	case EventInclude, EventConfirm, EventBurn:
		return recordBlock(w, e)
	case EventReorganise:
		w.Block, w.Confirmations = nil, 0
	}
	return nil
}

func expiry(w Withdrawal, e Event) refusal.Failure {
	return refusal.Failure{Rule: "expiry", Field: "not_after", Expected: "at or before " + w.NotAfter.At().Format("2006-01-02T15:04:05Z"),
		Found: e.Time.UTC().Format("2006-01-02T15:04:05Z")}
}
