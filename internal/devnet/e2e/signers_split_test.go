//go:build chains

package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
)

// splits: one withdrawal, approved once; one transaction for two signers, another for the other two. No certificate comes of it, and what
// the signers signed shows who lied.
func (w *world) splits() {
	ctx, nothing := w.Context(), w.unsigned(w.names...)
	first := must(w.paper(large, "alice", "bob"))(w.T)
	second := w.elsewhere(first)
	one, other := must(w.build.Question(first))(w.T), must(w.build.Question(second))(w.T)
	left, right := w.names[:2], w.names[2:]
	acks, errs := w.reserveAt(ctx, one, left...)
	w.granted("first story", errs)
	more, errs := w.reserveAt(ctx, other, right...)
	w.granted("second story", errs)

	_, errs = w.reserveAt(ctx, other, left...)
	w.refused("second story for those who heard the first", errs, "one-anchor", "anchor")
	_, errs = w.reserveAt(ctx, one, right...)
	w.refused("first story for those who heard the second", errs, "one-anchor", "anchor")

	for _, story := range []struct {
		told          hostile.Question
		acks, foreign []canon.Signed
		rid           canon.Digest
	}{{one, inOrder(acks), inOrder(more), other.Rid}, {other, inOrder(more), inOrder(acks), one.Rid}} {
		few := must(w.build.Certificate(story.told.Reservation, story.acks...))(w.T)
		w.refusesToSign("acks of one half", story.told.Evidence, few, "certificate", "certificate.acks")
		for _, mixed := range [][]canon.Signed{append(slices.Clone(story.acks), story.foreign[0]), append(slices.Clone(story.acks), story.foreign...)} {
			forged := must(w.build.Certificate(story.told.Reservation, mixed...))(w.T)
			w.refusesToSign("acks of both halves", story.told.Evidence, forged, "certificate", fmt.Sprintf("certificate.acks[%d].reservation", len(story.acks)))
			w.namesBoth(story.told.Evidence, forged, len(story.acks), story.told.Rid, story.rid)
		}
	}
	nothing()
	maps.Copy(acks, more)
	w.lied(one, other, acks)
}

// namesBoth asks that the refusal of a mixed certificate names the first foreign ack and both reservations.
func (w *world) namesBoth(evidence, certificate []byte, at int, wanted, found canon.Digest) {
	w.Helper()
	for _, name := range w.names {
		_, errs := w.signAs(w.Context(), map[canon.Name]question{name: {evidence, certificate, w.names[:2], 1}}, true)
		r := refusal.Of(rpc.FromStatus(errs[name]))
		if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool {
			return f.Field == fmt.Sprintf("certificate.acks[%d].reservation", at) && f.Expected == wanted.String() && f.Found == found.String()
		}) {
			w.Errorf("%s: expected a refusal that names %s and %s, found %v", name, wanted, found, errs[name])
		}
	}
}

// lied asks that the signers' documents convict whoever asked them: for each of two transactions of one version of one withdrawal there
// are acks of more signers than may be dishonest, given again on demand, kept on the signers' disks, and genuine by the charter alone.
func (w *world) lied(one, other hostile.Question, acks map[canon.Name]canon.Signed) {
	w.Helper()
	var told [2]canon.Reservation
	for i, q := range []hostile.Question{one, other} {
		if err := canon.Decode(q.Reservation, &told[i]); err != nil {
			w.Fatal(err)
		}
	}
	if told[0].Withdrawal != told[1].Withdrawal || told[0].Version != told[1].Version || told[0].Transactions[0] == told[1].Transactions[0] {
		w.Fatalf("expected two transactions of one version of one withdrawal, found %v and %v", told[0], told[1])
	}
	heard := map[canon.Digest]uint64{}
	for name, ack := range acks {
		for _, q := range []hostile.Question{one, other} {
			if by, err := guard.CheckAck(ack, q.Rid, guard.View{Charter: w.chain.Current()}); err == nil && by == name {
				heard[q.Rid]++
				w.keeps(name, q, ack)
			}
		}
	}
	faults := w.chain.Current().Genesis().Roster.Faults
	if heard[one.Rid] <= faults || heard[other.Rid] <= faults {
		w.Errorf("expected acks of more than %d signers for each story, found %d and %d", faults, heard[one.Rid], heard[other.Rid])
	}
}

// keeps asks that a signer gives the same ack again, and has it and what it is about on its disk.
func (w *world) keeps(name canon.Name, q hostile.Question, ack canon.Signed) {
	w.Helper()
	again, errs := w.reserveAt(w.Context(), q, name)
	if errs[name] != nil || !bytes.Equal(again[name].Document, ack.Document) || !bytes.Equal(again[name].Signature, ack.Signature) {
		w.Errorf("%s: expected the same ack when asked again, found another (%v)", name, errs[name])
	}
	var promise, answer bool
	w.ledger(name, func(_ byte, payload []byte) {
		promise = promise || bytes.Contains(payload, q.Reservation)
		answer = answer || bytes.Contains(payload, ack.Document) && bytes.Contains(payload, ack.Signature)
	})
	if !promise || !answer {
		w.Errorf("%s: expected reservation and ack in its ledger, found %v and %v", name, promise, answer)
	}
}

