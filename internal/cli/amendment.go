package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/proto/canon"
)

// maxEntry is the largest encoding of canon.CharterEntry.
const maxEntry = 2 << 20

// maxSource bounds the TOML of a charter and of a book, in bytes.
const maxSource = 64 << 20

// revise compiles the charter that a file describes as one that follows the charter in force.
func (s *Session) revise(from string) (*canon.Genesis, error) {
	text, err := s.read(from, maxSource)
	if err != nil {
		return nil, err
	}
	next, err := genesis.Revise(text, s.Charter.Genesis())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return next, nil
}

// Change says what an amendment is to be.
type Change struct {
	From    string // TOML of the whole charter
	Lift    bool   // instead: the charter as it is, with all live freezes lifted
	Confirm bool   // instead: the charter as it is, with all live freezes confirmed, so that they do not lapse
	Follows string // after a fork: the digest of the amendment to go on from
	Reason  string
	// NotBefore is when it may come into force; zero for now.
	NotBefore time.Time
	Out       string // file for it, which must not exist

	next *canon.Genesis // instead: this charter
}

// NewAmendment writes an amendment for officers to sign.
func (s *Session) NewAmendment(ctx context.Context, c Change) error {
	v, err := s.writeAmendment(ctx, c)
	if err != nil {
		return err
	}
	return s.Print(*v)
}

func (s *Session) writeAmendment(ctx context.Context, c Change) (*AmendmentView, error) {
	if err := s.settled(); err != nil {
		return nil, err
	}
	next, err := s.nextState(ctx, c)
	if err != nil {
		return nil, err
	}
	state, err := canon.Encode(*next)
	if err != nil {
		return nil, err
	}
	a := canon.Amendment{Organisation: s.Charter.Organisation(), Number: s.Charter.Number() + 1, Previous: s.Charter.Digest(), NotBefore: s.now(),
		State: state, Reason: canon.Text(c.Reason)}
	if !c.NotBefore.IsZero() {
		a.NotBefore = canon.TimeOf(c.NotBefore)
	}
	if err := s.heal(&a, c.Follows); err != nil {
		return nil, err
	}
	document, err := canon.Encode(a)
	if err != nil {
		return nil, err
	}
	e := canon.CharterEntry{Organisation: a.Organisation, Step: canon.StepPropose, Amendment: document, Approvals: []canon.Signed{}}
	d, err := s.draft(e, nil)
	if err != nil {
		return nil, err
	}
	if err := poolcheck.Refused(s.checkPools(d.Next)); err != nil {
		return nil, fmt.Errorf("amendment: %w", err)
	}
	encoded, err := canon.Encode(e)
	if err != nil {
		return nil, err
	}
	if err := writeNew(c.Out, encoded, 0o644); err != nil {
		return nil, err
	}
	v := s.amendmentView(d)
	v.File = c.Out
	return &v, nil
}

// settled refuses doubts about the charter in force, except a fork that is known here: amendments heal that.
func (s *Session) settled() error {
	if _, forked := s.Chain.Forked(); forked && len(s.news.doubts) == 1 {
		return nil
	}
	return s.trusted()
}

// heal makes the amendment one that ends a fork, if there is one.
func (s *Session) heal(a *canon.Amendment, follows string) error {
	fork, ok := s.Chain.Forked()
	if !ok && follows == "" {
		return nil
	}
	if !ok {
		return errors.New("follows: expected it after a fork only, found no fork")
	}
	digest, err := canon.ParseDigest(strings.ToLower(follows))
	if err != nil || !slices.Contains(fork.Amendments, digest) || len(fork.Amendments) != 2 {
		return fmt.Errorf("follows: expected one of the two amendments of number %d that forked, %s, found %q", fork.Number, digests(fork.Amendments), follows)
	}
	a.Number, a.Previous, a.Heals = fork.Number+1, digest, fork.Amendments
	return nil
}

func digests(list []canon.Digest) string {
	text := make([]string, len(list))
	for i, d := range list {
		text[i] = d.String()
	}
	return strings.Join(text, ", ")
}

