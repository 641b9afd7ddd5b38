package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// bookTimeout bounds a call about the book.
const bookTimeout = 10 * time.Second

// watchBooks follows what signers ask for until ctx ends, and hands them what they lack: also what a crash kept from being handed out.
func (s *Service) watchBooks(ctx context.Context) {
	known := ""
	every(ctx, s.Poll, func() {
		s.learnBooks(ctx)
		if found := s.demand(); found != known {
			known = found
			s.nudgeOpen(ctx)
		}
	})
}

// demand is what decides whom signers pay, as far as liars cannot change it at will: which versions an address must be in now for more
// signers than may lie and for a quorum, whether their entries are here, and whether enough signers were heard at all. When a version becomes
// payable is in it by the clock, not by what anybody says of the past.
func (s *Service) demand() string {
	c, now := s.charter(), s.now()
	roster := c.Genesis().Roster
	heard, asking := 0, map[book.Requirement]int{}
	for _, name := range s.roster() {
		a := s.Books.lastSaid(name)
		if a == nil {
			continue
		}
		heard++
		counted := map[book.Requirement]bool{}
		for _, r := range a.required(now) {
			if !counted[r] {
				counted[r] = true
				asking[r]++
			}
		}
	}
	rank := func(n int) int { // 0 for as many as may lie, 2 for a quorum
		switch {
		case n >= int(roster.Quorum):
			return 2
		case n > int(roster.Faults):
			return 1
		}
		return 0
	}
	out := []string{fmt.Sprintf("heard %d", rank(heard))}
	for r, n := range asking {
		if rank(n) > 0 {
			out = append(out, fmt.Sprintf("%d %s %t %d %t", r.Serial, r.Hash, r.Newest, rank(n), s.Books.tree(r.Hash) != nil))
		}
	}
	for root := range s.Books.here(now, s.cooldown()) {
		out = append(out, fmt.Sprintf("here %s %t", root, s.Books.tree(root) != nil))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// lastSaid returns what a signer asked for when it was last heard, nil if it never was.
func (b *Books) lastSaid(signer canon.Name) *asked {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.asked[signer]
}

// bookAnswer is what came of asking one signer.
type bookAnswer struct {
	asked   *asked
	refused error // why it did not take a version that it lacks
}

// learnBooks asks all signers which versions they ask for, hands them the newest, and keeps the trees for what they want then.
func (s *Service) learnBooks(ctx context.Context) {
	members := s.members()
	s.Books.only(members)
	answers := ask(ctx, s.signers, members, bookTimeout, s.askBook)
	for a := range answers {
		err := a.err
		if err == nil {
			s.Books.heard(a.signer, a.value.asked, s.now())
			err = a.value.refused
		}
		s.bookTrouble(ctx, a.signer, err)
	}
	if err := s.Books.keep(ctx, s.keptRoots, s.now()); err != nil && ctx.Err() == nil {
		s.Log.Error("address book", "error", err.Error())
	}
}

// cooldown is the charter's, in seconds.
func (s *Service) cooldown() uint64 { return s.charter().Genesis().Delays.BookCooldown }

// askBook asks one signer, and again if it took what it lacked.
func (s *Service) askBook(ctx context.Context, signer Signer) (bookAnswer, error) {
	out, err := getBook(ctx, signer)
	if err != nil {
		return bookAnswer{}, err
	}
	taken := false
	for _, v := range s.Books.all().Newest() {
		if v.Update == nil || !out.lacks(v) {
			continue
		}
		if _, err := signer.Books.SubmitBookUpdate(ctx, &strongroomv1.SubmitBookUpdateRequest{Update: v.Update}); err != nil {
			return bookAnswer{asked: out, refused: fmt.Errorf("version %d: %w", v.Serial, err)}, nil
		}
		taken = true
	}
	if !taken {
		return bookAnswer{asked: out}, nil
	}
	out, err = getBook(ctx, signer)
	return bookAnswer{asked: out}, err
}

func getBook(ctx context.Context, signer Signer) (*asked, error) {
	reply, err := signer.Books.GetBook(ctx, &strongroomv1.GetBookRequest{})
	if err != nil {
		return nil, err
	}
	return readAsked(reply)
}

// heard takes in what a signer asks for.
func (b *Books) heard(signer canon.Name, a *asked, now canon.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked[signer] = a
	// Only what somebody asks for now is remembered as missed.
	missed := map[canon.Digest]map[canon.Name]canon.Time{}
	for name, a := range b.asked {
		for _, r := range a.roots() {
			if b.known(r.Hash) {
				continue
			}
			if missed[r.Hash] == nil {
				missed[r.Hash] = map[canon.Name]canon.Time{}
			}
			missed[r.Hash][name] = now
			if since, ok := b.missed[r.Hash][name]; ok {
				missed[r.Hash][name] = since
			}
		}
	}
	b.missed = missed
}

// only forgets what others than these asked for: an amendment took them away.
func (b *Books) only(signers []canon.Name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.asked, func(name canon.Name, _ *asked) bool { return !slices.Contains(signers, name) })
}

// keptRoots returns the roots whose trees are worth their memory: what is required by what is known here, and what proofs are given under.
// It maps to true what more signers ask for than may lie.
func (s *Service) keptRoots() map[canon.Digest]bool {
	out := s.Books.here(s.now(), s.cooldown())
	n := 0
	for _, r := range s.wantedRoots() {
		if n == maxProofs {
			break
		}
		if s.Books.has(r.root) {
			out[r.root] = out[r.root] || r.signers > int(s.charter().Genesis().Roster.Faults)
			n++
		}
	}
	return out
}

// askedBy returns what a signer asks for, or what it would if it knew what is known here: signers are asked as soon as they can be reached.
func (b *Books) askedBy(signer canon.Name, now canon.Time, cooldown uint64) *asked {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if a := b.asked[signer]; a != nil {
		return a
	}
	return askedHere(b.versions, now, cooldown)
}

// missing returns which versions a signer asks for whose entries are not here.
func (b *Books) missing(signer canon.Name) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	a := b.asked[signer]
	if a == nil {
		return nil
	}
	for _, r := range a.roots() {
		if !b.known(r.Hash) {
			return &missingError{r}
		}
	}
	return nil
}