// misleads: a true certificate, with the transaction that it is for to one participant and with others to the other.
func (w *world) misleads() {
	nothing := w.unsigned(w.names...)
	p := must(w.paper(large, "alice", "bob"))(w.T)
	evidence, certificate := w.certified(p)
	attempt := uint64(0)
	for name, told := range map[string]struct {
		paper *hostile.Paper
		field string
	}{
		"the same coin, other change":        {w.again(p, 5000, 1), "reservation.transactions"},
		"the same coin, another fee":         {w.again(p, 8000, 0), "reservation.transactions"},
		"another coin":                       {w.elsewhere(p), "reservation.anchor"},
		"another withdrawal":                 {must(w.paper(large, "alice", "bob"))(w.T), "reservation.withdrawal"},
		"another amount, approved by nobody": {must(w.paper(large + 1))(w.T), "evidence.approvals"},
	} {
		for i, victim := range w.names {
			partner := w.names[(i+1)%len(w.names)]
			pair := []canon.Name{min(victim, partner), max(victim, partner)}
			lie := must(w.build.Question(told.paper))(w.T)
			attempt++
			_, errs := w.signAs(w.Context(), map[canon.Name]question{
				victim: {lie.Evidence, certificate, pair, attempt}, partner: {evidence, certificate, pair, attempt},
			}, false)
			rule := "reservation"
			if told.field == "evidence.approvals" {
				rule = "approvals"
			}
			w.refused(name, map[canon.Name]error{victim: errs[victim]}, rule, told.field)
			if errs[partner] == nil {
				w.Errorf("%s: %s: expected no signature without %s, found one", name, partner, victim)
			}
		}
	}
	nothing()
	w.signedOnce(p, evidence, certificate)
}

// signedOnce has the first two signers sign what is certified, to show that only the lie stood against it.
func (w *world) signedOnce(p *hostile.Paper, evidence, certificate []byte) {
	w.Helper()
	const fresh = 50 // an attempt that nobody used
	answers, errs := w.sign(evidence, certificate, fresh, w.names[0], w.names[1])
	w.granted("the truth for both", errs)
	for _, r := range answers {
		w.completed(p, r)
	}
}

// confuses: participants get true certificates and evidence, but not the same, or not the same session. None of them can tell; they just
// do not find each other.
func (w *world) confuses() {
	nothing := w.unsigned(w.names...)
	versions := must(w.paper(large, "alice", "bob"))(w.T)
	first, firstCertificate := w.certified(versions)
	raised := w.again(versions, 8000, 0)
	raised.Version = 2
	second, secondCertificate := w.certified(raised)

	partners := must(w.paper(large, "alice", "bob"))(w.T)
	evidence, certificate := w.certified(partners)
	q := must(w.build.Question(partners))(w.T)
	acks, errs := w.reserveAt(w.Context(), q, w.names[1:]...)
	w.granted("the same acks again", errs)
	others := must(w.build.Certificate(q.Reservation, inOrder(acks)...))(w.T)

	n := w.names
	cases := map[string]map[canon.Name]question{
		"two versions":       {n[0]: {first, firstCertificate, n[:2], 1}, n[1]: {second, secondCertificate, n[:2], 1}},
		"other participants": {n[0]: {evidence, certificate, n[:2], 1}, n[1]: {evidence, certificate, n[1:3], 1}, n[2]: {evidence, certificate, []canon.Name{n[0], n[2]}, 1}},
		"other attempts":     {n[2]: {evidence, certificate, n[2:], 2}, n[3]: {evidence, certificate, n[2:], 3}},
		"other acks":         {n[2]: {evidence, certificate, n[2:], 4}, n[3]: {evidence, others, n[2:], 4}},
	}
	var group sync.WaitGroup
	for name, questions := range cases {
		group.Go(func() {
			_, errs := w.signAs(w.Context(), questions, true)
			w.silent(name, questions, errs)
		})
	}
	group.Wait()
	nothing()
	_, errs = w.signAs(w.Context(), cases["other attempts"], true)
	w.refused("an attempt that was used up", errs, "attempt", "attempt")

	w.signedOnce(partners, evidence, certificate)
	w.signedOnce(raised, second, secondCertificate)
	_, errs = w.reserveAt(w.Context(), must(w.build.Question(w.elsewhere(versions)))(w.T), n...)
	w.refused("a payment from another coin beside two versions", errs, "one-anchor", "anchor")
	for name, err := range errs {
		if status.Code(err) != codes.FailedPrecondition {
			w.Errorf("%s: expected %s, found %v", name, codes.FailedPrecondition, err)
		}
	}
}
