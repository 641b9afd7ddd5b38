package ledger

import (
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// device is a session of this signer's token.
func (p plan) device(t testing.TB, attempt uint64) canon.Session {
	s := p.session(t, attempt)
	s.Protocol, s.Key, s.KeyEpoch, s.Participants = canon.ProtocolDevice, p.reservation().Wallet, 0, []canon.Name{"node-1"}
	return s
}

func TestATokensAttemptsKeepToTheRulesOfSessionsAndCountApart(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1}
	_, err := l.Begin(p.device(t, 1))
	refused(t, err, "hold", "reservation")
	if err := l.Hold(p.certificate(t), p.intentBytes()); err != nil {
		t.Fatal(err)
	}
	for field, change := range map[string]func(*canon.Session){
		"key":          func(s *canon.Session) { s.Key = "another" },
		"participants": func(s *canon.Session) { s.Participants = []canon.Name{"node-2"} },
		"attempt":      func(s *canon.Session) { s.Attempt = 0 },
	} {
		s := p.device(t, 1)
		change(&s)
		_, err := l.Begin(s)
		refused(t, err, map[string]string{"key": "hold", "participants": "session", "attempt": "attempt"}[field], field)
	}
	wallet := p.reservation().Wallet
	made := func(l *Ledger) (n uint64) {
		if err := l.Read(func(x *Index) error { n = x.Made(wallet); return nil }); err != nil {
			t.Error(err)
		}
		return n
	}
	for attempt := range uint64(MaxAttempts) {
		if _, err := l.Begin(p.session(t, attempt+1)); err != nil {
			t.Fatal(err)
		}
	}
	var last canon.Digest
	for attempt := range uint64(MaxAttempts) {
		if last, err = l.Begin(p.device(t, attempt+1)); err != nil {
			t.Fatal(err)
		}
		_, err = l.Begin(p.device(t, attempt+1))
		refused(t, err, "attempt", "attempt")
	}
	_, err = l.Begin(p.device(t, MaxAttempts+1))
	refused(t, err, "attempt", "attempt")
	if n := made(l); n != 0 {
		t.Errorf("expected no signature of sessions that began, found %d", n)
	}
	refused(t, l.Commit(last, func(*Index) error { return refusal.New("freeze", "organisation", "none", "one") }), "freeze", "organisation")
	if err := l.Commit(last, pass); err != nil {
		t.Fatal(err)
	}
	refused(t, l.Commit(last, pass), "session", "session")
	want := uint64(len(p.reservation().Inputs))
	if n := made(l); n != want {
		t.Errorf("expected %d signatures, found %d", want, n)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(c.Dir); err != nil {
		t.Error(err)
	}
	if l = open(t, c); made(l) != want {
		t.Errorf("expected %d signatures after opening again, found %d", want, made(l))
	}
	_, err = l.Begin(p.device(t, 7))
	refused(t, err, "attempt", "attempt")
}

func TestKnowingAPublicKeyPromisesNothing(t *testing.T) {
	l := open(t, config(t))
	if err := l.Confirm("main", 1, [33]byte{2}); err != nil {
		t.Fatal(err)
	}
	if l.index.Began() {
		t.Error("expected a signer that is new still, found one that promised")
	}
}
