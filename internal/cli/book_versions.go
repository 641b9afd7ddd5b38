package cli

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// maxVersions bounds the versions of the book that one signer may name.
const maxVersions = 64

// shelf is what one signer of the roster says of the address book, or why it did not.
type shelf struct {
	signer   string
	versions []*shelved
	err      error
}

// shelved is a version of the book as a signer names it; the times are that signer's word.
type shelved struct {
	book.Root
	newest, payable bool
	missed          bool // others have it, the signer does not, and an address must be in it there
	approved        bool // of the newest: by a quorum of a charter that is or was in force
	seen, payableAt string
	by              []string // whose approvals verified
	update          []byte   // as the signer serves it; none of the genesis's own version and of one that was missed
	document        canon.Digest
}

// shelves are what all signers of the roster say of the book.
type shelves []shelf

// shelves asks every signer of the roster which versions of the book count there.
func (s *Session) shelves(ctx context.Context) (shelves, error) {
	peers, err := s.signers()
	if err != nil {
		return nil, err
	}
	peers = slices.DeleteFunc(slices.Clone(peers), func(p signerPeer) bool {
		member, _ := s.Charter.Signer(p.Name)
		return !member.Ledger
	})
	answers := askSigners(ctx, peers, func(ctx context.Context, p signerPeer) (*pb.GetBookResponse, error) {
		return p.GetBook(ctx, &pb.GetBookRequest{})
	})
	out := make(shelves, len(answers))
	for i, a := range answers {
		out[i] = shelf{signer: a.Server, err: a.Err}
		if a.Err == nil {
			out[i].versions, out[i].err = s.shelved(a.Value.GetVersions())
		}
	}
	return out, nil
}

// shelved reads what a signer says. A version other than the genesis's own must be what its update says.
func (s *Session) shelved(wire []*pb.BookVersion) ([]*shelved, error) {
	if len(wire) == 0 || len(wire) > maxVersions {
		return nil, fmt.Errorf("versions: expected 1 to %d, found %d", maxVersions, len(wire))
	}
	out := make([]*shelved, len(wire))
	newest, payable := uint64(0), false
	for i, v := range wire {
		if len(v.GetRoot()) != len(canon.Digest{}) || v.GetSize() > charter.MaxBook {
			return nil, fmt.Errorf("versions[%d]: expected a root of 32 bytes and at most %d entries, found %d bytes and %d", i, uint64(charter.MaxBook), len(v.GetRoot()), v.GetSize())
		}
		n := &shelved{Root: book.Root{Serial: v.GetSerial(), Size: v.GetSize(), Hash: canon.Digest(v.GetRoot())}, newest: v.GetNewest(), payable: v.GetPayable(),
			seen: wireTime(v.GetFirstSeenTime()), payableAt: wireTime(v.GetPayableTime())}
		if n.missed = len(v.GetUpdate()) == 0 && n.newest && !n.payable && n.seen == ""; n.missed {
			n.payableAt = ""
		} else if err := s.vouched(n, v.GetUpdate()); err != nil {
			return nil, fmt.Errorf("versions[%d]: %w", i, err)
		}
		if !n.missed {
			newest = max(newest, n.Serial)
		}
		payable = payable || n.payable
		out[i] = n
	}
	misnamed := func(n *shelved) bool {
		if n.missed {
			return n.Serial < newest
		}
		return n.newest != (n.Serial == newest)
	}
	if !payable || slices.ContainsFunc(out, misnamed) {
		return nil, errors.New("versions: expected those with the highest serial, and no others, to be the newest, and one at least to be payable, found others")
	}
	return out, nil
}

// newest returns the newest versions that a signer recorded, sorted by root.
func (h shelf) newest() []book.Root {
	var out []book.Root
	for _, n := range h.versions {
		if n.newest && !n.missed && !slices.Contains(out, n.Root) {
			out = append(out, n.Root)
		}
	}
	slices.SortFunc(out, func(a, b book.Root) int { return bytes.Compare(a.Hash[:], b.Hash[:]) })
	return out
}

