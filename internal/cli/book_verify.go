package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// BookQuestion asks about one address of the book.
type BookQuestion struct {
	Address  string
	Client   canon.Name
	Chain    canon.ChainID // empty: the one chain of the charter whose address it is
	Proof    string        // file with proofs, instead of the whole book
	Evidence string        // file with evidence of ownership
}

// StandingView is whether an address may be paid for a client.
type StandingView struct {
	EntryOfBook
	Known bool `json:"known"` // in the book of some signer
	// Payable are the signers that pay it now, by their own clocks.
	Payable []string         `json:"payable"`
	Needed  uint64           `json:"needed"` // signers that a withdrawal takes
	Signers []StandingAtView `json:"signers"`
	File    string           `json:"file,omitempty"`
}

// StandingAtView is where an address stands at one signer, by proofs under the roots that it names; the times are its word.
type StandingAtView struct {
	Signer    string `json:"signer"`
	InNewest  bool   `json:"in_newest"`
	InPayable bool   `json:"in_payable"`
	// Since is from when on it is payable at the latest, by the versions that the signer names; those that it does not name may have it too.
	Since string `json:"since,omitempty"`
	Error string `json:"error,omitempty"`
}

func (v StandingView) writeText(t *text) {
	if v.Known {
		v.EntryOfBook.writeText(t)
	} else {
		t.say("  %s", v.Address)
		t.say("    on %s, for %s: in no version of the book that was looked at", v.Chain, v.Client)
	}
	t.gap()
	for _, a := range v.Signers {
		t.say("%s: %s", a.Signer, a.words())
	}
	verdict := "NOT payable"
	if uint64(len(v.Payable)) >= v.Needed {
		verdict = "payable"
	}
	t.say("%s: %s signers pay it now, a withdrawal takes %s.", verdict, len(v.Payable), v.Needed)
	if v.File != "" {
		t.field("Written to", v.File)
	}
}

func (a StandingAtView) words() string {
	switch {
	case a.Error != "":
		return "unknown: " + a.Error
	case a.InNewest && a.InPayable && a.Since != "":
		return "payable, since " + a.Since + " at the latest"
	case a.InNewest && a.InPayable:
		return "payable"
	case a.InNewest:
		return "in the newest version, payable from " + a.Since + " at the latest"
	case a.InPayable:
		return "not payable: taken out of the newest version"
	}
	return "not payable: in none of the versions"
}

// VerifyBook prints where an address stands, by proofs under the roots that signers name. It fails, after printing, if it is not payable
// at as many signers as a withdrawal takes, or if evidence of ownership that was given is not that of the entry.
func (s *Session) VerifyBook(ctx context.Context, q BookQuestion) error {
	v, entry, _, err := s.stand(ctx, q)
	if err != nil {
		return err
	}
	if q.Evidence != "" {
		if err := s.reckon(v, entry, q.Evidence); err != nil {
			return err
		}
	}
	if err := s.Print(*v); err != nil {
		return err
	}
	if uint64(len(v.Payable)) < v.Needed {
		return fmt.Errorf("%s: %w: not payable", v.Address, ErrRefused)
	}
	return nil
}

// reckon checks evidence of ownership.
func (s *Session) reckon(v *StandingView, entry *canon.BookEntry, path string) error {
	evidence, err := s.read(path, maxOwnership)
	if err != nil {
		return err
	}
	if entry == nil {
		return refusal.New("ownership", path, "an entry of the book", "none for "+v.Address)
	}
	if err := s.shows(*entry, evidence); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	v.Shown = true
	return nil
}

// ProveBook writes the proofs of an address under every version that some signer asks for to a file that must not exist.
func (s *Session) ProveBook(ctx context.Context, q BookQuestion, out string) error {
	v, entry, proofs, err := s.stand(ctx, q)
	if err != nil {
		return err
	}
	if entry == nil {
		return refusal.New("book", "address", "an address of the book", v.Address+" for "+v.Client)
	}
	f := BookProofFile{Address: v.Address, Client: v.Client, Proofs: []ProofOfBook{}}
	for _, p := range proofs {
		f.Proofs = append(f.Proofs, proofOfBook(p))
	}
	b, err := marshal(f)
	if err != nil {
		return err
	}
	if err := writeNew(out, b, 0o600); err != nil {
		return err
	}
	v.File = out
	return s.Print(*v)
}

