package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// BookRestorationView is what a coordinator got back of the address book.
type BookRestorationView struct {
	Restored []RestoredView `json:"restored"`
	Held     []RestoredView `json:"held"` // it has their entries
}

// RestoredView is a version of the book, and how what the coordinator has differed from it.
type RestoredView struct {
	Serial uint64 `json:"serial"`
	Root   string `json:"root"`
	Comes  int    `json:"comes"`
	Goes   int    `json:"goes"`
}

func (v BookRestorationView) writeText(t *text) {
	for _, r := range v.Held {
		t.say("The coordinator has the entries of version %s, root %s.", r.Serial, r.Root)
	}
	for _, r := range v.Restored {
		t.say("Restored: version %s, root %s: %s came and %s went of what the coordinator had.", r.Serial, r.Root, addresses(uint64(r.Comes)), addresses(uint64(r.Goes)))
	}
	if len(v.Held)+len(v.Restored) == 0 {
		t.say("Signers ask for no version but the genesis's own.")
	}
}

// RestoreBook gives a coordinator that lost versions of the book back those that more signers ask for than may lie, the oldest first. Their entries
// are those that are kept here, or that the files of changes make; their roots are what signers name, and nobody signs anything.
func (s *Session) RestoreBook(ctx context.Context, paths []string) error {
	drafts, err := s.distinctDrafts(paths)
	if err != nil {
		return err
	}
	h, err := s.shelves(ctx)
	if err != nil {
		return err
	}
	wanted, err := s.sought(h)
	if err != nil {
		return err
	}
	v := BookRestorationView{Restored: []RestoredView{}, Held: []RestoredView{}}
	var failed error
	for _, n := range wanted {
		r, held, err := s.restore(ctx, n, drafts)
		switch {
		case err != nil:
			failed = errors.Join(failed, fmt.Errorf("version %d, root %s: %w", n.Serial, n.Hash, err))
		case held:
			v.Held = append(v.Held, r)
		default:
			v.Restored = append(v.Restored, r)
		}
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return failed
}

// distinctDrafts reads files of changes, each change once.
func (s *Session) distinctDrafts(paths []string) ([]*bookDraft, error) {
	var out []*bookDraft
	for _, path := range paths {
		d, err := s.readBookDraft(path)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(out, d.same) {
			out = append(out, d)
		}
	}
	return out, nil
}

// sought returns the versions, beside the genesis's own, that more signers ask for than may lie, the oldest first.
func (s *Session) sought(h shelves) ([]*shelved, error) {
	faults, answered := s.Charter.Genesis().Roster.Faults, uint64(0)
	var out []*shelved
	for _, a := range h {
		if a.err == nil {
			answered++
		}
		for _, n := range a.versions {
			by, one := h.naming(n.Root)
			if one != nil && one.update != nil && uint64(len(by)) > faults && !slices.Contains(out, one) {
				out = append(out, one)
			}
		}
	}
	if answered <= faults {
		return nil, fmt.Errorf("%w: expected more than %d signers to say which versions of the address book they ask for, found %d", ErrUnreachable, faults, answered)
	}
	slices.SortFunc(out, func(a, b *shelved) int {
		return cmp.Or(cmp.Compare(a.Serial, b.Serial), bytes.Compare(a.Hash[:], b.Hash[:]))
	})
	return out, nil
}

// restore gives the coordinator one version, unless it has it.
func (s *Session) restore(ctx context.Context, n *shelved, drafts []*bookDraft) (v RestoredView, held bool, err error) {
	v = RestoredView{Serial: n.Serial, Root: n.Hash.String()}
	has, err := s.coordinatorBooks(ctx)
	if err != nil {
		return v, false, err
	}
	if slices.Contains(has, n.Root) || n.Serial < has[0].Serial && s.listed(ctx, n.Root) {
		return v, true, nil
	}
	next, err := s.treeFrom(ctx, n.Root, drafts)
	if err != nil {
		return v, false, fmt.Errorf("its entries are neither kept here nor made by the files that were given: %w", err)
	}
	bases, err := basesOf(n, has, drafts)
	if err != nil {
		return v, false, err
	}
	for _, base := range bases {
		var wrong error
		if v.Comes, v.Goes, wrong = s.giveBack(ctx, n, base, next, drafts); wrong == nil {
			s.keepNext(&bookDraft{root: canon.BookRoot{Serial: n.Serial, Size: n.Size, Root: n.Hash}, next: next})
			return v, false, nil
		}
		err = wrong
	}
	// What counts is that it has the entries: a version may have those of one before it, and no change leads there.
	if slices.ContainsFunc(has, func(h book.Root) bool { return h.Hash == n.Hash }) {
		return v, true, nil
	}
	return v, false, err
}

// basesOf returns what the coordinator may apply a change to: the version that the root names if it has that, else its newest.
func basesOf(n *shelved, has []book.Root, drafts []*bookDraft) ([]book.Root, error) {
	var u canon.BookUpdate
	var r canon.BookRoot
	if err := canon.Decode(n.update, &u); err != nil {
		return nil, err
	}
	if err := canon.Decode(u.Root, &r); err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(has, func(h book.Root) bool { return h.Hash == r.Previous }); at >= 0 {
		return []book.Root{has[at]}, nil
	}
	previous := book.Root{Serial: r.Serial - 1, Hash: r.Previous} // how many entries it has only its change says
	for _, d := range drafts {
		if d.digest == n.document {
			previous = d.before()
		}
	}
	return []book.Root{previous, has[0]}, nil
}

// giveBack sends the coordinator the change that makes a version of what it has.
func (s *Session) giveBack(ctx context.Context, n *shelved, base book.Root, next *book.Tree, drafts []*bookDraft) (comes, goes int, err error) {
	old, err := s.keptTree(base.Hash)
	if err != nil {
		// How large it is, is its own word: no change takes more out than fits into one.
		if most := n.Size + maxBookChange/minBookKey; base.Size > most {
			return 0, 0, refusal.New("book", "size", fmt.Sprintf("at most %d entries of version %d from the %s", most, base.Serial, coordinatorName), fmt.Sprint(base.Size))
		}
		if old, err = s.treeFrom(ctx, base, drafts); err != nil {
			return 0, 0, err
		}
	}
	c := difference(old, next)
	c.Organisation, c.Update = s.Charter.Organisation(), n.update
	encoded, err := canon.Encode(c)
	if err != nil {
		return 0, 0, err
	}
	serial, err := s.sendChange(ctx, encoded)
	if err == nil && serial < n.Serial {
		err = fmt.Errorf("expected version %d to be recorded, found %d to be the newest", n.Serial, serial)
	}
	return len(c.Add), len(c.Remove), err
}

// minBookKey is less than the encoding of any canon.BookKey, in bytes.
const minBookKey = 8

// difference is the change that makes one book of another.
func difference(old, next *book.Tree) canon.BookChange {
	c := canon.BookChange{Remove: []canon.BookKey{}, Add: []canon.BookEntry{}}
	for e := range missingIn(next, old) {
		c.Remove = append(c.Remove, keyOfEntry(e))
	}
	c.Add = slices.AppendSeq(c.Add, missingIn(old, next))
	return c
}

// missingIn returns the entries that one book lacks of another, or has otherwise.
func missingIn(one, of *book.Tree) iter.Seq[canon.BookEntry] {
	return func(yield func(canon.BookEntry) bool) {
		for n := range of.Size() {
			e := of.Entry(n)
			if at, found := one.Find(keyOfEntry(e)); found && bytes.Equal(one.Encoded(at), of.Encoded(n)) {
				continue
			}
			if !yield(e) {
				return
			}
		}
	}
}

// treeFrom returns a book that is kept here or that the coordinator lists, or that one of the changes makes of another such book.
func (s *Session) treeFrom(ctx context.Context, r book.Root, drafts []*bookDraft) (*book.Tree, error) {
	tree, err := s.bookOf(ctx, r)
	for i, d := range drafts {
		if err == nil {
			break
		}
		if d.root.Root != r.Hash || d.root.Size != r.Size {
			continue
		}
		old, wrong := s.treeFrom(ctx, d.before(), slices.Concat(drafts[:i], drafts[i+1:]))
		if wrong != nil {
			continue
		}
		if next, wrong := old.Apply(d.change.Remove, d.change.Add); wrong == nil && next.Version(r.Serial) == r {
			tree, err = next, nil
		}
	}
	return tree, err
}

// coordinatorBooks returns the versions that the coordinator names, its newest first. It is believed nothing: what does not fit it refuses itself.
func (s *Session) coordinatorBooks(ctx context.Context) ([]book.Root, error) {
	c, err := s.coordinator()
	if err != nil {
		return nil, err
	}
	reply, err := call(ctx, c.GetBook, &pb.GetBookRequest{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", coordinatorName, err)
	}
	all := reply.GetVersions()
	if len(all) == 0 || len(all) > maxVersions {
		return nil, fmt.Errorf("%s: versions: expected 1 to %d, found %d", coordinatorName, maxVersions, len(all))
	}
	out := make([]book.Root, len(all))
	for i, v := range all {
		if len(v.GetRoot()) != len(canon.Digest{}) {
			return nil, fmt.Errorf("%s: versions[%d]: expected a root of 32 bytes, found %d", coordinatorName, i, len(v.GetRoot()))
		}
		out[i] = book.Root{Serial: v.GetSerial(), Size: v.GetSize(), Hash: canon.Digest(v.GetRoot())}
	}
	return out, nil
}

// listed reports whether the coordinator lists the entries of a version.
func (s *Session) listed(ctx context.Context, r book.Root) bool {
	c, err := s.coordinator()
	if err != nil {
		return false
	}
	_, err = call(ctx, c.ListBookEntries, &pb.ListBookEntriesRequest{Root: r.Hash[:], PageSize: 1})
	return err == nil
}
