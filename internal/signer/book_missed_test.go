package signer_test

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// missing is what a signer logs of a version that others recorded and it cannot.
const missing = "version of the address book missed: addresses must be in it, and what it puts in is payable after the next one"

// parted is an address function that links some signers with the others, and nobody else.
func parted(t testing.TB, away ...canon.Name) (address func(from, to canon.Name, direct string) string, set func(open bool)) {
	var all []*link
	address = func(from, to canon.Name, direct string) string {
		if slices.Contains(away, from) == slices.Contains(away, to) {
			return direct
		}
		l := newLink(t, direct)
		all = append(all, l)
		return l.listener.Addr().String()
	}
	return address, func(open bool) {
		for _, l := range all {
			l.set(open)
		}
	}
}

func TestASignerThatWasAwayUntilTheApprovalsEndedPaysNothingThatWasTakenOut(t *testing.T) {
	address, set := parted(t, "node-4")
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often, address: address})
	set(false)
	second := w.version(newcomerAddress)
	update := w.update(w.root(2, second, w.book), pair...)
	check(t, w.publish("node-1", "device alice", update))
	for _, name := range nodes[:3] {
		w.signers[name].heard.wait("address book", 1)
	}
	w.advance(10*day + time.Second)
	pay := payment{id: "a", nonce: 7, ether: 2}
	check(t, w.ask("node-4", pay)) // it cannot know
	set(true)
	away := w.signers["node-4"]
	away.heard.wait(missing, 1)
	refused(t, w.publish("node-4", "device alice", update), "approvals", "update.approvals")
	unlisted(t, w.ask("node-4", payment{id: "b", nonce: 8, ether: 2}), newest+"2")
	v := w.versions("node-4")
	if len(v) != 2 || v[0].GetSerial() != 1 || !v[0].GetNewest() || !v[0].GetPayable() {
		t.Fatalf("expected the genesis's own version and the one that was missed, found %v", v)
	}
	if root := second.Root(); v[1].GetSerial() != 2 || v[1].GetSize() != 1 || !bytes.Equal(v[1].GetRoot(), root[:]) || !v[1].GetNewest() || v[1].GetPayable() ||
		len(v[1].GetUpdate()) != 0 || v[1].GetFirstSeenTime() != nil || v[1].GetPayableTime().AsTime().Year() != 9999 {
		t.Errorf("expected version 2 as one to be proven in, found %v", v[1])
	}
	// The next version ends it, and what it puts in waits as ever.
	third := w.version(payee, newcomerAddress)
	check(t, w.publish("node-2", "device bob", w.update(w.root(3, third, second), pair...)))
	away.heard.wait("address book", 1)
	if v := w.versions("node-4"); len(v) != 2 || v[0].GetSerial() != 3 || v[1].GetSerial() != 1 || v[1].GetNewest() {
		t.Errorf("expected version 3 and the genesis's own, found %v", v)
	}
	w.books = []*book.Tree{third}
	check(t, w.ask("node-4", payment{id: "c", nonce: 9, ether: 2}))
}

func TestASignerThatMissedAVersionPaysWhatIsInBoth(t *testing.T) {
	address, set := parted(t, "node-4")
	w := newWorld(t, setUp{keyed: true, engine: same(reaches), gossip: often, address: address})
	set(false)
	second := w.version(payee, newcomerAddress)
	check(t, w.publish("node-1", "device alice", w.update(w.root(2, second, w.book), pair...)))
	for _, name := range nodes[:3] {
		w.signers[name].heard.wait("address book", 1)
	}
	w.advance(10*day + time.Second)
	set(true)
	w.signers["node-4"].heard.wait(missing, 1)
	unlisted(t, w.ask("node-4", payment{id: "a", nonce: 7, ether: 2}), newest+"2") // proven under the genesis's own alone
	w.books = []*book.Tree{second}
	check(t, w.ask("node-4", payment{id: "b", nonce: 8, ether: 2}))
	unlisted(t, w.ask("node-4", payment{id: "c", nonce: 9, ether: 2, payee: newcomerAddress}), newest+"1")
}

// TestAMissedVersionStopsASessionUpToThePointOfNoReturn has two signers hear of it while they run the protocol.
func TestAMissedVersionStopsASessionUpToThePointOfNoReturn(t *testing.T) {
	address, set := parted(t, "node-3", "node-4")
	var w *world
	var remove []byte
	var once sync.Once
	w = newWorld(t, setUp{keyed: true, gossip: often, address: address, engine: func(name canon.Name) mpc.Engine {
		return lateEngine{then: func() {
			once.Do(func() {
				for _, name := range []canon.Name{"node-1", "node-2"} {
					if err := w.publish(name, "device carol", remove); err != nil {
						t.Error(err)
					}
				}
				w.advance(time.Minute + time.Second)
				set(true)
			})
			w.signers[name].heard.wait(missing, 1)
		}}
	}})
	set(false)
	remove = w.updateFor(time.Minute, w.root(2, w.version(newcomerAddress), w.book), pair...)
	evidence := w.evidence(payment{id: "a", nonce: 7, ether: 2})
	reservation := w.reservation(evidence)
	request := &strongroomv1.SignRequest{Evidence: evidence, Certificate: w.reserve(evidence, reservation, "node-2", "node-3", "node-4"),
		Participants: []string{"node-3", "node-4"}, Attempt: 1}
	var both sync.WaitGroup
	for _, name := range []canon.Name{"node-3", "node-4"} {
		client := w.front(name)
		both.Go(func() {
			_, err := client.Sign(t.Context(), request)
			unlisted(t, err, newest+"2")
		})
	}
	both.Wait()
	for _, name := range []canon.Name{"node-3", "node-4"} {
		if committed(t, w.signers[name].ledger, canon.KindReservation.Digest(reservation)) {
			t.Errorf("%s: expected nothing committed", name)
		}
	}
}