// stand asks signers for their roots, and holds the address against each. The entry is nil if it is in none of them.
func (s *Session) stand(ctx context.Context, q BookQuestion) (*StandingView, *canon.BookEntry, []canon.BookProof, error) {
	key, err := s.bookKey(q)
	if err != nil {
		return nil, nil, nil, err
	}
	h, err := s.shelves(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	look := s.inWholeBooks(ctx, key)
	if q.Proof != "" {
		if look, err = s.inProofs(q.Proof, key); err != nil {
			return nil, nil, nil, err
		}
	}
	found, entry, proofs := s.findIn(h, look, key)
	v := &StandingView{EntryOfBook: s.entryOfBook(canon.BookEntry{Chain: key.Chain, Address: key.Address, Client: key.Client}), Payable: []string{},
		Needed: s.Charter.Genesis().Roster.Quorum, Signers: []StandingAtView{}}
	if entry != nil {
		if err := s.checkEntry(*entry); err != nil {
			return nil, nil, nil, err
		}
		v.EntryOfBook, v.Known = s.entryOfBook(*entry), true
	}
	answered := false
	for _, a := range h {
		at := a.stands(found)
		answered = answered || a.err == nil
		if at.InNewest && at.InPayable && at.Error == "" {
			v.Payable = append(v.Payable, a.signer)
		}
		v.Signers = append(v.Signers, at)
	}
	if !answered {
		return nil, nil, nil, fmt.Errorf("%w: no signer said what is in the address book", ErrUnreachable)
	}
	return v, entry, proofs, nil
}

// looked is what came of looking for an address in one version.
type looked struct {
	in  bool
	err error
}

// look returns the proof that an address is in a version, false if it is not.
type look func(book.Root) (canon.BookProof, bool, error)

// findIn looks in every version that a signer names, once, and verifies each proof against the root that the signer named.
func (s *Session) findIn(h shelves, look look, key canon.BookKey) (map[book.Root]looked, *canon.BookEntry, []canon.BookProof) {
	found := map[book.Root]looked{}
	var entry *canon.BookEntry
	newest := uint64(0)
	var proofs []canon.BookProof
	for _, a := range h {
		for _, n := range a.versions {
			if _, done := found[n.Root]; done {
				continue
			}
			p, in, err := look(n.Root)
			if in && err == nil {
				var e canon.BookEntry
				if e, err = n.Check(s.Charter, p); err == nil && !sameKey(keyOfEntry(e), key) {
					err = refusal.New("book", "proof.entry", fmt.Sprintf("one of %x for %s", key.Address, key.Client), fmt.Sprintf("one of %x for %s", e.Address, e.Client))
				}
				if err == nil && (entry == nil || n.Serial > newest) {
					entry, newest = &e, n.Serial
				}
				if err == nil {
					proofs = append(proofs, p)
				}
			}
			found[n.Root] = looked{in && err == nil, err}
		}
	}
	return found, entry, proofs
}

// stands says where the address is at one signer: it must be in all of the newest versions, and in all of those that are payable.
func (h shelf) stands(found map[book.Root]looked) StandingAtView {
	v := StandingAtView{Signer: h.signer}
	if h.err != nil {
		v.Error = reasonText(h.err)
		return v
	}
	newest, payable := 0, 0 // versions of each kind so far
	var newestAt, payableAt string
	for _, n := range h.versions {
		at := found[n.Root]
		if at.err != nil {
			v.Error = reasonText(at.err)
		}
		if n.newest {
			v.InNewest = at.in && (v.InNewest || newest == 0)
			newest, newestAt = newest+1, max(newestAt, n.payableAt)
		}
		if n.payable {
			v.InPayable = at.in && (v.InPayable || payable == 0)
			payable, payableAt = payable+1, max(payableAt, n.payableAt)
		}
	}
	switch {
	case v.InNewest && v.InPayable:
		v.Since = payableAt
	case v.InNewest:
		v.Since = newestAt
	}
	return v
}

// bookKey finds out which address is asked for.
func (s *Session) bookKey(q BookQuestion) (canon.BookKey, error) {
	if q.Chain != "" {
		_, b, err := s.placed(q.Chain, q.Address)
		return canon.BookKey{Chain: q.Chain, Address: b, Client: q.Client}, err
	}
	var fits []canon.BookKey
	var on []canon.ChainID
	for _, c := range s.Charter.Genesis().Chains {
		if b, err := wallets.ParseAddress(c, q.Address); err == nil {
			fits, on = append(fits, canon.BookKey{Chain: c.ID, Address: b, Client: q.Client}), append(on, c.ID)
		}
	}
	if len(fits) != 1 {
		return canon.BookKey{}, fmt.Errorf("address: expected one of one chain of the charter, or --chain, found %q on %d: %s", q.Address, len(fits), names(on))
	}
	return fits[0], nil
}

// inWholeBooks looks in the entries themselves.
func (s *Session) inWholeBooks(ctx context.Context, key canon.BookKey) look {
	return func(r book.Root) (canon.BookProof, bool, error) {
		tree, err := s.bookOf(ctx, r)
		if err != nil {
			return canon.BookProof{}, false, err
		}
		p, in := tree.Prove(key.Chain, key.Address, key.Client)
		return p, in, nil
	}
}

// inProofs looks in a file of proofs. What is not in it may be in the book.
func (s *Session) inProofs(path string, key canon.BookKey) (look, error) {
	b, err := s.read(path, maxBookProofFile)
	if err != nil {
		return nil, err
	}
	f, err := parseBookProofFile(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrRefused, path, err)
	}
	return func(r book.Root) (canon.BookProof, bool, error) {
		for _, p := range f.Proofs {
			if p.Root == r.Hash.String() {
				proof, err := p.proof()
				return proof, err == nil, err
			}
		}
		return canon.BookProof{}, false, fmt.Errorf("the file has no proof under root %s of version %d", r.Hash, r.Serial)
	}, nil
}

