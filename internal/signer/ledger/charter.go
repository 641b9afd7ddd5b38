package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Bounds of what a quorum of officers can make the ledger write about the charter.
const (
	// MaxProposals is the number of proposals that wait at the same time.
	MaxProposals = 64
	// MaxProposalRecords is the number of records of one proposal: each adds approvals.
	MaxProposalRecords = 16
	// MaxEntry is the size of an entry, so that it fits into a record.
	MaxEntry = maxPayload - 1024
	// roomForHeld is what a proposal leaves for the words of signers that enact it.
	roomForHeld = 64 << 10
	// maxDelay keeps sums of times in bounds: no delay beyond it ever ends.
	maxDelay = 1 << 40
	// grace is for how many seconds after it spoke for one amendment a signer speaks for no other that would exclude it. Without it two
	// amendments that are ready at the same time would fork the charter; for ever, a split of the signers would end all amendments. A
	// veto that came since does not shorten it: others may have said that they held the vetoed one before they knew of the veto, and
	// whoever has the words of q of them, this signer's among those, enacts it. No signer can tell by itself that nobody does.
	grace = 600
)

// errNoCharter says that the ledger was opened without a genesis.
var errNoCharter = errors.New("ledger: expected a charter to follow, found none")

// noted is what the ledger has of a proposal besides the proposal itself.
type noted struct {
	seen    canon.Time // when it was first recorded
	records int
	held    *canon.Signed
	until   canon.Time // when that was said
}

// Enacted is an entry that changed the charter.
type Enacted struct {
	Number uint64 // of the charter that it makes
	Entry  []byte // encoding of canon.CharterEntry
}

// follow begins the charter's chain, and the address book, at the genesis.
func (x *Index) follow(genesis []byte) (err error) {
	if x.chain, err = amendment.Open(genesis, x.organisation); err != nil {
		return err
	}
	x.book = book.Begin(x.chain.Current())
	x.confirm(0)
	return x.thaw()
}

// Chain returns the charter in force with the amendments that wait.
func (x *Index) Chain() *amendment.Chain { return x.chain }

// current returns the charter in force, nil if the ledger follows none.
func (x *Index) current() *charter.Charter {
	if x.chain == nil {
		return nil
	}
	return x.chain.Current()
}

// Freezes returns the officers' freezes that the charter in force did not lift, with those that it confirms. Callers must not add to it, nor keep it.
func (x *Index) Freezes() *approval.Set { return x.freezes }

// FirstSeen returns when the proposal was first recorded, false if it does not wait, or was put aside for others because nothing can
// enact it.
func (x *Index) FirstSeen(amendment canon.Digest) (canon.Time, bool) {
	n := x.noted[amendment]
	if n == nil {
		return 0, false
	}
	return n.seen, true
}

// Enacted returns the entries that make that charter or a later one, each after the one that it follows. Callers must not change them.
func (x *Index) Enacted(from uint64) []Enacted {
	all := slices.DeleteFunc(slices.Clone(x.enacted), func(e Enacted) bool { return e.Number < from })
	slices.SortStableFunc(all, func(a, b Enacted) int { return int(a.Number) - int(b.Number) })
	return all
}

// Began reports whether this signer promised anything, or made sure that it has the charter in force.
func (x *Index) Began() bool { return x.began }

// Chain returns the charter in force with the amendments that wait, as of the last record. It does not wait for the lock.
func (l *Ledger) Chain() *amendment.Chain { return l.chain.Load() }

// enactable refuses a proposal that would not fit into a record any more when signers have spoken for it.
func enactable(p *amendment.Proposal) error {
	all, err := p.Entry(nil)
	if err != nil {
		return refusal.New("entry", "entry", "an entry with all approvals that are known", err.Error())
	}
	if most := MaxEntry - roomForHeld; len(all) > most {
		return refusal.New("entry", "entry", fmt.Sprintf("at most %d bytes, with all approvals that are known", most), fmt.Sprint(len(all)))
	}
	return nil
}

// SayHeld returns this signer's word that it held the proposal since it first recorded it, if the chain lets it say so now. What it said
// once, it says again. Of several proposals it speaks for one: the first by digest, and for grace for no other. sign makes the signature; the word is durable when SayHeld returns it. The error is a *refusal.Refusal where a rule
// stands against it.
func (l *Ledger) SayHeld(amendment canon.Digest, now canon.Time, sign func(canon.Held) (canon.Signed, error)) (canon.Signed, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := l.index
	n := x.noted[amendment]
	if n == nil {
		return canon.Signed{}, refusal.New("chain", "amendment", "a proposal that may be enacted next", amendment.String())
	}
	held, err := x.chain.Hold(amendment, x.signer, n.seen, now, x.statements)
	if err != nil {
		return canon.Signed{}, err
	}
	if n.held != nil {
		return *n.held, l.failed
	}
	if err := x.unrivalled(amendment, now); err != nil {
		return canon.Signed{}, err
	}
	signed, err := sign(*held)
	if err != nil {
		return canon.Signed{}, fmt.Errorf("ledger: sign held: %w", err)
	}
	return signed, l.append(kindHeld, heldRecord{Held: signed})
}

