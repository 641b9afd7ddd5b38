package coordinator

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// talkative makes a node refuse for the book and name another second in the past every time from which its version is payable.
func (w *world) talkative(name canon.Name) {
	root, size, said := w.book.Root(), w.book.Size(), int64(0)
	w.nodes[name].set(func(n *node) {
		n.refuse = refusal.New("whitelist", "outputs[0].address", "another", "this")
		n.lies = func() *strongroomv1.GetBookResponse {
			said++
			return &strongroomv1.GetBookResponse{Versions: []*strongroomv1.BookVersion{
				{Serial: 1, Size: size, Root: root[:], Newest: true, Payable: true, PayableTime: &timestamppb.Timestamp{Seconds: said}}}}
		}
	})
}

func TestASignerThatKeepsTalkingDoesNotKeepTheCoordinatorBusy(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	w.service.learnBooks(w.ctx)
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	w.talkative("node-4")
	row := w.create("a")
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, row.ID)
	if err != nil || row.Prepared == nil {
		t.Fatalf("expected a prepared row, found %v", err)
	}
	before := w.service.demand()
	if err := w.step(row); err == nil || !strings.Contains(err.Error(), "expected 3 acks, found 1 and 1 refusals") {
		t.Fatalf("expected that it is short of acks, found %v", err)
	}
	if row, err = w.service.Store.Withdrawal(w.ctx, row.ID); err != nil || !refusedFor(row, "node-4: whitelist") {
		t.Errorf("expected the refusal in the row, found %v, %v", row.Refusals, err)
	}
	if len(w.all.reserved) != 2 {
		t.Errorf("expected each of two nodes asked once, found %d questions", len(w.all.reserved))
	}
	for range 5 {
		w.service.learnBooks(w.ctx)
	}
	if after := w.service.demand(); after != before {
		t.Errorf("expected nothing that wakes withdrawals, found %q instead of %q", after, before)
	}
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = false })
	}
	w.run()
	w.buried(row.ID)
}

// What others say while a withdrawal is worked on has it looked at again soon, and its failures are not forgotten for it.
func TestANudgeKeepsTheBackOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	id := canon.Digest{1}
	var d *driver
	looks, fails := 0, make(chan int, 10)
	d = newDriver(1, func(context.Context, canon.Digest) (turn, error) {
		looks++
		if looks < 3 {
			d.nudge(id)
		}
		d.mu.Lock()
		fails <- d.jobs[id].fails
		d.mu.Unlock()
		return turn{stuck: true}, nil
	}, slog.New(slog.DiscardHandler))
	d.start(ctx)
	d.nudge(id) // one that rests is looked at
	for want := range 3 {
		select {
		case found := <-fails:
			if found != want {
				t.Errorf("look %d: expected %d failures, found %d", want+1, want, found)
			}
		case <-time.After(time.Minute):
			t.Fatal("expected another look, found none")
		}
	}
	cancel()
	d.stop()
}

// A withdrawal whose documents cannot be read, or count for something else, still ends when its time is over.
func TestEverythingEndsByItsTime(t *testing.T) {
	garbage := func(w *withdrawal.Withdrawal) { w.Intent = []byte("garbage") }
	w := newWorld(t, "")
	w.fund(50_000_000)
	for _, n := range w.nodes {
		n.set(func(n *node) { n.down = true })
	}
	waiting := w.create("waiting", amount(5_000_000))
	approved := w.create("approved")
	prepared := w.until(w.create("prepared").ID, withdrawal.Approved)
	if err := w.step(prepared); err != nil {
		t.Fatal(err)
	}
	prepared, err := w.service.Store.Withdrawal(w.ctx, prepared.ID)
	if err != nil || prepared.Prepared == nil {
		t.Fatalf("expected a prepared row, found %v", err)
	}
	garbage(&waiting)
	garbage(&approved)
	large := *prepared.Prepared
	large.Unsigned = make([]byte, 64<<20) // evidence of it cannot be encoded
	prepared.Prepared = &large
	if _, err := w.service.evidence(prepared); err == nil {
		t.Fatal("expected evidence that cannot be encoded, found some")
	}
	rows := map[withdrawal.State]withdrawal.Withdrawal{withdrawal.Expired: approved, withdrawal.Burning: prepared}
	if _, err := w.service.tally(w.ctx, waiting); err == nil {
		t.Error("before its time: expected an error, found none")
	}
	for state, row := range rows {
		if _, err := w.service.ended(w.ctx, row); state == withdrawal.Expired && err == nil {
			t.Errorf("before its time: expected an error, found none")
		}
	}
	w.offset.Store(4000)
	if row, err := w.service.tally(w.ctx, waiting); err != nil || row.State != withdrawal.Expired {
		t.Errorf("tally: expected expired, found %s, %v", row.State, err)
	}
	for state, row := range rows {
		over, err := w.service.ended(w.ctx, row)
		if found, _ := w.service.Store.Withdrawal(w.ctx, row.ID); err != nil || !over || found.State != state {
			t.Errorf("expected %s, found %s, %v", state, found.State, err)
		}
	}
}

