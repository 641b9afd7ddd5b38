package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// BookSubmissionView is what became of a version of the address book.
type BookSubmissionView struct {
	BookRoot   string   `json:"book_root"`
	Serial     uint64   `json:"serial"`
	Comes      int      `json:"comes"`
	Goes       int      `json:"goes"`
	Cooldown   uint64   `json:"cooldown"`
	RecordedBy []string `json:"recorded_by"`
	// Needed is how many signers must have recorded it so that the others cannot pay what goes.
	Needed uint64 `json:"needed"`
	// Rivals are signers that have another version of the same number: an address must be in both.
	Rivals      []string          `json:"rivals,omitempty"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
	// Unkept says that the coordinator answered, and did not take the entries: nothing can be paid until it has them.
	Unkept bool `json:"unkept,omitempty"`
}

func (v BookSubmissionView) writeText(t *text) {
	t.say("submitted: version %s of the address book, %s", v.Serial, v.BookRoot[:16])
	t.field("Recorded by", strings.Join(v.RecordedBy, ", "))
	for _, u := range v.Unreachable {
		t.say("not recorded by %s: %s", u.Server, u.Error)
	}
	if len(v.Rivals) > 0 {
		t.say("WARNING: officers signed another version %s too, which %s have. An address must be in both. The next version ends that.", v.Serial, strings.Join(v.Rivals, ", "))
	}
	if v.Comes > 0 {
		t.say("Comes: %s, to be paid %s after each signer recorded this at the earliest.", addresses(uint64(v.Comes)), seconds(v.Cooldown))
	}
	if v.Goes > 0 {
		t.say("Goes: %s, paid no more by signers that recorded this.", addresses(uint64(v.Goes)))
	}
	if v.Unkept {
		t.say("WARNING: THE COORDINATOR DID NOT TAKE THE ENTRIES. Signers that recorded this ask for proofs under it, and every withdrawal is denied until " +
			"the coordinator has them. See: strongroom book restore")
	}
	writeTooFew(t, v.RecordedBy, v.Needed)
}

// SubmitBook takes a version of the address book to every signer, and the change that makes it to the coordinator. Several files of one
// change, each signed by others, count together. Nothing is sent of a change that does not make the version that was approved. One that more
// signers have recorded than may lie goes to the coordinator whatever has become of its approvals.
func (s *Session) SubmitBook(ctx context.Context, paths []string) error {
	d, err := s.mergeBook(paths)
	if err != nil {
		return err
	}
	heard, err := s.listen(ctx)
	if err != nil {
		return err
	}
	h, err := s.shelves(ctx)
	if err != nil {
		return err
	}
	holders, one := h.naming(d.version())
	known := one != nil && one.document == d.digest && uint64(len(holders)) > s.Charter.Genesis().Roster.Faults
	if s.count(d, d.approvals, heard.all); d.missing != nil && !known {
		return fmt.Errorf("version %d of the address book: %w", d.root.Serial, d.missing)
	}
	if err := s.unfit(ctx, d, h); err != nil {
		return fmt.Errorf("version %d of the address book, nothing was sent: %w", d.root.Serial, err)
	}
	if d.missing != nil {
		change := d.change
		change.Update = one.update
		return s.spread(ctx, d, change, holders)
	}
	change, err := d.approvedBy(d.approvals)
	if err != nil {
		return err
	}
	return s.spread(ctx, d, change, nil)
}

// unfit refuses a change that does not make the version that was approved of the one before it. Where the entries of that are not at hand it
// says so, and lets the change pass: officers had them when they approved.
func (s *Session) unfit(ctx context.Context, d *bookDraft, h shelves) error {
	old, err := s.base(ctx, d, h)
	if err != nil {
		s.Note("WARNING: whether the change makes the version that was approved is not checked here: the entries that it follows are not at hand. %s", errorText(err))
		return nil
	}
	d.old = old
	return s.makes(ctx, d, old.Version(d.root.Serial-1))
}

// base returns the book that a change follows: the one that is kept here, or the one that the coordinator lists. What the change says of its size
// is not believed: whoever altered the change could keep the book from being found.
func (s *Session) base(ctx context.Context, d *bookDraft, h shelves) (*book.Tree, error) {
	if kept, err := s.keptTree(d.root.Previous); err == nil {
		return kept, nil
	}
	genesis, _ := s.Chain.Charter(1)
	roots := []book.Root{d.before(), book.Of(genesis)}
	for _, a := range h {
		for _, n := range a.versions {
			roots = append(roots, n.Root)
		}
	}
	var first error
	var tried []uint64
	for _, r := range roots {
		if r.Hash != d.root.Previous || slices.Contains(tried, r.Size) {
			continue
		}
		tried = append(tried, r.Size)
		old, err := s.bookOf(ctx, r)
		if err == nil {
			return old, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// mergeBook reads the files of one change and unites their approvals.
func (s *Session) mergeBook(paths []string) (*bookDraft, error) {
	var first *bookDraft
	var approvals []canon.Signed
	for i, path := range paths {
		d, err := s.readBookDraft(path)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			first = d
		}
		if !first.same(d) {
			return nil, fmt.Errorf("%s: expected the change of %s, found another", path, paths[0])
		}
		approvals = unite(approvals, d.approvals)
	}
	if first == nil {
		return nil, fmt.Errorf("book: expected a file, found none")
	}
	first.approvals = approvals // to be counted with what officers said
	return first, nil
}

// spread takes the version to every signer and the change to the coordinator; where signers hold it already, to the coordinator only.
func (s *Session) spread(ctx context.Context, d *bookDraft, change canon.BookChange, holders []string) error {
	encoded, err := canon.Encode(change)
	if err != nil {
		return err
	}
	v := BookSubmissionView{BookRoot: d.digest.String(), Serial: d.root.Serial, Comes: len(change.Add), Goes: len(change.Remove),
		Cooldown: s.Charter.Genesis().Delays.BookCooldown, RecordedBy: append([]string{}, holders...), Needed: s.blocking("")}
	var refused *refusal.Refusal
	add := func(server string, err error) {
		if err == nil {
			v.RecordedBy = append(v.RecordedBy, server)
			return
		}
		refused = cmp.Or(refusal.Of(err), refused)
		v.Unreachable = append(v.Unreachable, UnreachableView{server, reasonText(err)})
	}
	if holders == nil {
		answers, err := s.updateSigners(ctx, d, change.Update)
		if err != nil {
			return err
		}
		for _, a := range answers {
			add(a.Server, a.Err)
		}
	}
	var unkept error
	if s.Config.Coordinator != "" {
		unkept = s.submitChange(ctx, d, encoded)
		add(coordinatorName, unkept)
	}
	v.Unkept = unkept != nil && ExitCode(unkept) != ExitUnreachable
	v.Rivals = s.rivals(ctx, d)
	if len(v.RecordedBy) > 0 {
		s.keepNext(d)
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return v.outcome(holders != nil, unkept, refused)
}

// outcome is the error that a submission ends with. Where signers hold the version already, the coordinator's answer is all that it was for.
func (v BookSubmissionView) outcome(held bool, unkept error, refused *refusal.Refusal) error {
	switch {
	case v.Unkept, held && unkept != nil:
		return fmt.Errorf("the coordinator did not take the entries of version %d: %w", v.Serial, unkept)
	case len(v.RecordedBy) > 0:
		return nil
	case refused != nil:
		return fmt.Errorf("nobody recorded the version: %w", refused)
	}
	return fmt.Errorf("%w: nobody recorded the version", ErrUnreachable)
}

// updateSigners takes the version to every signer.
func (s *Session) updateSigners(ctx context.Context, d *bookDraft, update []byte) ([]answer[*pb.SubmitBookUpdateResponse], error) {
	peers, err := s.signers()
	if err != nil {
		return nil, err
	}
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.SubmitBookUpdateResponse, error) {
		return p.SubmitBookUpdate(ctx, &pb.SubmitBookUpdateRequest{Update: update})
	})
	for i, a := range answers {
		if a.Err == nil {
			answers[i].Err = d.taken(a.Value.GetSerial())
		}
	}
	return answers, nil
}

// keepNext keeps the book that the change made: the coordinator may lose it.
func (s *Session) keepNext(d *bookDraft) {
	if d.next == nil {
		return
	}
	if err := keepBook(s.keptBook(d.version()), d.next); err != nil {
		s.Note("The address book cannot be kept: %s", err)
	}
}

// taken refuses the answer of a server whose newest version is an earlier one. It may name another of the same number.
func (d *bookDraft) taken(serial uint64) error {
	if serial < d.root.Serial {
		return fmt.Errorf("expected version %d to be recorded, found %d to be the newest", d.root.Serial, serial)
	}
	return nil
}

// rivals are the signers that name another newest version beside this one.
func (s *Session) rivals(ctx context.Context, d *bookDraft) []string {
	h, err := s.shelves(ctx)
	if err != nil {
		return nil // as before: it was said
	}
	var out []string
	for _, a := range h {
		if newest := a.newest(); len(newest) > 1 && newest[0].Serial == d.root.Serial {
			out = append(out, a.signer)
		}
	}
	return out
}

func (s *Session) submitChange(ctx context.Context, d *bookDraft, change []byte) error {
	serial, err := s.sendChange(ctx, change)
	if err == nil {
		err = d.taken(serial)
	}
	return err
}

// sendChange hands a change to the coordinator, which may take as long as it does for the largest book.
func (s *Session) sendChange(ctx context.Context, change []byte) (serial uint64, err error) {
	c, err := s.coordinator()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	r, err := c.SubmitBookChange(ctx, &pb.SubmitBookChangeRequest{Change: change})
	return r.GetSerial(), err
}
