package coordinator

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestASignerThatLiesChangesNothing(t *testing.T) {
	w := newWorld(t, "")
	honest := w.amend(t, w.service.inForce(), raise)
	forge := func(change func(*canon.CharterEntry)) []byte {
		var e canon.CharterEntry
		if err := canon.Decode(w.enactment(t, honest), &e); err != nil {
			t.Fatal(err)
		}
		change(&e)
		return encode(t, e)
	}
	lies := map[string][]byte{
		"garbage":            []byte("garbage"),
		"too few signers":    forge(func(e *canon.CharterEntry) { e.Held = e.Held[:2] }),
		"one signer thrice":  forge(func(e *canon.CharterEntry) { e.Held[1], e.Held[2] = e.Held[0], e.Held[0] }),
		"a forged signer":    forge(func(e *canon.CharterEntry) { e.Held[2].Signature[5] ^= 1 }),
		"too few officers":   forge(func(e *canon.CharterEntry) { e.Approvals = e.Approvals[:2] }),
		"a forged officer":   forge(func(e *canon.CharterEntry) { e.Approvals[2].Signature[40] ^= 1 }),
		"another amendment":  forge(func(e *canon.CharterEntry) { e.Amendment = w.amend(t, w.service.inForce(), lower) }),
		"only proposed":      encode(t, w.proposal(t, honest, allOfficers...)),
		"other organisation": forge(func(e *canon.CharterEntry) { e.Organisation[0] ^= 1 }),
	}
	for name, lie := range lies {
		w.nodes["node-1"].set(func(n *node) { n.entries = [][]byte{lie} })
		if w.service.learnCharters(w.ctx) || w.service.charter().Number() != 1 {
			t.Errorf("%s: expected that nothing changes, found charter %d", name, w.service.charter().Number())
		}
	}
	if stored, err := w.service.Store.CharterEntries(w.ctx); err != nil || len(stored) != 0 {
		t.Errorf("expected nothing stored, found %d, %v", len(stored), err)
	}
	// What others say is heard beside it.
	w.nodes["node-2"].set(func(n *node) { n.entries = [][]byte{w.enactment(t, honest)} })
	w.follow(2)
}

func TestSignersFollowTheCharter(t *testing.T) {
	w := newWorld(t, "")
	key := newKey(t)
	w.enact(func(g *canon.Genesis) {
		s := g.Signers[0]
		s.Name, s.Operator, s.Identity, s.Ledger = "node-5", "operator-e", public(key), false
		g.Signers = append(g.Signers, s)
	})
	w.follow(2)
	w.service.signers.probe(w.ctx, w.service.members(), w.service.keys.learn)
	if st := w.service.signers.status("node-5"); st.GetReachable() || !strings.Contains(st.GetError(), "address in the configuration") {
		t.Errorf("node-5: expected it out of reach for want of an address, found %v", st)
	}
	w.nodes["node-5"] = w.all.node("node-5")
	w.service.signers.probe(w.ctx, w.service.members(), w.service.keys.learn)
	if st := w.service.signers.status("node-5"); !st.GetReachable() {
		t.Errorf("node-5: expected it within reach, found %v", st)
	}
	if _, err := w.service.signers.open("node-9"); status.Code(err) != codes.Unavailable {
		t.Errorf("expected that no stranger is asked, found %v", err)
	}
}

