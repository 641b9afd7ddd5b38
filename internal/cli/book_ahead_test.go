package cli_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/internal/cli"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// ahead is a version that nobody made of the one before it, as officers of some other time may have signed it.
func (w *world) ahead(t *testing.T, serial uint64, by ...string) (update []byte, root canon.BookRoot) {
	t.Helper()
	root = canon.BookRoot{Organisation: w.Charter.Organisation(), Serial: serial, Previous: canon.Digest{7}, Size: 5, Root: canon.Digest{8}}
	u := canon.BookUpdate{Organisation: w.Charter.Organisation(), Root: must[[]byte](t)(canon.Encode(root)), Approvals: []canon.Signed{}}
	for _, officer := range by {
		u.Approvals = append(u.Approvals, must[canon.Signed](t)(w.ApproveBook(officer, u.Root, canon.TimeOf(noon.Add(month)))))
	}
	return must[[]byte](t)(canon.Encode(u)), root
}

func (w *world) serialOf(t *testing.T, file string) uint64 {
	t.Helper()
	var c canon.BookChange
	var u canon.BookUpdate
	var r canon.BookRoot
	for _, err := range []error{canon.Decode(must[[]byte](t)(os.ReadFile(file)), &c), canon.Decode(c.Update, &u), canon.Decode(u.Root, &r)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return r.Serial
}

func TestASignerThatWasPushedAheadIsCaughtUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	update, _ := w.ahead(t, 9, "alice", "bob")
	if _, err := w.nodes["node-4"].Books.SubmitBookUpdate(t.Context(), &pb.SubmitBookUpdateRequest{Update: update}); err != nil {
		t.Fatal(err)
	}
	alice := w.person(t, "alice", rpc.Officer)
	early := w.edit(t, alice, adding(""))
	if found := w.serialOf(t, early); found != 10 {
		t.Fatalf("expected version 10, found %d", found)
	}
	w.publish(t, early, "10")
	for name, n := range w.nodes {
		if newest := n.Books.Versions().Newest(); len(newest) != 1 || newest[0].Serial != 10 {
			t.Errorf("%s: expected version 10, found %v", name, newest)
		}
	}
	if file := w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a"}); w.serialOf(t, file) != 11 {
		t.Errorf("expected version 11, found %d", w.serialOf(t, file))
	}
}

func TestASignerThatCannotProveItPushesNobodyAhead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	far, root := w.ahead(t, 1<<40, "alice", "bob")
	for name, c := range map[string]struct {
		serial uint64
		by     []string
		want   uint64
	}{
		"no officer": {9, nil, 2}, "one officer": {9, []string{"alice"}, 2}, "a quorum": {9, []string{"alice", "carol"}, 10},
	} {
		update, r := w.ahead(t, c.serial, c.by...)
		w.nodes["node-2"].Books.Spoil = func(reply *pb.GetBookResponse) { push(reply, update, r) }
		if file := w.edit(t, w.person(t, "alice", rpc.Officer), adding("")); w.serialOf(t, file) != c.want {
			t.Errorf("%s: expected version %d, found %d", name, c.want, w.serialOf(t, file))
		}
	}
	// Farther than the others go at once: as far as they go.
	w.nodes["node-2"].Books.Spoil = func(reply *pb.GetBookResponse) { push(reply, far, root) }
	if file := w.edit(t, w.person(t, "alice", rpc.Officer), adding("")); w.serialOf(t, file) != 1+book.MaxSkip {
		t.Errorf("expected version %d, found %d", 1+book.MaxSkip, w.serialOf(t, file))
	}
	// One that nobody is ahead of is not signed with a gap.
	w.nodes["node-2"].Books.Spoil = nil
	file := w.edit(t, w.person(t, "alice", rpc.Officer), adding(""))
	rewrite(t, file, func(_ *canon.BookChange, r *canon.BookRoot) { r.Serial = 10 })
	if err := signBook(t, w.person(t, "bob", rpc.Officer), file, "10"); cli.ExitCode(err) != cli.ExitRefused || !strings.Contains(err.Error(), "root.serial") {
		t.Errorf("expected a refusal of the serial, found %v", err)
	}
}

// push has an answer name another newest version.
func push(reply *pb.GetBookResponse, update []byte, r canon.BookRoot) {
	for _, v := range reply.Versions {
		v.Newest = false
	}
	reply.Versions = append(reply.Versions, &pb.BookVersion{Serial: r.Serial, Size: r.Size, Root: r.Root[:], Update: update, Newest: true})
}

func TestAVersionThatASignerMissedIsShownAndAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	file := w.edit(t, alice, cli.BookEdit{Remove: true, Chain: bitcoin, Address: known, Client: "fund-a"})
	w.stop["node-4"]()
	w.publish(t, file, "2")
	// node-3 has only heard of it.
	second := w.nodes["node-1"].Books.Versions().Newest()[0]
	w.nodes["node-3"].Books.Spoil = func(reply *pb.GetBookResponse) {
		reply.Versions = append(reply.Versions[len(reply.Versions)-1:], &pb.BookVersion{Serial: 2, Size: second.Size, Root: second.Hash[:], Newest: true})
		reply.Versions[0].Newest = true
	}
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.Book(ctx, cli.BookList{}) }); err != nil ||
		!strings.Contains(alice.out.String(), "recorded by others, missed here") || !strings.Contains(alice.out.String(), "fewer than 3 signers name the same newest version") {
		t.Errorf("expected the version shown as missed, and two signers to have it, found %v and:\n%s", err, alice.out)
	}
	err := alice.run(t, verifyBook(cli.BookQuestion{Address: known, Client: "fund-a"}))
	if cli.ExitCode(err) != cli.ExitRefused || strings.Count(alice.out.String(), "taken out of the newest version") != 3 {
		t.Errorf("expected it not to be payable at three signers, found %v and:\n%s", err, alice.out)
	}
	if err := alice.run(t, func(ctx context.Context, s *cli.Session) error { return s.ShowBookChange(ctx, file, nil) }); strings.Contains(alice.out.String(), "node-3 recorded it") {
		t.Errorf("expected node-3 not to count, found %v and:\n%s", err, alice.out)
	}
}

func TestOneApprovalOfEachOfficerGoesToTheSigners(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	alice := w.person(t, "alice", rpc.Officer)
	file := w.edit(t, alice, adding(""))
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.WriteFile(copied, must[[]byte](t)(os.ReadFile(file)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, copied} {
		for _, name := range []string{"alice", "bob"} {
			if err := signBook(t, w.person(t, name, rpc.Officer), path, "2"); err != nil {
				t.Fatal(err)
			}
		}
		w.wait(1e9) // so that no two approvals are the same
	}
	if err := submitBook(t, alice, file, copied); err != nil {
		t.Fatal(err)
	}
	var u canon.BookUpdate
	if err := canon.Decode(w.nodes["node-1"].Books.Versions().Newest()[0].Update, &u); err != nil || len(u.Approvals) != 2 {
		t.Errorf("expected two approvals, found %d, %v", len(u.Approvals), err)
	}
}