// words say which versions are the newest at a signer.
func (h shelf) words() string {
	if h.err != nil {
		return h.signer + " did not say: " + reasonText(h.err)
	}
	var all []string
	for _, r := range h.newest() {
		all = append(all, fmt.Sprintf("%d with root %s", r.Serial, r.Hash))
	}
	return h.signer + " names " + strings.Join(all, " and ")
}

// agreed returns the newest versions of the book: those that a quorum of the roster names. There are several if officers signed several
// with one serial. Below that many it refuses, and says who says what.
func (h shelves) agreed(quorum uint64) ([]book.Root, error) {
	var best []book.Root
	most := uint64(0)
	for _, a := range h {
		count := uint64(0)
		for _, b := range h {
			if a.err == nil && b.err == nil && slices.Equal(a.newest(), b.newest()) {
				count++
			}
		}
		if count > most {
			best, most = a.newest(), count
		}
	}
	if most >= quorum && most > 0 {
		return best, nil
	}
	all := make([]string, len(h))
	for i, a := range h {
		all[i] = a.words()
	}
	return nil, refusal.New("book", "newest version", fmt.Sprintf("the same at %d signers", quorum), cmp.Or(strings.Join(all, "; "), "no signers in the configuration"))
}

// next returns the serial of the version to come after this one: above all that any signer recorded with the approvals of a quorum, as officers who
// have left may have pushed a signer ahead of the others, which takes no version up to there. Where that is farther than the others go at once, it is
// as far as they go.
func (h shelves) next(before book.Root) uint64 {
	last := before.Serial
	for _, a := range h {
		for _, n := range a.versions {
			if n.approved {
				last = max(last, n.Serial)
			}
		}
	}
	if last-before.Serial >= book.MaxSkip {
		return before.Serial + book.MaxSkip
	}
	return last + 1
}

// naming returns the signers that name a version as one that counts there, and of those that recorded it one.
func (h shelves) naming(r book.Root) (signers []string, one *shelved) {
	for _, a := range h {
		for _, n := range a.versions {
			if n.Root != r || slices.Contains(signers, a.signer) {
				continue
			}
			signers = append(signers, a.signer)
			if !n.missed && (one == nil || n.approved) {
				one = n
			}
		}
	}
	return signers, one
}

// newestBook asks the signers, and returns what a quorum of them agrees on.
func (s *Session) newestBook(ctx context.Context) (shelves, []book.Root, error) {
	h, err := s.shelves(ctx)
	if err != nil {
		return nil, nil, err
	}
	newest, err := h.agreed(s.Charter.Genesis().Roster.Quorum)
	return h, newest, err
}

