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
	"github.com/strongroom/strongroom/proto/canon"
)

// maxEntry is the largest encoding of canon.CharterEntry.
const maxEntry = 2 << 20

// maxSource bounds the TOML of a charter and of a book, in bytes.
const maxSource = 64 << 20

// compile reads a whole charter from the files that people write.
func (a *App) compile(from, book string) (*genesis.Charter, error) {
	text, err := a.read(from, maxSource)
	if err != nil {
		return nil, err
	}
	entries, err := a.read(book, maxSource)
	if err != nil {
		return nil, err
	}
	return genesis.Build(text, entries)
}

// revise compiles the charter that the files describe as one that follows the charter in force. What the files cannot say stays as it
// is: lifted freezes, and how many recovery keys it takes.
func (s *Session) revise(from, book string) (*canon.Genesis, error) {
	c, err := s.compile(from, book)
	if err != nil {
		return nil, err
	}
	now, next := s.Charter.Genesis(), c.Genesis
	if next.Salt != now.Salt {
		return nil, fmt.Errorf("%w: %s: salt: expected that of the organisation, %s, found %s", ErrRefused, from, now.Salt, next.Salt)
	}
	next.Lifted = slices.Clone(now.Lifted)
	if next.RecoveryCount == 0 {
		next.RecoveryCount, next.Delays.Recovery = now.RecoveryCount, now.Delays.Recovery
	}
	b, err := canon.Encode(next)
	if err != nil {
		return nil, err
	}
	var read canon.Genesis // as everybody will read it
	return &read, canon.Decode(b, &read)
}

// Change says what an amendment is to be.
type Change struct {
	From, Book string // TOML of the whole charter and of its book
	Lift       bool   // instead: the charter as it is, with all live freezes lifted
	Follows    string // after a fork: the digest of the amendment to go on from
	Reason     string
	NotBefore  time.Time // zero for now
	Out        string    // file for it, which must not exist
}

// NewAmendment writes an amendment for officers to sign.
func (s *Session) NewAmendment(ctx context.Context, c Change) error {
	if err := s.settled(); err != nil {
		return err
	}
	next, err := s.nextState(ctx, c)
	if err != nil {
		return err
	}
	state, err := canon.Encode(*next)
	if err != nil {
		return err
	}
	a := canon.Amendment{Organisation: s.Charter.Organisation(), Number: s.Charter.Number() + 1, Previous: s.Charter.Digest(), NotBefore: s.now(),
		State: state, Reason: canon.Text(c.Reason)}
	if !c.NotBefore.IsZero() {
		a.NotBefore = canon.TimeOf(c.NotBefore)
	}
	if err := s.heal(&a, c.Follows); err != nil {
		return err
	}
	document, err := canon.Encode(a)
	if err != nil {
		return err
	}
	e := canon.CharterEntry{Organisation: a.Organisation, Step: canon.StepPropose, Amendment: document, Approvals: []canon.Signed{}}
	d, err := s.draft(e, nil)
	if err != nil {
		return err
	}
	encoded, err := canon.Encode(e)
	if err != nil {
		return err
	}
	if err := writeNew(c.Out, encoded, 0o644); err != nil {
		return err
	}
	v := s.amendmentView(d)
	v.File = c.Out
	return s.Print(v)
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
	if c.Lift == (c.From != "" || c.Book != "") || (!c.Lift && (c.From == "" || c.Book == "")) {
		return nil, errors.New("amendment: expected --from and --book, or --lift alone")
	}
	if !c.Lift {
		return s.revise(c.From, c.Book)
	}
	heard, err := s.listen(ctx)
	if err != nil {
		return nil, err
	}
	for _, u := range heard.unreachable {
		s.Note("WARNING: %s did not say what is frozen: %s", u.Server, u.Error)
	}
	next := *s.Charter.Genesis()
	next.Lifted = slices.Clone(next.Lifted)
	for _, f := range s.liveFreezes(heard) {
		digest, err := canon.ParseDigest(f.Statement)
		if err != nil {
			return nil, err
		}
		s.Note("lifts the freeze by %s, statement %s", f.Officer, f.Statement)
		next.Lifted = append(next.Lifted, digest)
	}
	if len(next.Lifted) == len(s.Charter.Genesis().Lifted) {
		return nil, errors.New("amendment: expected a live freeze to lift, found none")
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
