package amendment

import (
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Head returns what the signer of that name may sign about the charter in force. A forked chain has no head to speak of.
func (c *Chain) Head(signer canon.Name, now canon.Time) (*canon.Head, error) {
	if c.fork != nil {
		return nil, refusal.New("fork", "charter", "one charter in force", fmt.Sprintf("%d amendments of number %d", len(c.fork.Amendments), c.fork.Number))
	}
	current := c.Current()
	return &canon.Head{Organisation: c.genesis.Organisation(), Signer: signer, Number: current.Number(), Charter: current.Digest(), Time: now}, nil
}

// OpenHead verifies a signer's statement of its head, by the roster of the charter in force. A number above that of the charter in force
// says that a newer one is being withheld from us; the same number with another digest says that there is a fork.
func (c *Chain) OpenHead(s canon.Signed) (*canon.Head, error) {
	var h canon.Head
	if err := canon.Decode(s.Document, &h); err != nil {
		return nil, refusal.New("head", "document", "a canonical statement", err.Error())
	}
	if err := checkSigner(c.Current(), s, canon.KindHead, h.Organisation, h.Signer); err != nil {
		return nil, err
	}
	return &h, nil
}

// CheckJoin refuses to begin with this chain unless q distinct members of its roster say that its head is the charter in force, and its
// number is at least the minimum that a person typed. A statement that does not verify, or names another head, is refused and not
// passed over. The error is a *refusal.Refusal.
func (c *Chain) CheckJoin(heads []canon.Signed, minimum uint64) error {
	now := c.Current()
	var l refusal.List
	if c.fork != nil {
		l.Add("fork", "charter", "one charter in force", fmt.Sprintf("%d amendments of number %d", len(c.fork.Amendments), c.fork.Number))
	}
	if now.Number() < minimum {
		l.Add("join", "charter.number", fmt.Sprintf("at least %d, as typed", minimum), fmt.Sprint(now.Number()))
	}
	if len(heads) > maxApprovals {
		l.Add("join", "heads", fmt.Sprintf("at most %d", maxApprovals), fmt.Sprint(len(heads)))
		return l.Err()
	}
	signers := map[canon.Name]bool{}
	for i, s := range heads {
		h, err := c.OpenHead(s)
		switch {
		case err != nil:
			l.Join("join", fmt.Sprintf("heads[%d]", i), under(fmt.Sprintf("heads[%d].", i), err))
		case h.Number != now.Number() || h.Charter != now.Digest():
			l.Add("join", fmt.Sprintf("heads[%d].charter", i), fmt.Sprintf("number %d, %s", now.Number(), now.Digest()), fmt.Sprintf("number %d, %s, by %s", h.Number, h.Charter, h.Signer))
		default:
			signers[h.Signer] = true
		}
	}
	if q := now.Genesis().Roster.Quorum; uint64(len(signers)) < q {
		l.Add("join", "heads", fmt.Sprintf("statements of %d distinct signers", q), fmt.Sprintf("%d, by %s", len(heads), joined(slices.Sorted(maps.Keys(signers)))))
	}
	return l.Err()
}
