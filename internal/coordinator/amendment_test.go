package coordinator

import (
	"bytes"
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func raise(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(4e8) }
func lower(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(2e8) }

var allOfficers = []canon.Name{"alice", "bob", "carol"}

func encode(t *testing.T, d canon.Document) []byte {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// amend returns an amendment of the charter in force there.
func (o *organisation) amend(t *testing.T, c *amendment.Chain, change func(*canon.Genesis), heals ...canon.Digest) []byte {
	t.Helper()
	var g canon.Genesis
	if err := canon.Decode(encode(t, c.Current().Genesis()), &g); err != nil {
		t.Fatal(err)
	}
	change(&g)
	a := canon.Amendment{Organisation: o.charter.Organisation(), Number: c.Current().Number() + 1, Previous: c.Current().Digest(), State: encode(t, g)}
	if len(heals) > 0 {
		fork, _ := c.Forked()
		a.Number, a.Previous, a.Heals = fork.Number+1, heals[0], heals
	}
	return encode(t, a)
}

// proposal has the approvals of these officers.
func (o *organisation) proposal(t *testing.T, amended []byte, officers ...canon.Name) canon.CharterEntry {
	t.Helper()
	e := canon.CharterEntry{Organisation: o.charter.Organisation(), Step: canon.StepPropose, Amendment: amended}
	for _, name := range officers {
		b := encode(t, canon.Approval{Organisation: o.charter.Organisation(), Object: canon.ObjectAmendment, Digest: canon.KindAmendment.Digest(amended),
			Decision: canon.Approve, Officer: name, NotAfter: canon.TimeOf(time.Now()) + 7200})
		signed, err := o.officers[name].Sign(canon.KindApproval, b, approval.NamespaceApproval)
		if err != nil {
			t.Fatal(err)
		}
		e.Approvals = append(e.Approvals, signed)
	}
	return e
}

// held is a node's word that it held the amendment for an hour.
func (o *organisation) held(t *testing.T, amended []byte, node canon.Name) canon.Signed {
	t.Helper()
	now := canon.TimeOf(time.Now())
	b := encode(t, canon.Held{Organisation: o.charter.Organisation(), Signer: node, Amendment: canon.KindAmendment.Digest(amended), Since: now - 3600, Until: now})
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(o.nodes[node], canon.KindHeld.Message(b))}
}

// enactment is the entry that puts an amendment in force.
func (o *organisation) enactment(t *testing.T, amended []byte) []byte {
	t.Helper()
	e := o.proposal(t, amended, allOfficers...)
	e.Step = canon.StepEnact
	for _, name := range nodeNames[:3] {
		e.Held = append(e.Held, o.held(t, amended, name))
	}
	return encode(t, e)
}

// enact puts a change in force at all nodes.
func (w *world) enact(change func(*canon.Genesis)) []byte {
	w.t.Helper()
	entry := w.enactment(w.t, w.amend(w.t, w.nodes["node-1"].chain, change))
	for _, n := range w.nodes {
		n.set(func(n *node) {
			if err := n.enact(entry); err != nil {
				w.t.Fatal(err)
			}
		})
	}
	return entry
}

// follow has the coordinator ask the nodes.
func (w *world) follow(number uint64) {
	w.t.Helper()
	w.service.learnCharters(w.ctx)
	if found := w.service.charter().Number(); found != number {
		w.t.Fatalf("charter: expected number %d, found %d", number, found)
	}
}

// approve has officers approve a withdrawal.
func (w *world) approve(row withdrawal.Withdrawal, officers ...canon.Name) withdrawal.Withdrawal {
	w.t.Helper()
	for _, officer := range officers {
		signed := w.decide(w.t, officer, row.IntentDigest, canon.Approve)
		var err error
		if row, err = w.service.decided(w.ctx, row.IntentDigest, withdrawal.Event{Kind: withdrawal.EventApproval, Approval: &signed}); err != nil {
			w.t.Fatal(err)
		}
	}
	return row
}

func intentOfRow(t *testing.T, row withdrawal.Withdrawal) canon.Intent {
	t.Helper()
	var i canon.Intent
	if err := canon.Decode(row.Intent, &i); err != nil {
		t.Fatal(err)
	}
	return i
}

func TestARaisedLimitIsFollowedAndKeptOverARestart(t *testing.T) {
	w := newWorld(t, "")
	w.fund(500_000_000)
	if row := w.create("before", amount(310_000_000)); row.State != withdrawal.Denied || !hasRule(row, "limit btc-day") {
		t.Fatalf("expected denied by the limit, found %s: %v", row.State, row.Refusals)
	}
	entry := w.enact(raise)
	w.follow(2)
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
	for _, n := range w.nodes {
		n.set(func(n *node) { n.down = true })
	}
	w.close()
	w.open()
	if found := w.service.charter().Number(); found != 2 {
		t.Fatalf("after a restart, all signers down: expected charter 2, found %d", found)
	}
	if stored, err := w.service.Store.CharterEntries(w.ctx); err != nil || len(stored) != 1 || !bytes.Equal(stored[0].Entry, entry) {
		t.Errorf("expected the one entry, found %d, %v", len(stored), err)
	}
	for _, n := range w.nodes {
		n.set(func(n *node) { n.down = false })
	}
	w.learn()
	row := w.create("after", amount(310_000_000))
	if row.State != withdrawal.AwaitingApproval || intentOfRow(t, row).CharterNumber != 2 {
		t.Fatalf("expected an intent under charter 2, found %s: %v", row.State, row.Refusals)
	}
	w.run()
	w.approve(row, "alice", "bob")
	row = w.buried(row.ID)
	if r, err := row.Reserving(); err != nil || r.CharterNumber != 2 || r.Charter != w.service.charter().Digest() {
		t.Errorf("reservation: expected charter 2, found %d, %v", r.CharterNumber, err)
	}
}

func TestALooseningAmendmentVoidsWhatWasDecidedBefore(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000, 50_000_000)
	waiting := w.create("waiting", amount(5_000_000))
	w.approve(waiting, "alice")
	allowed := w.create("allowed", amount(1_000_000))
	if err := w.step(allowed); err != nil { // its transaction is there, and nobody was asked
		t.Fatal(err)
	}
	w.enact(raise) // the signers know first, and refuse
	w.run()
	for id, name := range map[canon.Digest]string{waiting.ID: "waiting", allowed.ID: "allowed"} {
		row := w.await(id, withdrawal.Rejected)
		if !hasRule(row, "charter") {
			t.Errorf("%s: expected rejected by rule charter, found %v", name, row.Refusals)
		}
		if row.AnchorUse() != withdrawal.AnchorNone {
			t.Errorf("%s: expected that nothing holds its anchor, found %d", name, row.AnchorUse())
		}
	}
	w.buried(w.create("again").ID)
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func TestATighteningAmendmentLetsWithdrawalsGoOn(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000, 50_000_000)
	waiting := w.approve(w.create("waiting", amount(5_000_000)), "alice")
	prepared := w.create("prepared", amount(1_000_000))
	if err := w.step(prepared); err != nil {
		t.Fatal(err)
	}
	// The signers are ahead: they refuse the stored reservation, and the coordinator hears why.
	w.enact(lower)
	w.run()
	w.awaitThat(prepared.ID, func(r withdrawal.Withdrawal) bool { return len(r.Earlier) == 1 }, "a reservation under charter 2")
	w.approve(waiting, "bob")
	for _, id := range []canon.Digest{waiting.ID, prepared.ID} {
		row := w.awaitMined(id)
		if found := intentOfRow(t, row).CharterNumber; found != 1 {
			t.Errorf("intent: expected the one of charter 1, found one of %d", found)
		}
		if r, err := row.Reserving(); err != nil || r.CharterNumber != 2 {
			t.Errorf("reservation: expected charter 2, found %d, %v", r.CharterNumber, err)
		}
	}
	if w.bitcoin.sent != 2 {
		t.Errorf("expected two payments, found %d", w.bitcoin.sent)
	}
}