func (s *Session) nextState(ctx context.Context, c Change) (*canon.Genesis, error) {
	given := 0
	for _, way := range []bool{c.From != "", c.Lift, c.Confirm, c.next != nil} {
		if way {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, errors.New("amendment: expected one of --from, --lift and --confirm-freeze, found none or several")
	case c.next != nil:
		return c.next, nil
	case c.From != "":
		return s.revise(c.From)
	}
	frozen, err := s.frozen(ctx)
	if err != nil {
		return nil, err
	}
	if c.Lift {
		return s.lifted(frozen)
	}
	return s.confirming(frozen)
}

// freeze is a freeze that holds now.
type freeze struct {
	FreezeView
	digest canon.Digest
}

// frozen returns the freezes that hold at some signer that answers.
func (s *Session) frozen(ctx context.Context) ([]freeze, error) {
	heard, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range heard.unreachable {
		s.Note("WARNING: %s did not say what is frozen: %s", u.Server, u.Error)
	}
	var out []freeze
	for _, f := range s.liveFreezes(heard) {
		digest, err := canon.ParseDigest(f.Statement)
		if err != nil {
			return nil, err
		}
		out = append(out, freeze{f, digest})
	}
	return out, nil
}

// lifted is the charter in force without the freezes. What was confirmed is so no more.
func (s *Session) lifted(frozen []freeze) (*canon.Genesis, error) {
	next := *s.Charter.Genesis()
	next.Lifted = slices.Clone(next.Lifted)
	for _, f := range frozen {
		s.Note("lifts the freeze by %s, statement %s", f.Officer, f.Statement)
		next.Lifted = append(next.Lifted, f.digest)
	}
	if len(frozen) == 0 {
		return nil, errors.New("amendment: expected a live freeze to lift, found none")
	}
	next.Confirmed = slices.DeleteFunc(slices.Clone(next.Confirmed), func(d canon.Digest) bool { return slices.Contains(next.Lifted, d) })
	return &next, nil
}

// confirming is the charter in force with the freezes confirmed, so that they do not lapse.
func (s *Session) confirming(frozen []freeze) (*canon.Genesis, error) {
	now := s.Charter.Genesis()
	next := *now
	next.Confirmed = slices.Clone(next.Confirmed)
	for _, f := range frozen {
		if slices.Contains(next.Confirmed, f.digest) {
			continue
		}
		s.Note("confirms the freeze by %s, statement %s", f.Officer, f.Statement)
		next.Confirmed = append(next.Confirmed, f.digest)
	}
	if len(next.Confirmed) == len(now.Confirmed) {
		return nil, errors.New("amendment: expected a live freeze that is not confirmed yet, found none")
	}
	return &next, nil
}

// readDraft reads the file of an amendment that officers sign.
func (s *Session) readDraft(path string) (*draft, error) {
	b, err := s.read(path, maxEntry)
	if err != nil {
		return nil, err
	}
	var e canon.CharterEntry
	if err := canon.Decode(b, &e); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if e.Step != canon.StepPropose || e.Organisation != s.Charter.Organisation() {
		return nil, fmt.Errorf("%w: %s: expected a proposal of organisation %s, found step %d of %s", ErrRefused, path, s.Charter.Organisation(), e.Step, e.Organisation)
	}
	d, err := s.draft(e, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// writeDraft puts the amendment with its approvals in the place of the file.
func writeDraft(path string, d *draft) error {
	entry, err := d.Entry(nil)
	if err != nil {
		return err
	}
	return replace(path, entry, 0o644)
}

// ShowAmendment prints an amendment: that of a file, or a proposed one by the beginning of its digest.
func (s *Session) ShowAmendment(name string) error {
	if _, err := os.Stat(name); err == nil || name == "-" {
		d, err := s.readDraft(name)
		if err != nil {
			return err
		}
		return s.Print(s.amendmentView(d))
	}
	p, err := s.findProposal(name)
	if err != nil {
		return err
	}
	return s.Print(p.view(s))
}

// prefix checks that a name is a digest or the beginning of one, in hexadecimal digits.
func prefix(name string) (string, error) {
	name = strings.ToLower(name)
	if len(name) < minPrefix || len(name) > 64 || strings.Trim(name, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest: expected %d to 64 hexadecimal digits, found %q", minPrefix, name)
	}
	return name, nil
}
