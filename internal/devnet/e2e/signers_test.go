//go:build chains

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/wire"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// TestSignersAgainstCoordinator has somebody at the coordinator's place, with its key, tell real signers different stories, send them what
// is no document, and at last work together with one of them. The subtests follow each other on one devnet; the last ones leave a signer dead.
func TestSignersAgainstCoordinator(t *testing.T) {
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
	for _, test := range []struct {
		name string
		run  func(*world)
	}{
		{"two transactions of one withdrawal for two halves of the signers", (*world).splits},
		{"a true certificate and another transaction for one participant", (*world).misleads},
		{"participants that were told different things", (*world).confuses},
		{"transactions that do more than was approved", (*world).disguises},
		{"true approvals, used for something else", (*world).replays},
		{"documents of another form", (*world).malformed},
		{"messages beyond the size", (*world).oversized},
		{"an address that is new, or gone", (*world).coolsDown},
		{"one signer runs another executable", (*world).builds},
		{"one signer approves everything", (*world).betrays},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(w.under(t)) })
	}
}

// logTroubles prints the processes' warnings and errors after a test that failed.
func logTroubles(t *testing.T, d *devnet.Devnet) {
	if !t.Failed() {
		return
	}
	for name, text := range d.Texts() {
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"level":"WARN"`) || strings.Contains(line, `"level":"ERROR"`) {
				t.Logf("%s: %s", name, line)
			}
		}
	}
}

// again returns the same withdrawal with another transaction that spends the same coin, at that fee rate and with that change address.
func (w *world) again(p *hostile.Paper, rate int64, change uint64) *hostile.Paper {
	w.Helper()
	q := p.Clone()
	from := p.Bitcoin.TxIn[0].PreviousOutPoint
	before, _, err := bitcoin.ParsePrevious(p.Previous[0])
	if err != nil {
		w.Fatal(err)
	}
	out := before.TxOut[from.Index]
	coin := bitcoin.Coin{Outpoint: from, Value: out.Value, Script: out.PkScript, Previous: p.Previous[0], Account: p.Inputs[0].Account}
	if err := w.build.Spend(q, coin, rate, change); err != nil {
		w.Fatal(err)
	}
	if _, err := w.build.Check(q); err != nil {
		w.Fatalf("transaction made again: expected the guard to accept it, found %v", err)
	}
	return q
}

// elsewhere returns the same withdrawal, paid from another coin.
func (w *world) elsewhere(p *hostile.Paper) *hostile.Paper {
	w.Helper()
	q := p.Clone()
	coin := must(w.coin(p.Request, p.Request.Outputs[0].Amount.Int().Int64()+1_000_000))(w.T)
	if err := w.build.Spend(q, coin, 5000, 0); err != nil {
		w.Fatal(err)
	}
	return q
}

// reserveAt asks some signers for their acks.
func (w *world) reserveAt(ctx context.Context, q hostile.Question, names ...canon.Name) (map[canon.Name]canon.Signed, map[canon.Name]error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answers, errs := each(names, func(name canon.Name) (*pb.ReserveResponse, error) {
		return w.signers[name].Reserve(ctx, &pb.ReserveRequest{Evidence: q.Evidence, Reservation: q.Reservation})
	})
	acks := map[canon.Name]canon.Signed{}
	for name, err := range errs {
		if err == nil {
			acks[name] = fromWire(answers[name].GetAck())
		}
	}
	return acks, errs
}

// inOrder returns the acks in the order of the signers' names.
func inOrder(acks map[canon.Name]canon.Signed) []canon.Signed {
	var all []canon.Signed
	for _, name := range slices.Sorted(maps.Keys(acks)) {
		all = append(all, acks[name])
	}
	return all
}

// question is what one participant is asked.
type question struct {
	evidence, certificate []byte
	participants          []canon.Name
	attempt               uint64
}

// signAs asks each participant its own question. Unless all are to be waited for, the first refusal ends the others' calls, for they wait
// in vain.
func (w *world) signAs(ctx context.Context, questions map[canon.Name]question, all bool) (map[canon.Name]*pb.SignResponse, map[canon.Name]error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return each(slices.Sorted(maps.Keys(questions)), func(name canon.Name) (*pb.SignResponse, error) {
		q := questions[name]
		r, err := w.signers[name].Sign(ctx, &pb.SignRequest{Evidence: q.evidence, Certificate: q.certificate, Participants: texts(q.participants), Attempt: q.attempt})
		if !all && refusal.Of(rpc.FromStatus(err)) != nil {
			cancel()
		}
		return r, err
	})
}

func texts(names []canon.Name) []string {
	var all []string
	for _, n := range names {
		all = append(all, string(n))
	}
	return all
}

// began is the kind of the ledger's record that a signing session begins with.
const began = 5

// recorded counts the records of a signer's ledger by kind.
func (w *world) recorded(signer canon.Name) map[byte]int {
	w.Helper()
	count := map[byte]int{}
	w.ledger(signer, func(kind byte, _ []byte) { count[kind]++ })
	return count
}

// ledger walks over a signer's ledger, which it verifies first. The signer may be at work.
func (w *world) ledger(signer canon.Name, visit func(kind byte, payload []byte)) {
	w.Helper()
	dir := filepath.Join(w.d.Node(string(signer)).Dir, "data", "ledger")
	must(ledger.Verify(dir))(w.T)
	if err := records(must(os.ReadFile(filepath.Join(dir, "records")))(w.T), visit); err != nil {
		w.Fatalf("%s: %v", signer, err)
	}
}

// unsigned notes how often each signer has committed to a signature, and returns a check that none has done so since.
func (w *world) unsigned(names ...canon.Name) (check func()) {
	w.Helper()
	before := map[canon.Name]int{}
	for _, name := range names {
		before[name] = w.recorded(name)[committed]
	}
	return func() {
		w.Helper()
		for _, name := range names {
			if found := w.recorded(name)[committed]; found != before[name] {
				w.Errorf("%s: expected no more than %d commitments to signatures, found %d", name, before[name], found)
			}
		}
	}
}

// silent asks that no participant refused, and that each gave up because the others did not come to its session.
func (w *world) silent(attack string, questions map[canon.Name]question, errs map[canon.Name]error) {
	w.Helper()
	for name, err := range errs {
		others := without(questions[name].participants, func(n canon.Name) bool { return n == name })
		want := fmt.Sprintf("round 1: awaiting sign/1/mta from %s", strings.Join(texts(others), ", "))
		if status.Code(err) != codes.Aborted || !strings.Contains(err.Error(), want) {
			w.Errorf("%s: %s: expected it to end in %q, found %v", attack, name, want, err)
		}
	}
}

// completed puts the answer's signatures into the transaction and has the rules of the chain check it.
func (w *world) completed(p *hostile.Paper, r *pb.SignResponse) *wire.MsgTx {
	w.Helper()
	var inputs []bitcoin.SignedInput
	for i, s := range r.GetSignatures() {
		inputs = append(inputs, bitcoin.SignedInput{Keys: [][33]byte{[33]byte(r.GetPublicKeys()[i])}, Signatures: [][64]byte{[64]byte(s)}})
	}
	return must(bitcoin.Finalise(p.Bitcoin, must(bitcoin.Prevouts(p.Bitcoin, p.Previous))(w.T), inputs))(w.T)
}
