package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// BookEdit says what is to change in the address book: one entry, or those of a file.
type BookEdit struct {
	Remove  bool
	From    string // TOML of entries; else one entry by the fields below
	Chain   canon.ChainID
	Address string
	Client  canon.Name
	Account canon.Name
	Label   string
	Groups  []canon.Name // of the entry, in any order
	// Message is a file with what the holder signed over canon.Ownership; Deposit is one with the text of a micro-deposit. At most one of
	// them.
	Message, Deposit string

	Replace bool   // an entry that is added may take the place of another for the same address and client
	Follows string // of several newest versions: the beginning of the root of the one to go on from
	Reason  string
	Out     string // file for it, which must not exist
}

// EditBook writes a change of the address book for officers to sign. It begins from the newest version that a quorum of the signers names.
func (s *Session) EditBook(ctx context.Context, edit BookEdit) error {
	if err := s.trusted(); err != nil {
		return err
	}
	entries, err := s.bookEntries(edit)
	if err != nil {
		return err
	}
	known, newest, err := s.newestBook(ctx)
	if err != nil {
		return err
	}
	before, err := follows(newest, edit.Follows)
	if err != nil {
		return err
	}
	old, err := s.bookOf(ctx, before)
	if err != nil {
		return err
	}
	change, err := s.bookChange(old, entries, edit)
	if err != nil {
		return err
	}
	next, err := old.Apply(change.Remove, change.Add)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if change.Update, err = s.unapproved(known.next(before), before, next, edit.Reason); err != nil {
		return err
	}
	encoded, err := canon.Encode(*change)
	if err != nil {
		return err
	}
	if err := writeNew(edit.Out, encoded, 0o600); err != nil {
		return err
	}
	return s.showBookDraft(ctx, edit.Out, edit.evidence(), old)
}

func (e BookEdit) evidence() []string {
	if file := e.Message + e.Deposit; file != "" { // at most one of them
		return []string{file}
	}
	return nil
}

// unapproved encodes the version with that serial that comes after another, without an approval.
func (s *Session) unapproved(serial uint64, before book.Root, next *book.Tree, reason string) ([]byte, error) {
	root, err := canon.Encode(canon.BookRoot{Organisation: s.Charter.Organisation(), Serial: serial, Previous: before.Hash, Size: next.Size(), Root: next.Root(),
		Reason: canon.Text(reason)})
	if err != nil {
		return nil, err
	}
	return canon.Encode(canon.BookUpdate{Organisation: s.Charter.Organisation(), Root: root, Approvals: []canon.Signed{}})
}

// bookEntries returns the entries that the edit is about. Of those to remove, only what tells entries apart counts.
func (s *Session) bookEntries(edit BookEdit) ([]canon.BookEntry, error) {
	if edit.From == "" {
		e, err := s.bookEntry(edit)
		return []canon.BookEntry{e}, err
	}
	if edit.Chain != "" || edit.Address != "" || edit.Client != "" || len(edit.Groups) > 0 || edit.Message != "" || edit.Deposit != "" {
		return nil, errors.New("book: expected --from, or --chain, --address and --client, found both")
	}
	text, err := s.read(edit.From, maxSource)
	if err != nil {
		return nil, err
	}
	entries, err := genesis.ReadBook(text, s.Charter.Genesis().Chains)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", edit.From, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: expected at least one entry, found none", edit.From)
	}
	return entries, nil
}