// errComing says that a tree is not there yet: it is being computed, or an officer's device that was with the signers is on its way here.
var errComing = errors.New("address book: expected the entries of a version that signers ask for, found that they are on their way")

// maxWay is how long a change may be on its way from the signers to here, in seconds.
const maxWay = 60

// lacking says why there is no tree of a version. How long its entries are missing counts from when more signers asked for it than may lie.
func (b *Books) lacking(r book.Root, now canon.Time, faults int) error {
	b.mu.RLock()
	defer b.mu.RUnlock()
	since := slices.Sorted(maps.Values(b.missed[r.Hash]))
	if b.known(r.Hash) || len(since) <= faults || now < since[faults]+maxWay {
		return errComing
	}
	return &missingError{r}
}

// missingError says that entries are not here that signers ask for.
type missingError struct{ root book.Root }

func (e *missingError) Error() string {
	return fmt.Sprintf("address book: expected the entries of version %d, root %s, which signers ask for, found none: an officer's device must send the change that makes it (SubmitBookChange)",
		e.root.Serial, e.root.Hash)
}

// bookTrouble logs trouble with what a signer asks for when it begins.
func (s *Service) bookTrouble(ctx context.Context, signer canon.Name, err error) {
	if missing := s.Books.missing(signer); missing != nil {
		err = errors.Join(missing, err)
	}
	trouble := ""
	if err != nil {
		trouble = clean(err.Error())
	}
	s.heard.mu.Lock()
	defer s.heard.mu.Unlock()
	if trouble != "" && trouble != s.heard.book[signer] && ctx.Err() == nil {
		s.Log.Warn("address book of a signer", "signer", string(signer), "error", trouble)
	}
	s.heard.book[signer] = trouble
}

// handOut gives an update to every signer, and returns which recorded it, sorted, and what the others said.
func (s *Service) handOut(ctx context.Context, update []byte) (recorded []string, r round) {
	answers := ask(ctx, s.signers, s.members(), bookTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.SubmitBookUpdateResponse, error) {
		return signer.Books.SubmitBookUpdate(ctx, &strongroomv1.SubmitBookUpdateRequest{Update: update})
	})
	for a := range answers {
		if a.err == nil {
			recorded = append(recorded, string(a.signer))
		} else {
			r.note(a.signer, a.err)
		}
	}
	slices.Sort(recorded)
	return recorded, r
}

// err returns what signers answered that did not do what they were asked for.
func (r round) err() error {
	if r.refused > 0 {
		return &refusal.Refusal{Failures: r.refusals}
	}
	return errors.Join(r.silent...)
}

// said returns why signers did not do what they were asked for, a line for each reason.
func (r round) said() []string {
	var out []string
	for _, f := range r.refusals {
		out = append(out, clean(fmt.Sprintf("%s: %s: expected %s, found %s", f.Rule, f.Field, f.Expected, f.Found)))
	}
	for _, err := range r.silent {
		out = append(out, clean(strings.ReplaceAll(err.Error(), "\n", "; ")))
	}
	slices.Sort(out)
	return out
}
