package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/internal/cli/clitest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func TestOfficersHearOfAnAmendmentThatTheCoordinatorWithholds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	p := all["bob"]
	file := w.draft(t, p, tighter...)
	w.propose(t, all, file)
	if err := enact(t, p, amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
	w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
	approve := func(ctx context.Context, s *cli.Session) error {
		return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
	}
	// A coordinator that serves a shortened chain: the signers' entries are enough.
	cut := func(r *pb.GetCharterChainResponse) { r.Enacted = nil }
	w.coordinator.Amendments.Spoil = cut
	if err := p.run(t, func(_ context.Context, s *cli.Session) error { return s.CharterHistory("") }); err != nil || !strings.Contains(p.out.String(), "   2  ") {
		t.Errorf("expected charter number 2 from the signers, found %v and:\n%s", err, p.out)
	}
	// Nobody shows the entry, but a signer's head tells of it.
	for _, name := range clitest.Nodes {
		w.nodes[name].Amendments.Spoil = cut
	}
	err := p.run(t, approve)
	if cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "node-1 signed that charter number 2") || len(w.coordinator.Approvals) != 0 {
		t.Errorf("expected a refusal that names the head, found %v", err)
	}
	if !strings.Contains(p.err.String(), "WARNING: node-1 signed that charter number 2") {
		t.Errorf("expected a warning, found %s", p.err)
	}
	if err := sign(t, p, file, "2"); cli.ExitCode(err) != cli.ExitRefused {
		t.Errorf("expected no amendment to be signed in doubt, found %v", err)
	}
	if err := p.run(t, func(ctx context.Context, s *cli.Session) error { return s.Freeze(ctx, "no charter", true) }); err != nil {
		t.Errorf("expected a freeze to go through in doubt, found %v", err)
	}
}

func TestForgedChainsAreNotFollowed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	p := all["alice"]
	file := w.draft(t, p, tighter...)
	w.propose(t, all, file)
	digest := must[canon.Digest](t)(canon.ParseDigest(amendmentOf(t, file)))
	proposal, ok := w.nodes["node-1"].Amendments.Chain().Proposal(digest)
	if !ok {
		t.Fatal("expected node-1 to know the proposal")
	}
	// Two signers' words where it takes three, and one of them twice.
	var held []canon.Signed
	for _, name := range []string{"node-1", "node-2", "node-2"} {
		held = append(held, clitest.SignAs(name, canon.Held{Organisation: w.Charter.Organisation(), Signer: canon.Name(name), Amendment: digest,
			Since: canon.TimeOf(noon), Until: canon.TimeOf(noon)}))
	}
	forged := must[[]byte](t)(proposal.Entry(held))
	w.coordinator.Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
		r.Enacted = [][]byte{forged, []byte("no entry"), forged}
		r.Proposals = append(r.Proposals, &pb.PendingAmendment{Entry: forged}, &pb.PendingAmendment{}, nil)
	}
	if err := p.run(t, func(_ context.Context, s *cli.Session) error { return s.CharterHistory("") }); err != nil || strings.Contains(p.out.String(), "   2  ") {
		t.Errorf("expected the genesis alone, found %v and:\n%s", err, p.out)
	}
	if strings.Count(p.err.String(), "WARNING: coordinator served an amendment that does not verify") != 2 {
		t.Errorf("expected two warnings, found %s", p.err)
	}
	// A head under another signer's key, and one of another name, tell nothing.
	w.nodes["node-3"].Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
		r.Head = clitest.Wire(clitest.SignAs("node-2", canon.Head{Organisation: w.Charter.Organisation(), Signer: "node-3", Number: 9}))
	}
	w.nodes["node-4"].Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
		r.Head = clitest.Wire(clitest.SignAs("node-2", canon.Head{Organisation: w.Charter.Organisation(), Signer: "node-2", Number: 9}))
	}
	if err := p.run(t, func(_ context.Context, s *cli.Session) error { return s.CharterHistory("") }); err != nil || strings.Count(p.err.String(), "a head that does not verify") != 2 {
		t.Errorf("expected two heads to be passed over with a warning, found %v and %s", err, p.err)
	}
}

