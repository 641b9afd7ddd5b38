//go:build chains

package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// TestOfficersAgainstCoordinator has somebody at the coordinator's place, with its key, talk to real signers, while officers take what
// stops things to one signer only. The subtests follow each other on one devnet.
func TestOfficersAgainstCoordinator(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	d := up(ctx, t)
	if _, err := d.MakeKeys(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.StopCoordinator(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, d)
	w.pays(must(w.paper(large, "alice", "bob"))(t))
	for _, test := range []struct {
		name string
		run  func(*world)
	}{
		{"amendments that nobody may enact", (*world).badAmendments},
		{"loosening beside tightening, vetoed", (*world).mixedAmendment},
		{"two amendments of one number", (*world).rivals},
		{"amendments of the past", (*world).rollback},
		{"one officer with two keys, and a client who would approve", (*world).twoKeys},
		{"approved, then rejected by the same officer", (*world).rejects},
		{"approvals that end between reservation and signature", (*world).expires},
		{"freeze under load", (*world).freezes},
		{"officer who was removed", (*world).removed},
		{"held by too few", (*world).heldTooLittle},
		{"approval by a key that was revoked", (*world).revoked},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(w.under(t)) })
	}
}

// rejects: whoever rejected does not approve any more, whatever the coordinator shows.
func (w *world) rejects() {
	p := must(w.paper(large))(w.T)
	digest := must(p.IntentDigest())(w.T)
	w.tell("node-3", "bob", w.say("bob", canon.StateReject, digest))
	if err := w.approve(p, canon.TimeOf(time.Now())+1200, "bob", "alice", "carol"); err != nil {
		w.Fatal(err)
	}
	w.refusesToReserve("rejected, then approved by the same officer and two others", p, "approvals", "evidence.statements")
	evidence, certificate := w.certified(must(w.paper(large, "alice", "carol"))(w.T))
	q := must(w.build.Question(p))(w.T)
	w.refusesToSign("rejected, with acks for another withdrawal", q.Evidence, certificate, "approvals", "evidence.statements")

	// The other one was acked by all; it is stopped all the same, told to one signer.
	var c canon.Certificate
	var r canon.Reservation
	if err := canon.Decode(certificate, &c); err != nil {
		w.Fatal(err)
	}
	if err := canon.Decode(c.Reservation, &r); err != nil {
		w.Fatal(err)
	}
	w.tell("node-2", "carol", w.say("carol", canon.StateReject, r.Withdrawal))
	w.refusesToSign("acked by all, then rejected", evidence, certificate, "approvals", "evidence.statements")
}

// twoKeys: an officer with a second key, which the charter gives him, is one person still. A client's key is no officer's: no charter
// gives it to one, so nobody approves what he asked for himself.
func (w *world) twoKeys() {
	_, second, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: second}); err != nil {
		w.Fatal(err)
	}
	public := must(ssh.NewPublicKey(second.Public()))(w.T)
	key := must(approval.FromAgent(ring, public.Marshal()))(w.T)
	give := func(public []byte) *canon.Amendment {
		return w.amend(func(g *canon.Genesis) {
			for i, o := range g.Officers {
				if o.Name == "alice" {
					g.Officers[i].Keys = append(slices.Clone(o.Keys), canon.OfficerKey{Public: public, Class: canon.ClassFile})
				}
			}
		})
	}
	w.enact(give(key.Public()), "alice", "bob")
	p := must(w.paper(large, "alice"))(w.T)
	other := must(w.approval(key, "alice", canon.ObjectIntent, must(p.IntentDigest())(w.T), canon.TimeOf(time.Now())+1200))(w.T)
	p.Approvals = append(p.Approvals, other)
	w.refusesToReserve("one officer with two keys", p, "approvals", "evidence.approvals")

	client := must(ssh.NewPublicKey(ed25519.PublicKey(p.Request.Requester[:])))(w.T)
	errs := w.submit(w.proposed(give(client.Marshal()), "alice", "bob"), w.names...)
	w.refused("client's key for an officer", errs, "keys", "clients")
	own := must(w.paper(large, "alice"))(w.T)
	document := must(w.approval(w.build.Client, "alice", canon.ObjectIntent, must(own.IntentDigest())(w.T), canon.TimeOf(time.Now())+1200))(w.T)
	own.Approvals = append(own.Approvals, document)
	w.refusesToReserve("client who approves his own request in an officer's name", own, "approval", "approvals[1].signature")
	w.pays(must(w.paper(large, "alice", "bob"))(w.T))
}

