package withdrawal

import (
	"fmt"
	"slices"
)

// State is where a withdrawal is in its life. The zero State is none: no withdrawal is in it.
type State string

// States, in the order in which a withdrawal can meet them.
const (
	Requested        State = "requested"
	Denied           State = "denied"
	Held             State = "held"
	AwaitingApproval State = "awaiting-approval"
	Rejected         State = "rejected"
	Expired          State = "expired"
	Approved         State = "approved"
	Reserved         State = "reserved"
	Exported         State = "exported"
	Signing          State = "signing"
	Signed           State = "signed"
	Broadcast        State = "broadcast"
	Replaced         State = "replaced"
	Confirmed        State = "confirmed"
	Burning          State = "burning"
	Burnt            State = "burnt"
	Closed           State = "closed"
	Failed           State = "failed"
)

var states = []State{Requested, Denied, Held, AwaitingApproval, Rejected, Expired, Approved, Reserved, Exported, Signing, Signed,
	Broadcast, Replaced, Confirmed, Burning, Burnt, Closed, Failed}

// States returns all states.
func States() []State { return slices.Clone(states) }

// ParseState returns the state of that name.
func ParseState(name string) (State, error) {
	if !slices.Contains(states, State(name)) {
		return "", fmt.Errorf("state: expected one of %v, found %.40q", states, name)
	}
	return State(name), nil
}

// Terminal reports whether no event leads out of s.
func (s State) Terminal() bool {
	switch s {
	case Denied, Rejected, Expired, Burnt, Closed, Failed:
		return true
	}
	return false
}

// Settled reports whether the outcome is known: s is terminal, or the payment is final on its chain.
func (s State) Settled() bool { return s == Confirmed || s.Terminal() }