// unrivalled refuses to speak for a proposal beside another one.
func (x *Index) unrivalled(amendment canon.Digest, now canon.Time) error {
	for d, n := range x.noted {
		if d != amendment && n.held != nil && now < n.until+grace {
			return refusal.New("held", "amendment", fmt.Sprintf("no other amendment that this signer spoke for after %d", now-min(now, grace)), d.String())
		}
	}
	for _, p := range x.chain.Proposals() { // by digest
		n := x.noted[p.Digest]
		if p.Digest == amendment {
			return nil
		}
		if n == nil || uint64(now) < uint64(n.seen)+p.Delay {
			continue // most of those that wait: no signature need be verified for that
		}
		if _, err := x.chain.Hold(p.Digest, x.signer, n.seen, now, x.statements); err == nil {
			return refusal.New("held", "amendment", "the first by digest of those that may be enacted now, "+p.Digest.String(), amendment.String())
		}
	}
	return nil
}

// Join records that this signer made sure that it has the charter in force. check is called under the lock before anything is written.
func (l *Ledger) Join(check func(*Index) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.index.began {
		return l.failed
	}
	if err := check(l.index); err != nil {
		return err
	}
	c := l.index.current()
	if c == nil {
		return errNoCharter
	}
	return l.append(kindJoined, joinedRecord{Number: c.Number(), Charter: c.Digest()})
}

// applyProposal takes a proposal into the chain. One that the chain does not take any more is passed over: nothing rests on it.
func (x *Index) applyProposal(r record) error {
	var v proposalRecord
	if err := decode(r.payload, &v); err != nil || x.chain == nil {
		return err
	}
	next, p, err := x.proposing(v.Entry, v.Seen)
	if err != nil {
		return nil
	}
	n := x.noted[p.Digest]
	if n == nil {
		x.evict(v.Seen)
	}
	x.chain = next
	if n == nil {
		n = &noted{seen: v.Seen}
		x.noted[p.Digest] = n
	}
	n.records++
	return nil
}

func (x *Index) applyEnacted(r record) error {
	var v enactedRecord
	if err := decode(r.payload, &v); err != nil || x.chain == nil {
		return err
	}
	next, err := x.following(v.Entry, v.Time)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if next == x.chain {
		return fmt.Errorf("%w: expected one record for each amendment, found a second", ErrDamaged)
	}
	number, err := numberOf(v.Entry)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	x.chain = next
	x.enacted = append(x.enacted, Enacted{Number: number, Entry: bytes.Clone(v.Entry)})
	for d := range x.noted {
		if _, waits := next.Proposal(d); !waits {
			delete(x.noted, d)
		}
	}
	x.confirm(v.Time)
	return x.thaw()
}

func numberOf(entry []byte) (uint64, error) {
	var e canon.CharterEntry
	var a canon.Amendment
	if err := canon.Decode(entry, &e); err != nil {
		return 0, err
	}
	err := canon.Decode(e.Amendment, &a)
	return a.Number, err
}

// applyHeld keeps what this signer said. If the proposal waits no longer, nobody will ask for it.
func (x *Index) applyHeld(r record) error {
	var v heldRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	var held canon.Held
	if err := canon.Decode(v.Held.Document, &held); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if n := x.noted[held.Amendment]; n != nil {
		n.held, n.until = &v.Held, held.Until
	}
	return nil
}

func (x *Index) applyJoined(r record) error {
	var v joinedRecord
	if err := decode(r.payload, &v); err != nil {
		return err
	}
	x.began = true
	return nil
}

// lifted reports whether the charter in force lifts the freeze of that id.
func (x *Index) lifted(id canon.Digest) bool {
	c := x.current()
	return c != nil && slices.Contains(c.Genesis().Lifted, id)
}

// freeze notes a statement that was just recorded among the freezes, if it is one and is not lifted. A freeze that is lifted counts as one
// that was never there, so that its officer may freeze again.
func (x *Index) freeze(id canon.Digest) error {
	r, _ := x.statements.Get(id)
	if r.Verb != canon.StateFreeze || x.lifted(id) {
		return nil
	}
	_, err := x.freezes.Add(r.Signed, r.Seen)
	return err
}

// confirm notes which freezes the charter in force confirms.
func (x *Index) confirm(now canon.Time) {
	before := x.confirmedFreezes
	x.confirmedFreezes = make(map[canon.Digest]canon.Time)
	for _, id := range x.current().Genesis().Confirmed {
		x.confirmedFreezes[id] = now
		if since, ok := before[id]; ok {
			x.confirmedFreezes[id] = since
		}
	}
}

// thaw works out the freezes anew, after the charter changed. One that was confirmed holds whatever became of it before, also if it had
// lapsed or never came here. One that is lifted is not confirmed, see charter.Lint.
func (x *Index) thaw() error {
	x.freezes = approval.NewSet()
	for id, since := range x.confirmedFreezes {
		if r, known := x.statements.Get(id); !known || r.Verb == canon.StateFreeze {
			x.freezes.Confirm(id, since)
		}
	}
	for _, id := range x.statements.IDs(canon.Digest{}, x.statements.Len()) {
		if err := x.freeze(id); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return nil
}
