package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// maxBookChange is the largest encoding of canon.BookChange, in bytes.
const maxBookChange = 8 << 20

// bookDraft is a change of the address book as it goes from officer to officer, with what came of checking it here.
type bookDraft struct {
	change canon.BookChange
	update canon.BookUpdate
	root   canon.BookRoot
	digest canon.Digest // of the root's encoding: what officers approve

	approvals []canon.Signed // those that verified
	by        []canon.Name   // whose
	invalid   []string

	old      *book.Tree        // the book that it follows, if it is at hand
	next     *book.Tree        // what the change makes of it, once that was found to be the version
	removed  []canon.BookEntry // in full, from the book that it follows
	recorded []shelf           // signers that have it already, each with that version only
	problem  error             // why it must not be signed; nil once all of it was checked
	stale    bool              // the problem is only that it is recorded already
	missing  error             // why signers would not take it as it is
	shown    []bool            // of each added entry: its evidence was given, and is the one
}

func (d *bookDraft) version() book.Root {
	return book.Root{Serial: d.root.Serial, Size: d.root.Size, Hash: d.root.Root}
}

// before is the version that it follows, as its author says. That is arithmetic on what somebody wrote: a size that does not fit comes to another
// than any signer names, or than bookOf reads. The serial of the version before matters to nobody: its root says everything.
func (d *bookDraft) before() book.Root {
	return book.Root{Serial: d.root.Serial - 1, Size: d.root.Size + uint64(len(d.change.Remove)) - uint64(len(d.change.Add)), Hash: d.root.Previous}
}

// readBookDraft reads the file of a change. It verifies approvals, and nothing else.
func (s *Session) readBookDraft(path string) (*bookDraft, error) {
	b, err := s.read(path, maxBookChange)
	if err != nil {
		return nil, err
	}
	d := &bookDraft{}
	if err := canon.Decode(b, &d.change); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := canon.Decode(d.change.Update, &d.update); err != nil {
		return nil, fmt.Errorf("%s: update: %w", path, err)
	}
	if err := canon.Decode(d.update.Root, &d.root); err != nil {
		return nil, fmt.Errorf("%s: update: root: %w", path, err)
	}
	org := s.Charter.Organisation()
	for _, found := range []canon.Digest{d.change.Organisation, d.update.Organisation, d.root.Organisation} {
		if found != org {
			return nil, fmt.Errorf("%w: %s: expected a change of organisation %s, found one of %s", ErrRefused, path, org, found)
		}
	}
	d.digest, d.shown = canon.KindBookRoot.Digest(d.update.Root), make([]bool, len(d.change.Add))
	s.count(d, d.update.Approvals, nil)
	return d, nil
}

// count sorts out which approvals verify, keeps one of each officer, and asks whether signers would take the version with those. heard is what
// officers are known to have said; nil knows nothing.
func (s *Session) count(d *bookDraft, approvals []canon.Signed, heard *approval.Set) {
	d.approvals, d.by, d.invalid = nil, nil, nil
	best := map[canon.Name]bookVote{}
	for i, signed := range approvals {
		v, err := s.readBookVote(d, signed, heard)
		if err != nil {
			d.invalid = append(d.invalid, fmt.Sprintf("approval %d: %s", i+1, err))
			continue
		}
		if other, twice := best[v.officer]; !twice || v.better(other) {
			best[v.officer] = v
		}
	}
	for _, name := range slices.Sorted(maps.Keys(best)) {
		d.approvals, d.by = append(d.approvals, best[name].signed), append(d.by, name)
	}
	d.missing = s.enough(d, heard)
}

// bookVote is an approval of a version that verified.
type bookVote struct {
	officer  canon.Name
	signed   canon.Signed
	holds    bool // the key was not revoked, and it has not ended
	class    canon.KeyClass
	notAfter canon.Time
}

func (s *Session) readBookVote(d *bookDraft, signed canon.Signed, heard *approval.Set) (bookVote, error) {
	a, key, err := approval.OpenApproval(s.Charter, signed)
	if err != nil {
		return bookVote{}, err
	}
	if a.Object != canon.ObjectBookRoot || a.Digest != d.digest || a.Decision != canon.Approve {
		return bookVote{}, fmt.Errorf("expected an approval of book root %s, found object kind %d, decision %d, %s", d.digest, a.Object, a.Decision, a.Digest)
	}
	revoked := heard != nil && heard.Revoked(approval.KeyDigest(key.Public))
	return bookVote{officer: a.Officer, signed: signed, holds: !revoked && a.NotAfter >= s.now(), class: key.Class, notAfter: a.NotAfter}, nil
}

// better reports whether this is the one of two by one officer to send: signers take one of each. The strongest key counts in most groups.
func (v bookVote) better(other bookVote) bool {
	if v.holds != other.holds {
		return v.holds
	}
	return cmp.Or(cmp.Compare(other.class, v.class), cmp.Compare(v.notAfter, other.notAfter)) > 0
}

// enough asks whether the approvals that verified meet the book's quorum now.
func (s *Session) enough(d *bookDraft, heard *approval.Set) error {
	var said book.Statements
	if heard != nil {
		said = heard
	}
	tally, err := book.Tally(s.Charter, d.digest, d.approvals, s.now(), said)
	if err != nil {
		return err
	}
	if len(tally.RejectedBy) > 0 {
		return refusal.New("approvals", "update.approvals", "no rejection", "one by "+names(tally.RejectedBy))
	}
	if !tally.Met {
		return refusal.New("approvals", "update.approvals", "a quorum of "+quorumText(s.Charter.Genesis().Book.Quorum), "valid approvals of "+cmp.Or(names(tally.Approvers), "nobody"))
	}
	return nil
}