// expires: what was approved and acked in time is not signed after its time.
func (w *world) expires() {
	p := must(w.paper(large))(w.T)
	end := canon.TimeOf(time.Now()) + 10
	if err := w.approve(p, end, "alice", "bob"); err != nil {
		w.Fatal(err)
	}
	p.Until = end + 1
	w.refusesToReserve("reservation that outlives the approvals", p, "expiry", "reservation.until")
	p.Until = end
	evidence, certificate := w.certified(p)
	other := must(w.paper(large, "alice", "bob"))(w.T)
	other.Until = end
	otherEvidence, otherCertificate := w.certified(other)

	over, cancel := context.WithDeadline(w.Context(), (end + 1).At())
	defer cancel()
	<-over.Done()
	w.refusesToSign("approvals that ended since the acks", evidence, certificate, "approvals", "evidence.approvals")
	w.refusesToSign("reservation that ended since the acks", otherEvidence, otherCertificate, "expiry", "reservation.until")
}

// removed: an officer who is no officer any more says nothing that counts, and his device is a stranger.
func (w *world) removed() {
	p := must(w.paper(large, "alice", "carol"))(w.T) // approved while both were officers
	freeze := w.say("carol", canon.StateFreeze, w.chain.Current().Organisation())
	a := w.amend(func(g *canon.Genesis) {
		g.Officers = without(g.Officers, func(o canon.Officer) bool { return o.Name == "carol" })
		for i := range g.Groups {
			g.Groups[i].Members = without(g.Groups[i].Members, func(n canon.Name) bool { return n == "carol" })
		}
	})
	w.enact(a, "alice", "bob")

	w.refusesToReserve("approval by an officer who was removed since", p, "approval", "approvals[1].officer")
	now := must(w.paper(large, "alice", "carol"))(w.T)
	w.refusesToReserve("approval by an officer who was removed before", now, "approval", "approvals[1].officer")
	for what, devices := range map[string]map[canon.Name]pb.OfficerServiceClient{"connected before": w.devices["carol"], "connecting now": w.device("carol")} {
		_, errs := each(w.names, func(n canon.Name) (*pb.SubmitSignerStatementResponse, error) {
			ctx, cancel := context.WithTimeout(w.Context(), patience)
			defer cancel()
			return devices[n].SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{Statement: onWire(freeze)})
		})
		for name, err := range errs {
			if c := status.Code(err); c != codes.Unauthenticated && c != codes.Unavailable {
				w.Errorf("device of a removed officer, %s: %s: expected it to be turned away, found %v", what, name, err)
			}
		}
	}
	_, errs := each(w.names, func(n canon.Name) (*pb.SubmitSignerStatementResponse, error) {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		return w.devices["alice"][n].SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{Statement: onWire(freeze)})
	})
	w.refused("statement of a removed officer", errs, "statement", "officer")
	w.pays(must(w.paper(large, "alice", "bob"))(w.T))
}

// revoked: one officer too few, and a key that its owner revoked, told to one signer.
func (w *world) revoked() {
	p := must(w.paper(large, "alice", "bob"))(w.T)
	evidence, certificate := w.certified(must(w.paper(large, "alice", "bob"))(w.T))
	w.tell("node-4", "bob", w.say("bob", canon.StateRevoke, approval.KeyDigest(w.build.Officers["bob"].Public())))
	w.refusesToReserve("one officer and a revoked key", p, "approvals", "evidence.approvals")
	w.refusesToReserve("one officer twice", must(w.paper(large, "alice", "alice"))(w.T), "approvals", "evidence.approvals")
	w.refusesToSign("acked by all before the key was revoked", evidence, certificate, "approvals", "evidence.approvals")

	_, errs := each(w.names, func(n canon.Name) (*pb.SubmitSignerStatementResponse, error) {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		return w.devices["alice"][n].SubmitSignerStatement(ctx, &pb.SubmitSignerStatementRequest{
			Statement: onWire(w.say("bob", canon.StateFreeze, w.chain.Current().Organisation()))})
	})
	w.refused("statement by a revoked key", errs, "statement", "signature")
}