func TestTheCharterOverTheAPI(t *testing.T) {
	w := newWorld(t, "")
	e := w.serve(false)
	officer := strongroomv1.NewCharterServiceClient(e.as(rpc.Officer, "alice"))
	amended := w.amend(t, w.service.inForce(), raise)
	digest := canon.KindAmendment.Digest(amended)
	submit := func(entry []byte) (*strongroomv1.SubmitCharterEntryResponse, error) {
		return officer.SubmitCharterEntry(w.ctx, &strongroomv1.SubmitCharterEntryRequest{Entry: entry})
	}
	if _, err := submit([]byte("garbage")); refusal.Of(err) == nil {
		t.Errorf("garbage: expected a refusal, found %v", err)
	}
	if _, err := submit(encode(t, w.proposal(t, amended, "alice"))); refusal.Of(err) == nil || status.Code(err) != codes.InvalidArgument {
		t.Errorf("one approval: expected what the signers refused, found %v", err)
	}
	if got, err := submit(encode(t, w.proposal(t, amended, allOfficers...))); err != nil || got.GetNumber() != 1 || got.GetRecordedBy() != "" {
		t.Fatalf("proposal: expected charter 1 in force, found %v, %v", got, err)
	}
	statement := encode(t, canon.Statement{Organisation: w.charter.Organisation(), Officer: "carol", Serial: 1, Verb: canon.StateVeto, Object: digest})
	veto, err := w.officers["carol"].Sign(canon.KindStatement, statement, approval.NamespaceApproval)
	if err != nil {
		t.Fatal(err)
	}
	forged := canon.Signed{Document: veto.Document, Scheme: veto.Scheme, Signature: append([]byte{}, veto.Signature...)}
	forged.Signature[40] ^= 1
	w.nodes["node-2"].set(func(n *node) { n.pending[0].Vetoes = toSigneds([]canon.Signed{veto, forged}) })
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) {
			n.pending[0].Held = toSigneds([]canon.Signed{w.held(t, amended, name), {Document: []byte("x"), Scheme: canon.Ed25519, Signature: make([]byte, 64)}})
		})
	}
	w.nodes["node-3"].set(func(n *node) { n.pending[0].Entry = []byte("garbage") })
	w.service.learnCharters(w.ctx)
	got, err := strongroomv1.NewCharterServiceClient(e.as(rpc.Custodian, "acme")).GetCharterChain(w.ctx, &strongroomv1.GetCharterChainRequest{})
	if err != nil || len(got.GetProposals()) != 1 || len(got.GetEnacted()) != 0 || got.GetHead() != nil {
		t.Fatalf("expected one proposal, found %v, %v", got, err)
	}
	p := got.GetProposals()[0]
	if p.GetDigest() != digest.String() || len(p.GetHeld()) != 2 || len(p.GetVetoes()) != 1 || !p.GetReadyTime().IsValid() {
		t.Errorf("expected the union of what verifies, found %v", p)
	}
	if got, err := submit(w.enactment(t, amended)); err != nil || got.GetNumber() != 2 || got.GetDigest() != digest.String() {
		t.Errorf("enactment: expected charter 2 in force, found %v, %v", got, err)
	}
	if got, err = officer.GetCharterChain(w.ctx, &strongroomv1.GetCharterChainRequest{FromNumber: 2}); err != nil || len(got.GetEnacted()) != 1 || len(got.GetProposals()) != 0 {
		t.Errorf("expected the one entry and no proposal, found %v, %v", got, err)
	}
}

func TestAKeyOfANewEpochIsLearntAnew(t *testing.T) {
	w := newWorld(t, "")
	w.learn()
	w.enact(func(g *canon.Genesis) { g.Keys[0].Epoch = 2 })
	w.follow(2)
	if _, ok := w.service.keys.key("hot"); ok {
		t.Error("expected no key of epoch 2 before a holder named one, found one")
	}
	said := w.nodes["node-1"].status()
	said.Epoch = 2
	for i, name := range nodeNames[:2] {
		w.service.keys.learn(name, []*strongroomv1.KeyStatus{said})
		if g, ok := w.service.keys.key("hot"); ok != (i == 1) || ok && g.Epoch != 2 {
			t.Errorf("after %d answers: expected known %v, found %v, epoch %d", i+1, i == 1, ok, g.Epoch)
		}
	}
}

// A branch that left the history before the charter in force is noticed: its end does not fit, and the whole of it does.
func TestABranchFromLongAgoIsAFork(t *testing.T) {
	w := newWorld(t, "")
	lowerTo := func(n uint64) func(*canon.Genesis) {
		return func(g *canon.Genesis) { g.Limits[0].Amount = canon.AmountOf(n) }
	}
	for i, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) {
			for step := range uint64(2) {
				if err := n.enact(w.enactment(t, w.amend(t, n.chain, lowerTo(2e8-10*step-uint64(i))))); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	w.nodes["node-2"].set(func(n *node) { n.down = true })
	w.follow(3)
	w.nodes["node-2"].set(func(n *node) { n.down = false })
	w.service.learnCharters(w.ctx)
	if fork, ok := w.service.inForce().Forked(); !ok || fork.Number != 2 {
		t.Errorf("expected a fork of number 2, found %v, %v", fork, ok)
	}
}
