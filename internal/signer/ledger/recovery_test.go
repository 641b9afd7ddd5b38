package ledger

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestZerosUpToTheEndAreCutOff(t *testing.T) {
	c, b, ends := written(t)
	c.Create = false
	last := ends[len(ends)-2]
	for _, zeros := range []int{1, headerSize - 1, headerSize, len(b) - last, 200_000} {
		rewrite(t, c, append(bytes.Clone(b[:last]), make([]byte, zeros)...))
		if r, err := Verify(c.Dir); err != nil || !r.Incomplete {
			t.Errorf("%d zeros: Verify: expected an incomplete ledger, found %+v, %v", zeros, r, err)
		}
		l, err := Open(c)
		if err != nil {
			t.Errorf("%d zeros: expected a repair, found %v", zeros, err)
			continue
		}
		if l.State().Length != uint64(len(ends)-1) || l.Repaired() != int64(zeros) {
			t.Errorf("%d zeros: expected %d records, found %d, and %d bytes cut", zeros, len(ends)-1, l.State().Length, l.Repaired())
		}
		if err := keep(l, statement(t, "alice", 2, digest("object"))); err != nil {
			t.Errorf("%d zeros: expected to go on, found %v", zeros, err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if r, err := Verify(c.Dir); err != nil || r.Incomplete || r.Length != uint64(len(ends)) {
			t.Errorf("%d zeros: expected a whole ledger after the repair, found %+v, %v", zeros, r, err)
		}
	}
}

func TestWhatWasReadIsFsyncedBeforeAnythingIsAnsweredFromIt(t *testing.T) {
	c, _, _ := written(t)
	c.Create = false
	var synced []string
	c.sync = func(f *os.File) error {
		synced = append(synced, filepath.Base(f.Name()))
		return f.Sync()
	}
	if err := open(t, c).Close(); err != nil {
		t.Fatal(err)
	}
	if want := []string{recordsName, filepath.Base(c.Dir)}; !slices.Equal(synced, want) {
		t.Errorf("expected fsync of %v, found %v", want, synced)
	}
	for failing := range 2 {
		calls := 0
		c.sync = func(*os.File) error {
			if calls++; calls > failing {
				return os.ErrInvalid
			}
			return nil
		}
		if l, err := Open(c); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("fsync %d fails: expected its error, found %v, %v", failing+1, l, err)
		}
	}
}

func TestAPromiseIsAnsweredWithoutAnotherCheck(t *testing.T) {
	c := config(t)
	l := open(t, c)
	p := plan{wid: "a", nonce: 1}
	if _, found, err := l.Ack(p.rid(t), signAck); found || err != nil {
		t.Errorf("before the promise: expected none, found %t, %v", found, err)
	}
	lost := errors.New("token lost")
	fails := func(canon.Ack) (canon.Signed, error) { return canon.Signed{}, lost }
	if _, err := l.Reserve(Promise{Reservation: p.encode(t), Intent: p.intentBytes()}, pass, fails); !errors.Is(err, lost) {
		t.Fatalf("expected the token's error, found %v", err)
	}
	first, found, err := l.Ack(p.rid(t), signAck)
	if !found || err != nil {
		t.Fatalf("expected an answer, found %t, %v", found, err)
	}
	again, found, err := l.Ack(p.rid(t), fails)
	if !found || err != nil || !bytes.Equal(first.Document, again.Document) || !bytes.Equal(first.Signature, again.Signature) {
		t.Errorf("expected the same ack again, found %t, %v", found, err)
	}
	// What is held by a certificate only was not promised.
	q := plan{wid: "b", nonce: 2}
	if err := l.Hold(q.certificate(t), q.intentBytes()); err != nil {
		t.Fatal(err)
	}
	if _, found, err := l.Ack(q.rid(t), signAck); found || err != nil {
		t.Errorf("held by a certificate: expected none, found %t, %v", found, err)
	}
}

func TestANonceLiesCloseToTheOnesBefore(t *testing.T) {
	l := open(t, config(t))
	ask := func(wid string, nonce, start uint64) error {
		p := plan{wid: wid, nonce: nonce}
		_, err := l.Reserve(Promise{Reservation: p.encode(t), Intent: p.intentBytes(), StartNonce: start}, pass, signAck)
		return err
	}
	refused(t, ask("a", 165, 100), "nonce-gap", "anchor.number")
	refused(t, ask("a", 1<<63, 100), "nonce-gap", "anchor.number")
	for _, step := range []struct {
		wid   string
		nonce uint64
	}{{"a", 164}, {"b", 228}, {"c", 101}} {
		if err := ask(step.wid, step.nonce, 100); err != nil {
			t.Errorf("nonce %d: expected an ack, found %v", step.nonce, err)
		}
	}
	refused(t, ask("d", 293, 100), "nonce-gap", "anchor.number")
	// What a certificate holds counts, however far it is: q signers had what led there.
	far := plan{wid: "e", nonce: 1000}
	if err := l.Hold(far.certificate(t), far.intentBytes()); err != nil {
		t.Fatal(err)
	}
	if err := ask("f", 1064, 100); err != nil {
		t.Errorf("expected an ack, found %v", err)
	}
}

func TestAddressesOfABlockShareARecord(t *testing.T) {
	c := config(t)
	l := open(t, c)
	for i := range uint64(130) {
		if err := l.See("hot", "main", 1, i); err != nil {
			t.Fatal(err)
		}
		if got := l.HighestIndex("hot", "main", 1); got != int64(i) {
			t.Fatalf("expected %d as the highest, found %d", i, got)
		}
	}
	if got := l.State().Length; got != 4 {
		t.Errorf("expected the opening record and 3 others, found %d", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	// Never more than was seen: change may lie a fixed number of indexes beyond.
	if got := l.HighestIndex("hot", "main", 1); got != 128 {
		t.Errorf("after reopening: expected 128, found %d", got)
	}
	if err := l.See("hot", "main", 1, 200); err != nil {
		t.Fatal(err)
	}
	if got := l.HighestIndex("hot", "main", 1); got != 200 {
		t.Errorf("expected 200, found %d", got)
	}
}

func TestAKeyIsConfirmedOnce(t *testing.T) {
	c := config(t)
	l := open(t, c)
	public, other := [33]byte{2, 1}, [33]byte{2, 2}
	for range 2 {
		if err := l.Confirm("main", 1, public); err != nil {
			t.Fatal(err)
		}
	}
	refused(t, l.Confirm("main", 1, other), "key", "key")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	if got, ok := l.Confirmed("main", 1); !ok || [33]byte(got) != public || l.State().Length != 2 {
		t.Errorf("expected %x and 2 records, found %x, %d", public, got, l.State().Length)
	}
	if got, ok := l.Confirmed("main", 2); ok {
		t.Errorf("next epoch: expected none, found %x", got)
	}
}

func TestUsesOfAKeyAreFound(t *testing.T) {
	l := open(t, config(t))
	uses := func(epoch uint64, wallets ...canon.Name) (yes bool) {
		if err := l.Read(func(x *Index) error { yes = x.Uses("main", epoch, wallets...); return nil }); err != nil {
			t.Fatal(err)
		}
		return yes
	}
	if uses(1) {
		t.Error("empty ledger: expected no use, found one")
	}
	mustReserve(t, l, plan{wid: "a", nonce: 1})
	if !uses(1) || uses(2) {
		t.Errorf("expected a use of epoch 1 alone, found %t and %t", uses(1), uses(2))
	}
	if err := l.See("warm", "main", 0, 0); err != nil {
		t.Fatal(err)
	}
	if !uses(2, "cold", "warm") || uses(2, "cold") {
		t.Errorf("addresses: expected a use by warm alone, found %t and %t", uses(2, "cold", "warm"), uses(2, "cold"))
	}
}

func TestMayBeginUsesNothingUp(t *testing.T) {
	l := open(t, config(t))
	s := canon.Session{Organisation: organisation, Protocol: canon.ProtocolKeygen, Key: "main", KeyEpoch: 1,
		Participants: []canon.Name{"node-1", "node-2"}, Attempt: 1}
	for range 2 {
		if err := l.MayBegin(s); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Begin(s); err != nil {
		t.Fatal(err)
	}
	refused(t, l.MayBegin(s), "attempt", "attempt")
}