// Signers that lag behind the coordinator refuse; that ends nothing.
func TestSignersThatLagBehindAreWaitedFor(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	entry := w.enactment(t, w.amend(t, w.service.inForce(), lower))
	w.nodes["node-1"].set(func(n *node) {
		if err := n.enact(entry); err != nil {
			t.Fatal(err)
		}
	})
	w.follow(2)
	id := w.create("a").ID
	w.run()
	row := w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return len(r.Refusals) > 0 }, "refusals")
	if row.State != withdrawal.Approved || !strings.Contains(row.Refusals[0].Rule, "charter") {
		t.Fatalf("expected a withdrawal that waits for signers, found %s: %v", row.State, row.Refusals)
	}
	for _, name := range nodeNames[1:] {
		w.nodes[name].set(func(n *node) {
			if err := n.enact(entry); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.buried(id)
}

func TestAForkStopsAndAHealGoesOn(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	row := w.create("a")
	branches := [][]byte{w.amend(t, w.service.inForce(), raise), w.amend(t, w.service.inForce(), lower)}
	for i, b := range branches {
		entry := w.enactment(t, b)
		w.nodes[nodeNames[i]].set(func(n *node) {
			if err := n.enact(entry); err != nil {
				t.Fatal(err)
			}
		})
	}
	w.service.learnCharters(w.ctx)
	if fork, ok := w.service.inForce().Forked(); !ok || fork.Number != 2 || len(fork.Amendments) != 2 {
		t.Fatalf("expected a fork of number 2, found %v, %v", fork, ok)
	}
	if _, _, err := w.service.stepPrepare(w.ctx, row); err == nil || !strings.Contains(err.Error(), "fork") {
		t.Errorf("expected that nothing is built, found %v", err)
	}
	later := w.create("later")
	if later.State != withdrawal.Requested {
		t.Errorf("expected a request that waits, found %s", later.State)
	}
	got, err := strongroomv1.NewOperationServiceClient(w.serve(false).as(rpc.Operator, "ops")).GetStatus(w.ctx, &strongroomv1.GetStatusRequest{})
	if err != nil || !strings.Contains(got.GetChains()[0].GetError(), "fork") {
		t.Errorf("status: expected the fork, found %v, %v", got.GetChains(), err)
	}
	w.close()
	w.open()
	if _, ok := w.service.inForce().Forked(); !ok {
		t.Fatal("after a restart: expected the fork, found none")
	}
	if len(w.all.reserved) != 0 {
		t.Errorf("expected that no signer was asked, found %d reservations", len(w.all.reserved))
	}
	w.heal(branches)
	w.learn()
	w.run()
	if row = w.await(row.ID, withdrawal.Rejected); !hasRule(row, "charter") {
		t.Errorf("expected that the intent of before is void, found %v", row.Refusals)
	}
	w.buried(later.ID)
}

// heal ends a fork at all nodes with the second branch's limits.
func (w *world) heal(branches [][]byte) {
	w.t.Helper()
	heals := []canon.Digest{canon.KindAmendment.Digest(branches[0]), canon.KindAmendment.Digest(branches[1])}
	slices.SortFunc(heals, func(a, b canon.Digest) int { return bytes.Compare(a[:], b[:]) })
	var e canon.CharterEntry
	if err := canon.Decode(w.enactment(w.t, w.amend(w.t, w.service.inForce(), lower, heals...)), &e); err != nil {
		w.t.Fatal(err)
	}
	e.Step = canon.StepHeal
	entries := [][]byte{w.enactment(w.t, branches[0]), w.enactment(w.t, branches[1]), encode(w.t, e)}
	for _, n := range w.nodes {
		n.set(func(n *node) {
			n.entries = nil
			for _, entry := range entries {
				if err := n.enact(entry); err != nil {
					w.t.Fatal(err)
				}
			}
		})
	}
	w.follow(3)
}

// An approval of an officer who is no more would have the signers refuse those of the others too.
func TestApprovalsOfARemovedOfficerAreLeftOut(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	row := w.approve(w.create("a", amount(5_000_000)), "dave", "alice")
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s", row.State)
	}
	without := func(names []canon.Name) []canon.Name {
		return slices.DeleteFunc(slices.Clone(names), func(n canon.Name) bool { return n == "dave" })
	}
	w.enact(func(g *canon.Genesis) {
		g.Groups[0].Members = without(g.Groups[0].Members)
		g.Officers = slices.DeleteFunc(g.Officers, func(o canon.Officer) bool { return o.Name == "dave" })
	})
	w.follow(2)
	if err := w.step(row); err != nil {
		t.Fatal(err)
	}
	row, err := w.service.Store.Withdrawal(w.ctx, row.ID)
	if err != nil || row.State != withdrawal.Rejected || !hasRule(row, "approvals") {
		t.Errorf("one approval of two left: expected rejected, found %s: %v, %v", row.State, row.Refusals, err)
	}
}

func TestApprovalsOfOthersCountBesideARemovedOfficers(t *testing.T) {
	w := newWorld(t, "")
	w.fund(50_000_000)
	row := w.approve(w.create("a", amount(5_000_000)), "dave")
	w.enact(func(g *canon.Genesis) {
		g.Groups[0].Members = g.Groups[0].Members[:3]
		g.Officers = g.Officers[:3]
	})
	w.follow(2)
	w.run()
	w.approve(row, "alice", "bob")
	if found := intentOfRow(t, w.buried(row.ID)).CharterNumber; found != 1 {
		t.Errorf("expected the intent of charter 1, found one of %d", found)
	}
}