func TestOnePeerAloneMakesNoVersionMissed(t *testing.T) {
	l := &bookLiar{asked: make(chan struct{})}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: often, address: func(_, to canon.Name, direct string) string {
		if to == "node-3" {
			return l.serve(t, to)
		}
		return direct
	}})
	empty := w.version(newcomerAddress)
	root := empty.Root()
	lie := &strongroomv1.BookVersion{Serial: 2, Size: 1, Root: root[:], Newest: true, Update: w.update(w.root(2, empty, w.book), "alice")}
	pay := func(id string, nonce uint64) {
		t.Helper()
		for range 3 { // comparisons go on
			<-l.asked
		}
		check(t, w.ask("node-1", payment{id: id, nonce: nonce, ether: 2}))
		if v := w.versions("node-1"); len(v) != 1 {
			t.Errorf("expected the genesis's own version alone, found %v", v)
		}
	}
	l.tell(lie)
	pay("a", 7)
	l.tell(slices.Repeat([]*strongroomv1.BookVersion{lie}, 16)...)
	pay("b", 8)
	var many []*strongroomv1.BookVersion
	for i := range uint64(16) {
		many = append(many, &strongroomv1.BookVersion{Serial: 2 + i, Size: 1, Root: root[:], Newest: true, Update: w.update(w.root(2+i, empty, w.book), "alice")})
	}
	l.tell(many...)
	pay("c", 9)
}

func TestAVersionIsMissedAsLongAsEnoughPeersNameIt(t *testing.T) {
	liars := map[canon.Name]*bookLiar{"node-2": {asked: make(chan struct{})}, "node-3": {asked: make(chan struct{})}, "node-5": {asked: make(chan struct{})}}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches), gossip: often, others: []canon.Name{"node-5"}, address: func(_, to canon.Name, direct string) string {
		if l, ok := liars[to]; ok {
			return l.serve(t, to)
		}
		return direct
	}})
	empty := w.version(newcomerAddress)
	root := empty.Root()
	update := w.update(w.root(2, empty, w.book), "alice")
	name := func(change func(*strongroomv1.BookVersion)) *strongroomv1.BookVersion {
		v := &strongroomv1.BookVersion{Serial: 2, Size: 1, Root: root[:], Newest: true, Update: update}
		change(v)
		return v
	}
	as := func(*strongroomv1.BookVersion) {}
	serial := uint64(0)
	for _, c := range []struct {
		what                 string
		second, third, fifth *strongroomv1.BookVersion
		missed               bool
	}{
		{"two", name(as), name(as), nil, true},
		{"two, of which one only heard of it", name(as), name(func(v *strongroomv1.BookVersion) { v.Update = nil }), nil, false},
		{"two again", name(as), name(as), nil, true},
		{"two, of which one has it as an older one", name(as), name(func(v *strongroomv1.BookVersion) { v.Newest = false }), nil, false},
		{"two, of which one names another size", name(as), name(func(v *strongroomv1.BookVersion) { v.Size = 2 }), nil, false},
		{"one and a signer outside the roster", name(as), nil, name(as), false},
		{"nobody", nil, nil, nil, false},
	} {
		liars["node-2"].tell(c.second)
		liars["node-3"].tell(c.third)
		liars["node-5"].tell(c.fifth)
		for range 3 { // comparisons go on
			for _, l := range liars {
				<-l.asked
			}
		}
		serial++
		err := w.ask("node-1", payment{id: fmt.Sprint("p", serial), nonce: 6 + serial, ether: 1})
		if c.missed {
			unlisted(t, err, newest+"2")
		} else if err != nil {
			t.Errorf("%s: expected an ack, found %v", c.what, err)
		}
	}
}

func FuzzMissed(f *testing.F) {
	w := newWorld(f, setUp{count: 1, keyed: true, engine: same(reaches), gossip: never})
	here := book.Begin(w.charter)
	tree := w.version(newcomerAddress)
	root := tree.Root()
	good, err := proto.Marshal(&strongroomv1.GetBookResponse{Versions: []*strongroomv1.BookVersion{
		{Serial: 2, Size: 1, Root: root[:], Newest: true, Update: w.update(w.root(2, tree, w.book), pair...)}}})
	check(f, err)
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r strongroomv1.GetBookResponse
		if proto.Unmarshal(b, &r) != nil {
			return
		}
		missed := signer.Missed(r.GetVersions(), here)
		if len(missed) > 8 || len(missed) > len(r.GetVersions()) {
			t.Errorf("expected at most 8, found %d", len(missed))
		}
		for _, m := range missed {
			if m.Serial < here.Newest()[0].Serial || here.Has(m) {
				t.Errorf("expected what is not here, found %v", m)
			}
		}
	})
}
