package mpc

import (
	"context"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/mpc/transport"
)

// Checker checks one message of a session, as deliver does before the library sees it.
type Checker func(from, kind string, raw []byte) error

// SignChecker returns the checks of one input of a signing session.
func SignChecker(s *share.Share, participants []string) Checker {
	c := newSignChecks(s, participants)
	return func(from, kind string, raw []byte) error {
		m, err := parseMessage(typeOf(signStages(), kind), raw)
		if err != nil {
			return err
		}
		if from == s.Self {
			return c.ownMessage(m)
		}
		return c.check(from, m)
	}
}

// KeygenChecker returns the checks of one key generation.
func KeygenChecker(c KeygenConfig) Checker {
	k := newKeygenChecks(c)
	return func(from, kind string, raw []byte) error {
		m, err := parseMessage(typeOf(keygenStages(), kind), raw)
		if err != nil {
			return err
		}
		return k.check(from, m)
	}
}

func typeOf(stages []stage, kind string) messageType {
	for _, s := range stages {
		for _, t := range s {
			if t.name == kind {
				return t
			}
		}
	}
	panic("no type " + kind)
}

// MaxSizes returns the size limit of every message type.
func MaxSizes() map[string]int {
	sizes := make(map[string]int)
	for _, stages := range [][]stage{keygenStages(), signStages()} {
		for _, s := range stages {
			for _, t := range s {
				sizes[t.name] = t.maxSize
			}
		}
	}
	return sizes
}

// Messages splits a payload without looking at its context.
func Messages(payload []byte, count int) ([][]byte, error) {
	return decodePayload(payload, [32]byte(payload[:32]), count, transport.MaxPayload)
}

// EncodePayload and DecodePayload are the payload codec.
func EncodePayload(context [32]byte, messages [][]byte) []byte {
	return encodePayload(context, messages)
}

func DecodePayload(b []byte, context [32]byte, count, maxSize int) ([][]byte, error) {
	return decodePayload(b, context, count, maxSize)
}

// RunLockstep runs a protocol without cryptography: round 1 has a broadcast and a message to each, rounds 2 and 3 a broadcast. It returns what
// this party received in each round, as "type/sender=message".
func RunLockstep(ctx context.Context, link Link, self string, participants []string, timeout time.Duration) ([]map[string]string, error) {
	stages := []stage{
		{{name: "x/1", broadcast: true, maxSize: 16}, {name: "x/1/p", maxSize: 16}},
		{{name: "x/2", broadcast: true, maxSize: 16}},
		{{name: "x/3", broadcast: true, maxSize: 16}},
	}
	l := newLockstep(link, self, participants, stages, 1, timeout)
	var got []map[string]string
	for _, s := range stages {
		out := make(frameSet)
		for _, t := range s {
			to := []string{""}
			if !t.broadcast {
				to = l.others
			}
			for _, p := range to {
				out[frameKey{t.name, p}] = [][]byte{fmt.Appendf(nil, "%s>%s", self, p)}
			}
		}
		in, err := l.exchange(ctx, out)
		if err != nil {
			l.abort(ctx, err)
			return nil, err
		}
		round := make(map[string]string)
		for key, m := range in {
			round[key.kind+"/"+key.party] = string(m[0])
		}
		got = append(got, round)
	}
	return got, nil
}