// BookView is the address book as signers know it.
type BookView struct {
	Signers []ShelfView `json:"signers"`
	// Agreed says that a quorum of the signers names the same newest version.
	Agreed      bool              `json:"agreed"`
	Needed      uint64            `json:"needed"`
	Next        string            `json:"next"` // whose approval the next version takes
	Entries     []EntryOfBook     `json:"entries,omitempty"`
	Listed      string            `json:"listed,omitempty"` // root of the version that the entries are of
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

// ShelfView is the book at one signer.
type ShelfView struct {
	Signer   string        `json:"signer"`
	Versions []VersionView `json:"versions"`
}

// VersionView is a version of the book at a signer; the times are its word.
type VersionView struct {
	Serial     uint64   `json:"serial"`
	Root       string   `json:"root"`
	Size       uint64   `json:"size"`
	Newest     bool     `json:"newest"`
	Payable    bool     `json:"payable"`
	Missed     bool     `json:"missed,omitempty"` // others have it, this signer does not, and an address must be in it there
	FirstSeen  string   `json:"first_seen,omitempty"`
	PayableAt  string   `json:"payable_at,omitempty"`
	ApprovedBy []string `json:"approved_by"`
}

func (h shelf) view() ShelfView {
	v := ShelfView{Signer: h.signer, Versions: []VersionView{}}
	for _, n := range h.versions {
		v.Versions = append(v.Versions, VersionView{Serial: n.Serial, Root: n.Hash.String(), Size: n.Size, Newest: n.newest, Payable: n.payable, Missed: n.missed,
			FirstSeen: n.seen, PayableAt: n.payableAt, ApprovedBy: append([]string{}, n.by...)})
	}
	return v
}

func (v BookView) writeText(t *text) {
	for _, signer := range v.Signers {
		t.say("%s", signer.Signer)
		for _, n := range signer.Versions {
			n.writeText(t)
		}
	}
	writeUnreachable(t, v.Unreachable)
	t.gap()
	if v.Agreed {
		t.field("Agreed by", fmt.Sprintf("at least %d signers", v.Needed))
	} else {
		t.say("WARNING: fewer than %s signers name the same newest version.", v.Needed)
	}
	t.field("Next version", v.Next)
	if v.Listed == "" {
		return
	}
	t.gap()
	t.say("Addresses under root %s:", v.Listed)
	for _, e := range v.Entries {
		e.writeText(t)
	}
	if len(v.Entries) == 0 {
		t.say("  none")
	}
}

func (n VersionView) writeText(t *text) {
	var marks []string
	if n.Newest {
		marks = append(marks, "newest")
	}
	if n.Payable {
		marks = append(marks, "payable")
	}
	t.say("  version %s, %s  [%s]", n.Serial, addresses(n.Size), strings.Join(marks, ", "))
	t.say("    root %s", n.Root)
	if n.Missed {
		t.say("    recorded by others, missed here: an address must be in it, and what it puts in is payable after the next version")
		return
	}
	if n.FirstSeen == "" {
		t.say("    from the genesis")
		return
	}
	t.say("    approved by %s", strings.Join(n.ApprovedBy, ", "))
	t.say("    first seen %s, payable %s", n.FirstSeen, n.PayableAt)
}

// BookList says what is to be listed.
type BookList struct {
	Entries bool
	Client  canon.Name // entries of this client only; empty for all
	Follows string     // of several newest versions: the beginning of the root of one
}

// Book prints which versions of the address book count at every signer, and the entries of the newest if they are asked for.
func (s *Session) Book(ctx context.Context, l BookList) error {
	h, newest, agreed := s.newestBook(ctx)
	if h == nil {
		return agreed
	}
	g := s.Charter.Genesis()
	v := BookView{Signers: []ShelfView{}, Agreed: agreed == nil, Needed: g.Roster.Quorum, Next: quorumText(g.Book.Quorum)}
	for _, a := range h {
		if a.err != nil {
			v.Unreachable = append(v.Unreachable, UnreachableView{a.signer, reasonText(a.err)})
			continue
		}
		v.Signers = append(v.Signers, a.view())
	}
	if len(v.Signers) == 0 {
		return fmt.Errorf("%w: %s", ErrUnreachable, firstError(v.Unreachable))
	}
	if l.Entries && agreed == nil {
		if err := s.listEntries(ctx, &v, newest, l); err != nil {
			return err
		}
	}
	if err := s.Print(v); err != nil {
		return err
	}
	if l.Entries {
		return agreed
	}
	return nil
}

func (s *Session) listEntries(ctx context.Context, v *BookView, newest []book.Root, l BookList) error {
	root, err := follows(newest, l.Follows)
	if err != nil {
		return err
	}
	tree, err := s.bookOf(ctx, root)
	if err != nil {
		return err
	}
	v.Listed = root.Hash.String()
	for e := range tree.All() {
		if l.Client != "" && e.Client != l.Client {
			continue
		}
		v.Entries = append(v.Entries, s.entryOfBook(e))
	}
	return nil
}

// follows returns the one of the newest versions to go on from.
func follows(newest []book.Root, name string) (book.Root, error) {
	if len(newest) == 1 && name == "" {
		return newest[0], nil
	}
	var all []string
	var found []book.Root
	for _, r := range newest {
		all = append(all, r.Hash.String())
		if name != "" && strings.HasPrefix(r.Hash.String(), strings.ToLower(name)) {
			found = append(found, r)
		}
	}
	if len(found) != 1 {
		return book.Root{}, fmt.Errorf("follows: expected the beginning of the root of one newest version, %s, found %q", strings.Join(all, ", "), name)
	}
	return found[0], nil
}
