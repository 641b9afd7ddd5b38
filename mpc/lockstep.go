package mpc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/strongroom/strongroom/mpc/transport"
)

// frameSet maps type and party to the messages of one frame, one for each input. For what was received the party is the sender, for what
// is to be sent the receiver, or empty for a broadcast.
type frameSet map[frameKey][][]byte

type frameKey struct{ kind, party string }

// lockstep moves all participants of a session from round to round: nobody starts a round before it has all messages of the one before.
// Hence a participant is at most one step ahead, and everything else is refused.
type lockstep struct {
	link    Link
	context [32]byte
	self    string
	others  []string // sorted
	timeout time.Duration
	steps   []step
	next    int // of steps
	early   map[frameKey][]byte
}

// step is one exchange: the messages of a round, or the comparison of its broadcasts.
type step struct {
	round uint64
	types []messageType
	count int // messages in a frame
}

// newLockstep lays out the steps. With two participants a broadcast has one receiver, so that there is nothing to compare.
func newLockstep(link Link, self string, participants []string, stages []stage, count int, timeout time.Duration) *lockstep {
	l := &lockstep{
		link: link, self: self, timeout: timeout, early: make(map[frameKey][]byte),
		others: slices.DeleteFunc(slices.Clone(participants), func(p string) bool { return p == self }),
	}
	for i, s := range stages {
		l.steps = append(l.steps, step{uint64(i + 1), s, count})
		if len(participants) > 2 && slices.ContainsFunc(s, func(t messageType) bool { return t.broadcast }) {
			echo := messageType{name: echoType, broadcast: true, maxSize: sha256.Size}
			l.steps = append(l.steps, step{uint64(i + 1), []messageType{echo}, 1})
		}
	}
	return l
}

// exchange sends this party's messages of the next round and returns those of all others, after all have seen the same broadcasts.
func (l *lockstep) exchange(ctx context.Context, out frameSet) (frameSet, error) {
	ctx, cancel := context.WithTimeout(ctx, l.timeout)
	defer cancel()
	in, err := l.run(ctx, out)
	if err != nil {
		return nil, err
	}
	if l.next == len(l.steps) || l.steps[l.next].types[0].name != echoType {
		return in, nil
	}
	digest := l.broadcasts(out, in)
	echoes, err := l.run(ctx, frameSet{{echoType, ""}: {digest[:]}})
	if err != nil {
		return nil, err
	}
	for _, from := range l.others {
		if found := echoes[frameKey{echoType, from}][0]; string(found) != string(digest[:]) {
			return nil, &MessageError{From: from, Round: l.steps[l.next-1].round, Type: echoType,
				Err: fmt.Errorf("broadcasts of the round: expected digest %x, found %x: somebody sent different ones", digest, found)}
		}
	}
	return in, nil
}

// broadcasts returns the digest of all broadcasts of the step that just ran, in the order of types and names.
func (l *lockstep) broadcasts(out, in frameSet) [32]byte {
	st := l.steps[l.next-1]
	parties := append(slices.Clone(l.others), l.self)
	slices.Sort(parties)
	h := sha256.New()
	h.Write([]byte("strongroom/mpc-echo/v1\x00"))
	h.Write(l.context[:])
	h.Write(binary.BigEndian.AppendUint64(nil, st.round))
	for _, t := range st.types {
		if !t.broadcast {
			continue
		}
		for _, p := range parties {
			messages := in[frameKey{t.name, p}]
			if p == l.self {
				messages = out[frameKey{t.name, ""}]
			}
			sum := sha256.Sum256(encodePayload(l.context, messages))
			h.Write([]byte{byte(len(p))})
			h.Write([]byte(p))
			h.Write(sum[:])
		}
	}
	return [32]byte(h.Sum(nil))
}

// run sends out for the next step and collects the step's frames of all others.
func (l *lockstep) run(ctx context.Context, out frameSet) (frameSet, error) {
	st := l.steps[l.next]
	if err := l.send(ctx, st, out); err != nil {
		return nil, err
	}
	in := make(frameSet)
	for key, payload := range l.early {
		delete(l.early, key)
		if err := l.take(in, st, key, payload); err != nil {
			return nil, err
		}
	}
	for {
		kind, waiting := l.missing(in, st)
		if len(waiting) == 0 {
			l.next++
			return in, nil
		}
		f, err := l.link.Recv(ctx)
		if err != nil {
			return nil, &AwaitError{Round: st.round, Type: kind, Waiting: waiting, Cause: err}
		}
		if err := l.receive(in, f); err != nil {
			return nil, err
		}
	}
}

