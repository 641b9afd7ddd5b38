package cli

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// vouched holds a version against what officers signed, or against the genesis.
func (s *Session) vouched(n *shelved, update []byte) error {
	if len(update) == 0 {
		first, _ := s.Chain.Charter(1)
		if want := book.Of(first); n.Root != want {
			return fmt.Errorf("expected the genesis's own version, %d with root %s, or an update, found version %d with root %s without one", want.Serial, want.Hash, n.Serial, n.Hash)
		}
		return nil
	}
	var u canon.BookUpdate
	var r canon.BookRoot
	if err := canon.Decode(update, &u); err != nil {
		return err
	}
	if err := canon.Decode(u.Root, &r); err != nil {
		return err
	}
	if said := (book.Root{Serial: r.Serial, Size: r.Size, Hash: r.Root}); said != n.Root || r.Organisation != s.Charter.Organisation() {
		return fmt.Errorf("expected version %d with root %s, as its update says, found %d with %s", said.Serial, said.Hash, n.Serial, n.Hash)
	}
	for _, signed := range u.Approvals {
		if by, err := s.librarian(canon.KindBookRoot.Digest(u.Root), signed); err == nil && !slices.Contains(n.by, string(by)) {
			n.by = append(n.by, string(by))
		}
	}
	slices.Sort(n.by)
	n.update, n.document = update, canon.KindBookRoot.Digest(u.Root)
	n.approved = n.newest && s.carried(canon.KindBookRoot.Digest(u.Root), u.Approvals)
	return nil
}

// carried reports whether the approvals met the book's quorum under the charter in force or one before it, at any time.
func (s *Session) carried(digest canon.Digest, approvals []canon.Signed) bool {
	for number := s.Charter.Number(); number > 0; number-- {
		if c, ok := s.Chain.Charter(number); ok {
			if tally, err := book.Tally(c, digest, approvals, 0, nil); err == nil && tally.Met {
				return true
			}
		}
	}
	return false
}

// librarian returns which officer, of the charter in force or of one before it, approved the version of the book by this document.
func (s *Session) librarian(digest canon.Digest, signed canon.Signed) (canon.Name, error) {
	a, _, err := approval.OpenApproval(s.Charter, signed)
	for number := s.Charter.Number() - 1; err != nil && number > 0; number-- {
		c, _ := s.Chain.Charter(number)
		if old, _, other := approval.OpenApproval(c, signed); other == nil {
			a, err = old, nil
		}
	}
	if err != nil {
		return "", err
	}
	if a.Object != canon.ObjectBookRoot || a.Digest != digest || a.Decision != canon.Approve {
		return "", fmt.Errorf("expected an approval of book root %s, found object kind %d, decision %d, %s", digest, a.Object, a.Decision, a.Digest)
	}
	return a.Officer, nil
}