// One signer's word that another charter is in force, of which it shows no entry, stops nobody; that of f+1 stops everybody.
func TestAHeadThatNothingProvesTakesMoreSignersThanMayLie(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ number, other uint64 }{"a higher number": {9, 9}, "another branch": {1, 1}, "one of each": {9, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			intent := w.intent(t, w.request(t, "r-1", "btc-hot", clitest.Pay{To: known, Amount: "0.5 BTC"}))
			w.coordinator.Pending = []*pb.PendingIntent{clitest.PendingOf(intent)}
			p := w.person(t, "alice", rpc.Officer)
			claim := func(node string, number uint64) {
				w.nodes[node].Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
					r.Head = clitest.Wire(clitest.SignAs(node, canon.Head{Organisation: w.Charter.Organisation(), Signer: canon.Name(node), Number: number}))
				}
			}
			approve := func() error {
				w.coordinator.Approvals = nil
				return p.run(t, func(ctx context.Context, s *cli.Session) error {
					return s.Approve(ctx, digestOf(intent), []string{"0.5 BTC"}, "")
				})
			}
			claim("node-3", tt.number)
			if err := approve(); err != nil || len(w.coordinator.Approvals) != 1 {
				t.Errorf("expected one signer's claim to stop nobody, found %v and %d approvals", err, len(w.coordinator.Approvals))
			}
			if warned := p.err.String(); strings.Count(warned, "WARNING: node-3 signed that charter number") != 1 || !strings.Contains(warned, "Have node-3 looked after") {
				t.Errorf("expected one warning that names node-3, found %s", warned)
			}
			claim("node-1", tt.other)
			if err := approve(); cli.ExitCode(err) != cli.ExitRefused || len(w.coordinator.Approvals) != 0 ||
				!strings.Contains(err.Error(), "node-1 signed") || !strings.Contains(err.Error(), "node-3 signed") {
				t.Errorf("expected a refusal that names both signers, found %v and %d approvals", err, len(w.coordinator.Approvals))
			}
			// They do not add up by saying it twice, nor for a signer that the charter does not know.
			w.nodes["node-1"].Amendments.Spoil = func(r *pb.GetCharterChainResponse) {
				r.Head = clitest.Wire(clitest.SignAs("node-3", canon.Head{Organisation: w.Charter.Organisation(), Signer: "node-3", Number: tt.number}))
			}
			if err := approve(); err != nil || len(w.coordinator.Approvals) != 1 {
				t.Errorf("expected one signer's claim, served twice, to stop nobody, found %v", err)
			}
		})
	}
}

func TestEntriesOfAFileDoForADeviceWithoutConnection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := w.officers(t)
	file := w.draft(t, all["alice"], looser...)
	w.propose(t, all, file)
	w.wait(48 * time.Hour)
	if err := enact(t, all["alice"], amendmentOf(t, file)); err != nil {
		t.Fatal(err)
	}
	entries := filepath.Join(w.Dir, "entries")
	if err := all["alice"].run(t, func(_ context.Context, s *cli.Session) error { return s.CharterHistory(entries) }); err != nil {
		t.Fatal(err)
	}
	config := must[[]byte](t)(os.ReadFile(all["alice"].ConfigFile))
	path := filepath.Join(w.Dir, "offline.toml")
	if err := os.WriteFile(path, append([]byte("charter_entries = \"entries\"\n"), config...), 0o600); err != nil {
		t.Fatal(err)
	}
	p := all["alice"]
	p.ConfigFile, p.Offline = path, true
	from, _, err := clitest.Source(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p.both(t, "charter-diff", func(_ context.Context, s *cli.Session) error { return s.DiffCharter(from) })
	spoilt := must[[]byte](t)(os.ReadFile(entries))
	spoilt[len(spoilt)/2] ^= 1
	if err := os.WriteFile(entries, spoilt, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Open(); err == nil {
		t.Error("expected a spoilt file of entries to be refused, found no error")
	}
}

func FuzzDecodeEntries(f *testing.F) {
	f.Add([]byte("AAAA\n"))
	f.Add([]byte("A\n"))
	f.Add([]byte("\n\nAAAA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := cli.DecodeEntries(b)
		if err != nil {
			return
		}
		again, err := cli.DecodeEntries(cli.EncodeEntries(entries))
		if err != nil || len(again) != len(entries) {
			t.Errorf("expected %d entries again, found %d and %v", len(entries), len(again), err)
		}
	})
}
