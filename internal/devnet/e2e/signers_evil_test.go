//go:build chains

package e2e

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/internal/devnet/process"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// replace runs another program in a signer's place, with the signer's configuration, token and disk, until the test ends, and waits until it listens.
func (w *world) replace(signer canon.Name, program string, args ...string) {
	w.Helper()
	n := w.d.Node(string(signer))
	w.d.KillNode(n)
	p, err := process.Start("in-place-of-"+n.Name, n.Dir, []string{pkcs11.SoftHSMConf + "=" + n.Conf}, program, append(args, "--config", filepath.Join(n.Dir, "node.toml"))...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(p.Kill)
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	if err := p.Await(ctx, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.Address)
		if err == nil {
			err = conn.Close()
		}
		return err
	}); err != nil {
		w.Fatal(err)
	}
}

// betrayal is an evil signer among honest ones. The evil one's name is the last in order.
type betrayal struct {
	*world
	evil    canon.Name
	honest  []canon.Name
	attempt uint64 // used last
}

// betrays: one signer of four runs another binary, and its operator has the coordinator's key. A quorum of acks takes two honest ones, and
// a signature an honest participant.
func (w *world) betrays() {
	b := w.betrayed()
	evil, honest := b.evil, b.honest
	nothing := w.unsigned(honest...)
	b.forges()
	b.swaps(honest[0])
	b.conceals()
	nothing()

	// It is a true signer all the same: with everybody's consent its shares are as good as the others'.
	paper := must(w.paper(large, "alice", "bob"))(w.T)
	evidence, certificate := w.certified(paper)
	answers, errs := w.sign(evidence, certificate, 1, honest[2], evil)
	w.granted("honest payment with the evil signer", errs)
	for _, r := range answers {
		w.completed(paper, r)
	}
	w.pays(must(w.paper(small))(w.T))
}

// betrayed puts an evil signer in the place of the last.
func (w *world) betrayed() *betrayal {
	w.Helper()
	program := filepath.Join(w.TempDir(), "evil")
	cmd := exec.Command("go", "build", "-o", program, "./internal/devnet/evil")
	cmd.Dir = "../../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		w.Fatalf("go build: %v\n%s", err, out)
	}
	b := &betrayal{world: w, evil: w.names[3], honest: w.names[:3]}
	w.replace(b.evil, program)
	return b
}

// thefts returns withdrawals that the others must refuse, and what their refusals name.
func (w *world) thefts() map[string]theft {
	w.Helper()
	return map[string]theft{
		"approved by nobody":       {must(w.paper(large))(w.T), "approvals", "evidence.approvals"},
		"paid to somebody else":    {stolen(must(w.paper(large, "alice", "bob"))(w.T)), "outputs", "outputs[0].address"},
		"approved by one, counted": {must(w.paper(large, "alice", "alice"))(w.T), "approvals", "evidence.approvals"},
	}
}

type theft struct {
	paper       *hostile.Paper
	rule, field string
}

// stolen returns the withdrawal with its payment to somebody else.
func stolen(p *hostile.Paper) *hostile.Paper {
	q := p.Clone()
	q.Bitcoin.TxOut[0].PkScript = append([]byte{0, 20}, make([]byte, 20)...)
	return q
}

// forges: the evil signer acks what the others refuse to, in everybody's name, and begins sessions on that.
func (b *betrayal) forges() {
	b.Helper()
	_, certificate := b.certified(must(b.paper(large, "alice", "bob"))(b.T))
	var genuine canon.Certificate
	if err := canon.Decode(certificate, &genuine); err != nil {
		b.Fatal(err)
	}
	for name, t := range b.thefts() {
		q := must(b.build.Question(t.paper))(b.T)
		acks, errs := b.reserveAt(b.Context(), q, b.names...)
		if errs[b.evil] != nil || len(acks) != 1 {
			b.Fatalf("%s: expected the evil signer's ack alone, found %d (%v)", name, len(acks), errs[b.evil])
		}
		delete(errs, b.evil)
		b.refused(name, errs, t.rule, t.field)
		own := acks[b.evil]
		for forgery, f := range map[string]struct {
			acks  []canon.Signed
			field string
		}{
			"one ack":                      {[]canon.Signed{own}, "certificate.acks"},
			"one ack three times":          {[]canon.Signed{own, own, own}, "certificate.acks[1].signer"},
			"acks in others' names":        {b.poses(q, own), "certificate.acks[1].signature"},
			"acks for another reservation": {append(slices.Clone(genuine.Acks[:2]), own), "certificate.acks[0].reservation"},
		} {
			b.begins(name+", "+forgery, q.Evidence, must(b.build.Certificate(q.Reservation, f.acks...))(b.T), "certificate", f.field)
		}
		b.begins(name+", a true certificate for something else", q.Evidence, certificate, t.rule, t.field)
	}
}