func (s *Session) bookEntry(edit BookEdit) (canon.BookEntry, error) {
	if edit.Chain == "" || edit.Address == "" || edit.Client == "" || !edit.Remove && edit.Account == "" {
		return canon.BookEntry{}, errors.New("book: expected --from, or --chain, --address, --client and, for an entry that comes, --account, found fewer")
	}
	_, address, err := s.placed(edit.Chain, edit.Address)
	if err != nil {
		return canon.BookEntry{}, err
	}
	e := canon.BookEntry{Chain: edit.Chain, Address: address, Client: edit.Client, Account: edit.Account, Label: canon.Text(edit.Label),
		Groups: slices.Sorted(slices.Values(edit.Groups))}
	if err := e.Label.Check(); err != nil {
		return e, fmt.Errorf("label: %w", err)
	}
	for _, g := range e.Groups {
		if err := g.Check(); err != nil || g == canon.Any {
			return e, fmt.Errorf("groups: expected names, found %.80q", g)
		}
	}
	if err := e.Check(); err != nil {
		return e, err
	}
	switch {
	case edit.Message != "" && edit.Deposit != "":
		return e, errors.New("proof: expected a signed message or a deposit, found both")
	case edit.Message != "":
		return e, s.prove(&e, book.ProofMessage, edit.Message)
	case edit.Deposit != "":
		return e, s.prove(&e, book.ProofDeposit, edit.Deposit)
	}
	return e, nil
}

// prove verifies evidence of ownership, and binds it to the entry.
func (s *Session) prove(e *canon.BookEntry, kind uint64, path string) error {
	text, err := s.read(path, maxOwnership)
	if err != nil {
		return err
	}
	e.Proof = kind
	digest, err := s.evidence(*e, text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	e.Evidence = digest[:]
	return nil
}

// bookChange says what becomes of the entries of a book.
func (s *Session) bookChange(old *book.Tree, entries []canon.BookEntry, edit BookEdit) (*canon.BookChange, error) {
	c := &canon.BookChange{Organisation: s.Charter.Organisation(), Remove: []canon.BookKey{}, Add: []canon.BookEntry{}}
	var l refusal.List
	for i, e := range entries {
		field := fmt.Sprintf("entries[%d]", i)
		key := keyOfEntry(e)
		at, found := old.Find(key)
		switch {
		case edit.Remove && !found:
			l.Add("book", field, "an entry of the book", s.entryOfBook(e).Address+" for "+string(e.Client))
		case edit.Remove:
			c.Remove = append(c.Remove, key)
			continue
		case found && same(old.Entry(at), e):
			l.Add("book", field, "an entry that is not in the book", s.entryOfBook(e).Address+" for "+string(e.Client)+", which is, with the same account, label and groups")
		case found && !edit.Replace:
			l.Add("book", field, "an entry that is not in the book, or --replace", s.entryOfBook(e).Address+" for "+string(e.Client))
		case found:
			c.Remove = append(c.Remove, key)
		}
		l.Join("book", field, s.checkEntry(e))
		c.Add = append(c.Add, e)
	}
	return c, l.Err()
}

func same(a, b canon.BookEntry) bool {
	x, errA := canon.Encode(a)
	y, errB := canon.Encode(b)
	return errA == nil && errB == nil && slices.Equal(x, y)
}

// ShowBookChange prints the change of a file. It fails, after printing, if the change must not be signed.
func (s *Session) ShowBookChange(ctx context.Context, path string, evidence []string) error {
	return s.showBookDraft(ctx, path, evidence, nil)
}

func (s *Session) showBookDraft(ctx context.Context, path string, evidence []string, old *book.Tree) error {
	d, err := s.examined(ctx, path, evidence, old)
	if err != nil {
		return err
	}
	v := s.bookChangeView(d)
	v.File = path
	if err := s.Print(v); err != nil {
		return err
	}
	if d.problem != nil && !d.stale {
		return fmt.Errorf("%s: %w", path, ErrRefused)
	}
	return nil
}

// examined reads a change and checks all of it on this machine. old is the book that it follows, if it is at hand.
func (s *Session) examined(ctx context.Context, path string, evidence []string, old *book.Tree) (*bookDraft, error) {
	d, err := s.readBookDraft(path)
	if err != nil {
		return nil, err
	}
	d.old = old
	if err := s.witness(d, evidence); err != nil {
		return nil, err
	}
	s.check(ctx, d)
	return d, nil
}
