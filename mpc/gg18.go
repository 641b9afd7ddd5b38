package mpc

import (
	"context"
	"fmt"
	"slices"

	"github.com/bnb-chain/tss-lib/v2/tss"
	"google.golang.org/protobuf/proto"
)

// GG18 is the Engine over tss-lib. The zero value is ready.
type GG18 struct{}

var _ Engine = GG18{}

// party is one of the library's parties: the whole of a key generation, or one input of a signing session. It is used from one goroutine
// at a time, and never again after an error: a panic leaves its lock held.
type party struct {
	roster roster
	party  tss.Party
	out    chan tss.Message
	// check refuses a message of another party; own, if not nil, sees this party's own messages before they leave.
	check func(from string, m tss.MessageContent) error
	own   func(m tss.MessageContent) error
}

// outbox is the room for the messages of one round: the library writes them under its own lock and nobody reads meanwhile.
func outbox(parties int) chan tss.Message { return make(chan tss.Message, 2*parties) }

// start runs the library's first round.
func (p *party) start() error {
	return guarded(func() *tss.Error { return p.party.Start() })
}

// update gives the library one message of a round. A message that it does not take is an error.
func (p *party) update(t messageType, from string, m tss.MessageContent) error {
	id := p.roster.byName[from]
	routing := tss.MessageRouting{From: id, IsBroadcast: t.broadcast}
	if !t.broadcast {
		routing.To = []*tss.PartyID{p.party.PartyID()}
	}
	return guarded(func() *tss.Error {
		ok, err := p.party.Update(tss.NewMessage(routing, m, tss.NewMessageWrapper(routing, m)))
		if err == nil && !ok {
			err = tss.NewError(fmt.Errorf("%s was ignored", t.name), "update", -1, nil)
		}
		return err
	})
}

// guarded turns the library's errors into errors and its panics, as far as they are in the caller's goroutine, too.
func guarded(call func() *tss.Error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("mpc: the library stopped: %v", r)
		}
	}()
	if failed := call(); failed != nil {
		return fmt.Errorf("mpc: %w", failed)
	}
	return nil
}

// outgoing takes the messages of round s that the library made, by type and receiver.
func (p *party) outgoing(s stage) (map[frameKey][]byte, error) {
	made := make(map[frameKey][]byte)
	for {
		var m tss.Message
		select {
		case m = <-p.out:
		default:
			return made, nil
		}
		content := m.(tss.ParsedMessage).Content()
		at := slices.IndexFunc(s, func(t messageType) bool { return proto.MessageName(t.empty()) == proto.MessageName(content) })
		if at < 0 || s[at].broadcast != m.IsBroadcast() || (!s[at].broadcast && len(m.GetTo()) != 1) {
			return nil, fmt.Errorf("mpc: the library sent %s, expected a message of the next round", m.Type())
		}
		key := frameKey{kind: s[at].name}
		if !s[at].broadcast {
			key.party = m.GetTo()[0].Id
		}
		if p.own != nil {
			if err := p.own(content); err != nil {
				return nil, fmt.Errorf("mpc: own %s: %w", s[at].name, err)
			}
		}
		b, err := proto.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("mpc: own %s: %w", s[at].name, err)
		}
		made[key] = b
	}
}

// deliver checks the i-th messages of all frames of a round and then gives them to the library.
func (p *party) deliver(round uint64, s stage, others []string, in frameSet, i int) error {
	var contents []tss.MessageContent
	for _, t := range s {
		for _, from := range others {
			m, err := parseMessage(t, in[frameKey{t.name, from}][i])
			if err == nil {
				err = p.check(from, m)
			}
			if err != nil {
				return &MessageError{From: from, Round: round, Type: t.name, Err: fmt.Errorf("message %d: %w", i, err)}
			}
			contents = append(contents, m)
		}
	}
	for _, t := range s {
		for _, from := range others {
			if err := p.update(t, from, contents[0]); err != nil {
				return fmt.Errorf("mpc: round %d: %s from %s: %w", round, t.name, from, err)
			}
			contents = contents[1:]
		}
	}
	return nil
}

// runSession runs parties of the library, one for each input, through all rounds. beforeLast, if not nil, is called before the messages of
// the last round leave.
func runSession(ctx context.Context, l *lockstep, parties []*party, stages []stage, beforeLast func(context.Context) error) error {
	err := forEach(ctx, parties, func(_ int, p *party) error { return p.start() })
	for r := 0; err == nil && r < len(stages); r++ {
		var out frameSet
		if out, err = collect(parties, stages[r]); err != nil {
			break
		}
		if beforeLast != nil && r == len(stages)-1 {
			if err = beforeLast(ctx); err != nil {
				break
			}
		}
		var in frameSet
		if in, err = l.exchange(ctx, out); err != nil {
			break
		}
		err = forEach(ctx, parties, func(i int, p *party) error { return p.deliver(uint64(r+1), stages[r], l.others, in, i) })
	}
	if err != nil {
		l.abort(ctx, err)
	}
	return err
}

// collect joins the messages of all parties of one round into frames.
func collect(parties []*party, s stage) (frameSet, error) {
	out := make(frameSet)
	for i, p := range parties {
		made, err := p.outgoing(s)
		if err != nil {
			return nil, err
		}
		for key, b := range made {
			if len(out[key]) != i {
				return nil, fmt.Errorf("mpc: %s: the library sent messages for some inputs and not for others", key.kind)
			}
			out[key] = append(out[key], b)
		}
	}
	return out, nil
}