func (l *lockstep) send(ctx context.Context, st step, out frameSet) error {
	for _, t := range st.types {
		to := []string{""}
		if !t.broadcast {
			to = l.others
		}
		for _, receiver := range to {
			messages := out[frameKey{t.name, receiver}]
			if len(messages) != st.count {
				return fmt.Errorf("mpc: round %d: %s to %q: expected %d messages, found %d", st.round, t.name, receiver, st.count, len(messages))
			}
			f := transport.Frame{Round: st.round, Type: t.name, To: receiver, Payload: encodePayload(l.context, messages)}
			if err := l.link.Send(ctx, f); err != nil {
				return fmt.Errorf("mpc: round %d: send %s: %w", st.round, t.name, err)
			}
		}
	}
	return nil
}

// receive sorts a frame into this step or keeps it for the next.
func (l *lockstep) receive(in frameSet, f transport.Frame) error {
	refuse := func(format string, args ...any) error {
		return &MessageError{From: f.From, Round: f.Round, Type: f.Type, Err: fmt.Errorf(format, args...)}
	}
	if !slices.Contains(l.others, f.From) {
		return refuse("sender: expected one of %q", l.others)
	}
	if f.Type == abortType {
		return &AbortError{From: f.From}
	}
	at, t := l.find(f)
	if at < 0 {
		return refuse("type and round: expected a message of the protocol, found none such")
	}
	if (f.To == "") != t.broadcast || (f.To != "" && f.To != l.self) {
		return refuse("receiver: expected broadcast %t, found receiver %q", t.broadcast, f.To)
	}
	key := frameKey{f.Type, f.From}
	switch {
	case at == l.next:
		if _, found := in[key]; found {
			return refuse("expected one message, found a second")
		}
		return l.take(in, l.steps[at], key, f.Payload)
	case at == l.next+1:
		if _, found := l.early[key]; found {
			return refuse("expected one message, found a second")
		}
		l.early[key] = f.Payload
		return nil
	}
	return refuse("round: expected %d, at most one step ahead", l.steps[l.next].round)
}

// find returns the step that has the frame's round and type, or -1.
func (l *lockstep) find(f transport.Frame) (int, messageType) {
	for i, st := range l.steps {
		for _, t := range st.types {
			if st.round == f.Round && t.name == f.Type {
				return i, t
			}
		}
	}
	return -1, messageType{}
}

// take decodes a frame of this step.
func (l *lockstep) take(in frameSet, st step, key frameKey, payload []byte) error {
	i := slices.IndexFunc(st.types, func(t messageType) bool { return t.name == key.kind })
	messages, err := decodePayload(payload, l.context, st.count, st.types[i].maxSize)
	if err != nil {
		return &MessageError{From: key.party, Round: st.round, Type: key.kind, Err: err}
	}
	in[key] = messages
	return nil
}

// missing returns the first type that is not complete and who has not sent it.
func (l *lockstep) missing(in frameSet, st step) (kind string, waiting []string) {
	for _, t := range st.types {
		for _, from := range l.others {
			if _, ok := in[frameKey{t.name, from}]; !ok {
				waiting = append(waiting, from)
			}
		}
		if len(waiting) > 0 {
			return t.name, waiting
		}
	}
	return "", nil
}

// abortTimeout is how long the others are told that this party gave up.
const abortTimeout = 2 * time.Second

// abort tells the others, as far as they can be reached, that this party gave up, unless it was told so or they are all that is missing.
func (l *lockstep) abort(ctx context.Context, cause error) {
	var told *AbortError
	if errors.As(cause, &told) || l.next >= len(l.steps) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	f := transport.Frame{Round: l.steps[l.next].round, Type: abortType, Payload: l.context[:]}
	_ = l.link.Send(ctx, f) // the session has failed already; the others run into their deadline
}