// poses returns the evil signer's acks in its own name and those of enough others.
func (b *betrayal) poses(q hostile.Question, own canon.Signed) []canon.Signed {
	b.Helper()
	posed := []canon.Signed{own}
	for _, as := range b.honest[:2] {
		acks, errs := b.reserveAt(metadata.AppendToOutgoingContext(b.Context(), "ack-as", string(as)), q, b.evil)
		b.granted("ack in the name of "+string(as), errs)
		posed = append(posed, acks[b.evil])
	}
	return posed
}

// begins has the evil signer begin a session with each honest one, which must refuse before it has a session at all. The evil ones wait for
// the honest one's first message in vain.
func (b *betrayal) begins(attack string, evidence, certificate []byte, rule, field string) {
	b.Helper()
	before := map[canon.Name]int{}
	for _, victim := range b.honest {
		before[victim] = b.recorded(victim)[began]
	}
	b.attempt++
	ctx := metadata.AppendToOutgoingContext(b.Context(), "patience", "1s")
	refusals, errs := each(b.honest, func(victim canon.Name) (error, error) {
		questions := map[canon.Name]question{}
		for _, name := range []canon.Name{victim, b.evil} {
			questions[name] = question{evidence, certificate, []canon.Name{victim, b.evil}, b.attempt}
		}
		_, errs := b.signAs(ctx, questions, true)
		return errs[victim], errs[b.evil]
	})
	b.refused(attack, refusals, rule, field)
	for victim, err := range errs {
		if found := b.recorded(victim)[began]; found != before[victim] {
			b.Errorf("%s: %s: expected no session to begin, found %d", attack, victim, found-before[victim])
		}
		if want := "round 1: awaiting sign/1/mta from " + string(victim); status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), want) {
			b.Errorf("%s: %s: expected the session to end in %q, found %v", attack, b.evil, want, err)
		}
	}
}

// swaps: certificate and evidence are true, but the evil participant signs another transaction in the same session.
func (b *betrayal) swaps(victim canon.Name) {
	b.Helper()
	p := must(b.paper(large, "alice", "bob"))(b.T)
	evidence, certificate := b.certified(p)
	other := must(b.build.Question(stolen(p)))(b.T)
	pair := []canon.Name{victim, b.evil}
	answers, errs := b.signAs(b.Context(), map[canon.Name]question{victim: {evidence, certificate, pair, 100}, b.evil: {other.Evidence, certificate, pair, 100}}, true)
	// Whoever hears the other first finds that it signs something else, and gives up.
	if err := errs[victim]; status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), "mpc: round 1: ") {
		b.Errorf("%s: expected the session to end in round 1, found %v", victim, err)
	}
	if errs[b.evil] == nil || answers[b.evil] != nil {
		b.Errorf("expected no signature for %s, found %v", b.evil, answers[b.evil])
	}
	b.begins("a true certificate for another transaction", other.Evidence, certificate, "outputs", "outputs[0].address")
}

// conceals: an officer tells one honest signer, and the evil one passes nothing on.
func (b *betrayal) conceals() {
	b.Helper()
	p := must(b.paper(large, "alice", "bob"))(b.T)
	evidence, certificate := b.certified(p)
	rejection := b.say("carol", canon.StateReject, must(p.IntentDigest())(b.T))
	if _, err := b.devices["carol"][b.honest[1]].SubmitSignerStatement(b.Context(), &pb.SubmitSignerStatementRequest{Statement: onWire(rejection)}); err != nil {
		b.Fatal(err)
	}
	for _, name := range b.honest {
		b.heard(name, rejection)
	}
	b.begins("rejected since", evidence, certificate, "approvals", "evidence.statements")
}