// BookProofFile holds proofs that an address is in the book for a client, to be kept and checked against the roots that signers name.
type BookProofFile struct {
	// Address and Client are for reading; verification goes by the proven entries.
	Address string        `json:"address"`
	Client  string        `json:"client"`
	Proofs  []ProofOfBook `json:"proofs"`
}

// ProofOfBook is canon.BookProof with digests in hexadecimal and the entry in base64.
type ProofOfBook struct {
	Entry []byte   `json:"entry"`
	Index uint64   `json:"index"`
	Path  []string `json:"path"`
	Root  string   `json:"root"`
}

func proofOfBook(p canon.BookProof) ProofOfBook {
	out := ProofOfBook{Entry: p.Entry, Index: p.Index, Path: []string{}, Root: p.Root.String()}
	for _, d := range p.Path {
		out.Path = append(out.Path, d.String())
	}
	return out
}

func (p ProofOfBook) proof() (canon.BookProof, error) {
	out := canon.BookProof{Entry: p.Entry, Index: p.Index}
	var errs []error
	parse := func(text string) canon.Digest {
		d, err := canon.ParseDigest(text)
		errs = append(errs, err)
		return d
	}
	out.Root = parse(p.Root)
	for _, text := range p.Path {
		out.Path = append(out.Path, parse(text))
	}
	return out, errors.Join(append(errs, out.Check())...)
}

// Bounds of a file of proofs.
const (
	maxBookProofFile = 256 << 10 // bytes
	maxBookProofs    = 64
)

// parseBookProofFile reads a file strictly: unknown fields and anything after the object are refused.
func parseBookProofFile(b []byte) (BookProofFile, error) {
	var f BookProofFile
	if len(b) > maxBookProofFile {
		return f, fmt.Errorf("proof file: expected at most %d bytes, found %d", maxBookProofFile, len(b))
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("proof file: %w", err)
	}
	if d.More() || len(f.Proofs) > maxBookProofs {
		return f, fmt.Errorf("proof file: expected one JSON object with at most %d proofs, found more", maxBookProofs)
	}
	for i, p := range f.Proofs {
		if slices.ContainsFunc(f.Proofs[:i], func(o ProofOfBook) bool { return strings.EqualFold(o.Root, p.Root) }) {
			return f, fmt.Errorf("proof file: proofs[%d]: expected one proof under each root, found a second under %q", i, p.Root)
		}
	}
	return f, nil
}
