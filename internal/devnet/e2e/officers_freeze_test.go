//go:build chains

package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// answered is what a signer answered to one call under load.
type answered struct {
	signer  canon.Name
	signing bool // else reserving
	begun   time.Time
	err     error
}

// load asks for withdrawals again and again.
type load struct {
	mu   sync.Mutex
	all  []answered
	more chan struct{} // something was added
}

func (l *load) add(begun time.Time, signing bool, errs map[canon.Name]error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name, err := range errs {
		if status.Code(err) == codes.Canceled {
			continue // the caller hung up, because the partner had refused
		}
		l.all = append(l.all, answered{name, signing, begun, err})
	}
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// count returns how many answers there are of a sort.
func (l *load) count(of func(answered) bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, a := range l.all {
		if of(a) {
			n++
		}
	}
	return n
}

// run asks for one valid withdrawal after the other until stop is closed.
func (l *load) run(w *world, pair []canon.Name, stop <-chan struct{}) error {
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		p, err := w.paper(small)
		if err != nil {
			return err
		}
		q, err := w.build.Question(p)
		if err != nil {
			return err
		}
		begun := time.Now()
		acks, errs := w.reserve(q)
		l.add(begun, false, errs)
		if len(acks) < 3 {
			continue
		}
		certificate, err := w.build.Certificate(q.Reservation, acks...)
		if err != nil {
			return err
		}
		begun = time.Now()
		_, errs = w.sign(q.Evidence, certificate, 1, pair...)
		l.add(begun, true, errs)
	}
}

// await waits until there are at least n answers of a sort.
func (l *load) await(w *world, what string, n int, of func(answered) bool) {
	w.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for l.count(of) < n {
		select {
		case <-l.more:
		case <-deadline.C:
			w.Errorf("%s: expected %d, found %d", what, n, l.count(of))
			return
		}
	}
}

// freezes: one officer tells one signer, while the coordinator asks for signatures as fast as it can and tells nobody.
func (w *world) freezes() {
	evidence, certificate := w.certified(must(w.paper(large, "alice", "bob"))(w.T))
	l, stop := &load{more: make(chan struct{}, 1)}, make(chan struct{})
	var group sync.WaitGroup
	for _, pair := range [][]canon.Name{{"node-1", "node-2"}, {"node-3", "node-4"}, {"node-1", "node-3"}} {
		group.Go(func() {
			if err := l.run(w, pair, stop); err != nil {
				w.Error(err)
			}
		})
	}
	l.await(w, "signatures under load", 6, func(a answered) bool { return a.signing && a.err == nil })

	freeze := w.say("carol", canon.StateFreeze, w.chain.Current().Organisation())
	frozen := map[canon.Name]time.Time{}
	if _, err := w.devices["carol"]["node-1"].SubmitSignerStatement(w.Context(), &pb.SubmitSignerStatementRequest{Statement: onWire(freeze)}); err != nil {
		w.Error(err)
	}
	frozen["node-1"] = time.Now()
	for _, name := range w.names[1:] {
		w.heard(name, freeze)
		frozen[name] = time.Now()
	}
	after := func(a answered) bool { return a.begun.After(frozen[a.signer]) }
	for _, name := range w.names {
		l.await(w, "answers of "+string(name)+" after the freeze", 4, func(a answered) bool { return a.signer == name && after(a) })
	}
	close(stop)
	group.Wait()
	for _, a := range l.all {
		if after(a) && !refuses(a.err, "freeze", "organisation") {
			w.Errorf("%s, asked after the freeze (to sign: %v): expected a refusal by freeze of organisation, found %v", a.signer, a.signing, a.err)
		}
	}
	w.refusesToSign("acked by all before the freeze", evidence, certificate, "freeze", "organisation")
	w.refusesToReserve("under a freeze", must(w.paper(large, "alice", "bob"))(w.T), "freeze", "organisation")
	for _, name := range w.names {
		w.nothingAfter(name, freeze)
	}

	w.enact(w.amend(func(g *canon.Genesis) {
		g.Lifted = append(g.Lifted, canon.KindStatement.Digest(freeze.Document))
		slices.SortFunc(g.Lifted, func(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) })
	}), "alice", "bob")
	w.pays(must(w.paper(small))(w.T))
}

// Kinds of the ledger's records.
const (
	promised  = 2
	committed = 6
)

// nothingAfter reads a signer's ledger and asks that it neither promised nor committed to anything after it recorded the freeze, and
// did both before.
func (w *world) nothingAfter(signer canon.Name, freeze canon.Signed) {
	w.Helper()
	dir := filepath.Join(w.d.Node(string(signer)).Dir, "data", "ledger")
	must(ledger.Verify(dir))(w.T)
	before, later, found := map[byte]int{}, map[byte]int{}, false
	err := records(must(os.ReadFile(filepath.Join(dir, "records")))(w.T), func(kind byte, payload []byte) {
		switch {
		case bytes.Contains(payload, freeze.Document):
			found = true
		case found:
			later[kind]++
		default:
			before[kind]++
		}
	})
	if err != nil || !found {
		w.Fatalf("%s: expected the freeze in a ledger of whole records, found %v, %v", signer, found, err)
	}
	if before[promised] == 0 || before[committed] == 0 || later[promised] != 0 || later[committed] != 0 {
		w.Errorf("%s: expected promises and commitments before the freeze only, found %d and %d before, %d and %d after it", signer,
			before[promised], before[committed], later[promised], later[committed])
	}
}

// records walks over the records of a ledger: length of the payload, kind, hash before, check of the header, payload, hash.
func records(b []byte, visit func(kind byte, payload []byte)) error {
	const header, hash = 4 + 1 + 32 + 4, 32
	for len(b) > 0 {
		if len(b) < header {
			return fmt.Errorf("ledger: expected a header of %d bytes, found %d", header, len(b))
		}
		size := int(binary.BigEndian.Uint32(b))
		if len(b) < header+size+hash {
			return fmt.Errorf("ledger: expected a record of %d bytes, found %d", header+size+hash, len(b))
		}
		visit(b[4], b[header:header+size])
		b = b[header+size+hash:]
	}
	return nil
}

func onWire(s canon.Signed) *pb.Signed {
	return &pb.Signed{Document: s.Document, Scheme: uint32(s.Scheme), Signature: s.Signature}
}

func fromWire(s *pb.Signed) canon.Signed {
	return canon.Signed{Document: s.GetDocument(), Scheme: canon.Scheme(s.GetScheme()), Signature: s.GetSignature()}
}