// check works the change out on this machine: whether the version that it follows is the newest that a quorum of the signers names, what
// that version's entries are, and whether the change makes of them what officers are asked to sign. The answer is in the draft.
func (s *Session) check(ctx context.Context, d *bookDraft) {
	before := d.before()
	following := s.preceding(ctx, d, &before)
	// More signers than may lie have recorded it: then it is worth looking whether this is the change that made it.
	known := uint64(len(d.recorded)) > s.Charter.Genesis().Roster.Faults
	if following != nil && !known {
		d.problem = following
		return
	}
	wrong := s.makes(ctx, d, before)
	d.problem, d.stale = both(following, wrong), wrong == nil && following != nil
}

// makes asks whether the change makes the version of the one before it.
func (s *Session) makes(ctx context.Context, d *bookDraft, before book.Root) error {
	old := d.old
	if old == nil || old.Version(before.Serial) != before {
		var err error
		if old, err = s.bookOf(ctx, before); err != nil {
			return err
		}
	}
	next, err := old.Apply(d.change.Remove, d.change.Add)
	if err != nil {
		return refusal.New("book", "change", "one that can be made in version "+fmt.Sprint(before.Serial), err.Error())
	}
	for _, key := range d.change.Remove {
		at, _ := old.Find(key)
		d.removed = append(d.removed, old.Entry(at))
	}
	var l refusal.List
	if found := next.Version(d.root.Serial); found != d.version() {
		l.Add("book", "root.root", fmt.Sprintf("%s of %d entries, which the change makes of version %d", found.Hash, found.Size, before.Serial),
			fmt.Sprintf("%s of %d entries", d.root.Root, d.root.Size))
	} else {
		d.next = next
	}
	for i, e := range d.change.Add {
		l.Join("book", fmt.Sprintf("add[%d]", i), s.checkEntry(e))
	}
	return l.Err()
}

// both returns one refusal of everything that either refuses.
func both(a, b error) error {
	var l refusal.List
	l.Join("book", "newest version", a)
	l.Join("book", "entries", b)
	return l.Err()
}

// preceding refuses a change that does not follow the newest version of the book, and notes who has recorded it already. What before is by root
// and size it gets the serial of.
func (s *Session) preceding(ctx context.Context, d *bookDraft, before *book.Root) error {
	if s.Offline {
		return refusal.New("book", "newest version", "what signers name", "nothing: none is asked")
	}
	h, newest, err := s.newestBook(ctx)
	for _, a := range h {
		for _, n := range a.versions {
			if n.Root == d.version() && !n.missed {
				d.recorded = append(d.recorded, shelf{signer: a.signer, versions: []*shelved{n}})
			}
		}
	}
	if err != nil {
		return err
	}
	at := slices.IndexFunc(newest, func(r book.Root) bool { return r.Hash == before.Hash && r.Size == before.Size })
	if at < 0 {
		return refusal.New("book", "root.previous", versionsText(newest), fmt.Sprintf("version %d with root %s of %d entries", before.Serial, before.Hash, before.Size))
	}
	*before = newest[at]
	if last := h.next(*before); d.root.Serial <= before.Serial || d.root.Serial > last {
		return refusal.New("book", "root.serial", fmt.Sprintf("%d to %d, what comes after the versions that signers have", before.Serial+1, last), fmt.Sprint(d.root.Serial))
	}
	return nil
}

func versionsText(list []book.Root) string {
	all := make([]string, len(list))
	for i, r := range list {
		all[i] = fmt.Sprintf("version %d with root %s of %d entries", r.Serial, r.Hash, r.Size)
	}
	return strings.Join(all, ", or ") + ", the newest at a quorum of the signers"
}

// witness holds files with evidence of ownership against the entries that the change adds. Each must be that of one of them.
func (s *Session) witness(d *bookDraft, files []string) error {
	for _, path := range files {
		evidence, err := s.read(path, maxOwnership)
		if err != nil {
			return err
		}
		found := false
		for i, e := range d.change.Add {
			if s.shows(e, evidence) == nil {
				d.shown[i], found = true, true
			}
		}
		if !found {
			return refusal.New("ownership", path, "evidence that an added entry names", fmt.Sprintf("SHA-256 %x, or a signature that none of them fits", sha256.Sum256(evidence)))
		}
	}
	return nil
}

// approvedBy returns the change with these approvals.
func (d *bookDraft) approvedBy(approvals []canon.Signed) (canon.BookChange, error) {
	u, c := d.update, d.change
	u.Approvals = append([]canon.Signed{}, approvals...)
	var err error
	c.Update, err = canon.Encode(u)
	return c, err
}

// encode encodes the change with these approvals.
func (d *bookDraft) encode(approvals []canon.Signed) ([]byte, error) {
	c, err := d.approvedBy(approvals)
	if err != nil {
		return nil, err
	}
	return canon.Encode(c)
}

// same reports whether both are of one version, with the same change.
func (d *bookDraft) same(o *bookDraft) bool {
	a, errA := d.encode(nil)
	b, errB := o.encode(nil)
	return errA == nil && errB == nil && bytes.Equal(a, b)
}