func TestAForkKeepsNothingFromEnding(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	row := w.create("a")
	for i, b := range [][]byte{w.amend(t, w.service.inForce(), raise), w.amend(t, w.service.inForce(), lower)} {
		entry := w.enactment(t, b)
		w.nodes[nodeNames[i]].set(func(n *node) {
			if err := n.enact(entry); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.service.learnCharters(w.ctx)
	if err := w.step(row); err == nil || !strings.Contains(err.Error(), "fork") {
		t.Fatalf("expected that it waits for the fork, found %v", err)
	}
	w.offset.Store(4000)
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, row.ID)
	if err != nil || row.State != withdrawal.Expired {
		t.Errorf("expected expired, found %s, %v", row.State, err)
	}
	if len(w.all.reserved) != 0 {
		t.Errorf("expected that nobody was asked, found %d questions", len(w.all.reserved))
	}
}

// What verifies and is about something else does not keep the rest from being counted.
func TestDocumentsAboutSomethingElseAreLeftOut(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	row := w.create("a", amount(5_000_000))
	statement := func(officer canon.Name, verb canon.Verb, object canon.Digest) canon.Signed {
		b := encode(t, canon.Statement{Organisation: w.charter.Organisation(), Verb: verb, Object: object, Officer: officer})
		signed, err := w.officers[officer].Sign(canon.KindStatement, b, approval.NamespaceApproval)
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
	row.Approvals = []canon.Signed{w.decide(t, "alice", canon.Digest{1}, canon.Approve), w.decide(t, "carol", canon.Digest{1}, canon.Reject),
		w.decide(t, "alice", row.IntentDigest, canon.Approve), w.decide(t, "bob", row.IntentDigest, canon.Approve)}
	row.Statements = []canon.Signed{statement("carol", canon.StateReject, canon.Digest{1}), statement("carol", canon.StateVeto, row.IntentDigest)}
	if got, err := w.service.count(row, w.charter); err != nil || !got.Met {
		t.Errorf("expected a quorum, found %v, %v", got, err)
	}
	for _, object := range []canon.Digest{row.IntentDigest, row.ID} {
		row.Statements[0] = statement("carol", canon.StateReject, object)
		if got, err := w.service.count(row, w.charter); err != nil || !slices.Equal(got.RejectedBy, []canon.Name{"carol"}) {
			t.Errorf("expected a rejection by carol, found %v, %v", got, err)
		}
	}
}

// A row that cannot be read stops itself alone.
func TestARowThatCannotBeReadStopsNothingElse(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000, 50_000_000)
	bad, good := w.create("bad"), w.create("good")
	w.close()
	db, err := sql.Open("sqlite", w.path)
	if err == nil {
		_, err = db.ExecContext(w.ctx, `UPDATE withdrawals SET body = ? WHERE id = ?`, []byte("garbage"), bad.ID[:])
		err = errors.Join(err, db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	w.open()
	w.learn()
	w.run()
	w.buried(good.ID)
	w.buried(w.create("later").ID)
	if _, err := w.service.Store.Withdrawal(w.ctx, bad.ID); err == nil {
		t.Error("expected an error for the row itself, found none")
	}
}
