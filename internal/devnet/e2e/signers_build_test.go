//go:build chains

package e2e

import (
	"context"
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// builds: the charter lists the executable that all signers run; one of them runs another. It promises nothing until the charter lists that
// one too.
func (w *world) builds() {
	program := filepath.Join(w.d.Bin, "strongroom-node")
	binary := must(os.ReadFile(program))(w.T)
	patched := filepath.Join(w.TempDir(), "strongroom-node")
	if err := os.WriteFile(patched, append(binary, 0), 0o700); err != nil {
		w.Fatal(err)
	}
	ours, others := canon.Digest(sha256.Sum256(binary)), canon.Digest(sha256.Sum256(append(binary, 0)))
	list := func(digests ...canon.Digest) func(*canon.Genesis) {
		return func(g *canon.Genesis) {
			slices.SortFunc(digests, func(a, b canon.Digest) int { return slices.Compare(a[:], b[:]) })
			g.Builds = digests
		}
	}
	w.enact(w.amend(list(ours)), "alice", "bob")
	w.pays(must(w.paper(small))(w.T))

	p := must(w.paper(small))(w.T)
	evidence, certificate := w.certified(p)
	odd := w.names[3]
	w.replace(odd, patched, "run")
	w.until("the patched signer answers", func(ctx context.Context) (bool, error) {
		r, err := w.signers[odd].GetSignerStatus(ctx, &pb.GetSignerStatusRequest{}, grpc.WaitForReady(true))
		return err == nil && r.GetStatus().GetError() != "", nil // it may be starting
	})
	nothing := w.unsigned(odd)
	q := must(w.build.Question(must(w.paper(small))(w.T)))(w.T)
	acks, errs := w.reserveAt(w.Context(), q, w.names...)
	w.refused("ack of another build", map[canon.Name]error{odd: errs[odd]}, "build", "build")
	if len(acks) != 3 {
		w.Errorf("expected acks of the other three, found %d", len(acks))
	}
	pair := []canon.Name{w.names[2], odd}
	_, errs = w.signAs(w.Context(), map[canon.Name]question{odd: {evidence, certificate, pair, 1}}, true)
	w.refused("signature of another build", errs, "build", "build")
	nothing()

	w.enact(w.amend(list(ours, others)), "alice", "bob")
	w.pays(must(w.paper(small))(w.T))
	evidence, certificate = w.certified(must(w.paper(small))(w.T))
	_, errs = w.sign(evidence, certificate, 1, pair[0], pair[1])
	w.granted("a build that was rolled out", errs)
}
