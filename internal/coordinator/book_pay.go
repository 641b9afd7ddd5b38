package coordinator

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// maxProofs is how many proofs of one address signers take (policy/guard).
const maxProofs = 4

// coolingError says that an address is in the book and not paid yet.
type coolingError struct{ refusal.Failure }

func (e *coolingError) Error() string {
	return fmt.Sprintf("address book: %s: expected %s, found %s", e.Field, e.Expected, e.Found)
}

// standing is how the payees of a request stand with one signer.
type standing struct {
	required []book.Requirement
	absent   []refusal.Failure // not in its newest version, or not for this account
	cooling  []refusal.Failure // in its newest version, and not in the one that is payable
	missing  error             // it asks for entries that are not here
	from     canon.Time        // when its newest version is payable
	newest   book.Root
}

// recipient is an address that must be in the client's book.
type recipient struct {
	field   string // for refusals
	address []byte
}

// payees returns each address that a request lets assets go to once: those of the outputs, or the arguments of a contract call that must be
// in the book. A call that no entry of the charter lets through has none: it is denied for what it is.
func payees(c *charter.Charter, r canon.Request) []recipient {
	var all []recipient
	for i, o := range r.Outputs {
		if o.Own == nil { // own addresses are derived, not looked up
			all = append(all, recipient{fmt.Sprintf("outputs[%d].address", i), o.Address})
		}
	}
	if r.Call != nil {
		if m, err := policy.CallOf(c, &r); err == nil {
			for _, a := range m.Book {
				all = append(all, recipient{a.Field, a.Address[:]})
			}
		}
	}
	var out []recipient
	for _, p := range all {
		same := func(o recipient) bool { return bytes.Equal(o.address, p.address) }
		if !slices.ContainsFunc(out, same) {
			out = append(out, p)
		}
	}
	return out
}

// lookup holds the payees of one request against versions of the book, each once: signers mostly ask for the same.
type lookup struct {
	*Service
	charter *charter.Charter
	request canon.Request
	found   map[book.Requirement][]refusal.Failure
}

// stand holds the payees against what a signer asks for.
func (l *lookup) stand(a *asked) standing {
	st := standing{from: a.from(), newest: a.newest[0].Root}
	nobody := len(payees(l.charter, l.request)) == 0 // whatever the entries are
	for _, version := range a.required(l.now()) {
		if nobody {
			st.required = append(st.required, version)
			continue
		}
		tree := l.Books.tree(version.Hash)
		if tree == nil {
			st.missing = l.Books.lacking(version.Root, l.now(), int(l.charter.Genesis().Roster.Faults))
			continue
		}
		version.Root = tree.Version(version.Serial)
		st.required = append(st.required, version)
		failures, known := l.found[version]
		if !known {
			for _, p := range payees(l.charter, l.request) {
				failures = append(failures, l.listed(l.charter, tree, version, l.request, p)...)
			}
			l.found[version] = failures
		}
		if version.Newest {
			st.absent = append(st.absent, failures...)
		} else {
			st.cooling = append(st.cooling, failures...)
		}
	}
	return st
}

// listed says why the address of a payee is not in a version of the client's book for the account that pays; nothing if it is.
func (s *Service) listed(c *charter.Charter, tree *book.Tree, version book.Requirement, r canon.Request, p recipient) []refusal.Failure {
	var l refusal.List
	proof, ok := tree.Prove(r.Chain, p.address, r.Client)
	if !ok {
		l.Add("whitelist", p.field, fmt.Sprintf("an address in the book of client %s: %s", r.Client, version), s.addressText(r.Chain, p.address))
		return refusal.Of(l.Err()).Failures
	}
	entry, err := version.Check(c, proof)
	l.Join("whitelist", p.field, err)
	if err == nil && entry.Account != canon.Any && entry.Account != r.Account {
		l.Add("whitelist", p.field, "an address for account "+string(r.Account), "one for account "+string(entry.Account))
	}
	if err == nil && c.Genesis().Book.Owned && entry.Proof == 0 {
		l.Add("whitelist", p.field, fmt.Sprintf("an address of client %s with evidence that it is, in %s", r.Client, version), "one without evidence")
	}
	if l.Err() == nil {
		return nil
	}
	return refusal.Of(l.Err()).Failures
}

// payable decides whether enough signers would find the request's payees in the book now, and returns the versions that those ask for.
// The error is a *refusal.Refusal when too many do not have an address at all, a *coolingError when they do and it is not payable yet, or a
// *missingError when that cannot be told because entries are not here. Each signer is believed about itself only: one that lies is one
// that refuses. One that was never heard is not believed to lack an address: the error is then no verdict.
func (s *Service) payable(c *charter.Charter, r canon.Request) ([]book.Requirement, error) {
	now, cooldown := s.now(), s.cooldown()
	look := &lookup{Service: s, charter: c, request: r, found: map[book.Requirement][]refusal.Failure{}}
	var pays, absent, cooling, missing []standing
	latest := true // nobody names a later version than this service knows
	heard, roster := 0, s.roster()
	for _, name := range roster {
		said := s.Books.lastSaid(name) != nil
		if said {
			heard++
		}
		a := s.Books.askedBy(name, now, cooldown)
		latest = latest && a.serial() <= s.Books.all().Newest()[0].Serial
		switch st := look.stand(a); {
		case len(st.absent) > 0 && !said:
			st.missing = errUnheard
			missing = append(missing, st)
		case len(st.absent) > 0:
			absent = append(absent, st)
		case st.missing != nil:
			missing = append(missing, st)
		case len(st.cooling) > 0:
			cooling = append(cooling, st)
		default:
			pays = append(pays, st)
		}
	}
	// What was taken out is paid no more, also before signers have heard of it.
	q := int(c.Genesis().Roster.Quorum)
	if here := look.stand(askedHere(s.Books.all(), now, 0)); latest && len(here.absent) > 0 {
		if heard <= len(roster)-q {
			return nil, errUnheard
		}
		return nil, &refusal.Refusal{Failures: here.absent}
	}
	switch {
	case len(pays) >= q:
		return s.provable(union(pays)), nil
	case len(pays)+len(cooling)+len(missing) < q && len(absent) > 0:
		return nil, &refusal.Refusal{Failures: absent[0].absent}
	case len(pays)+len(cooling) >= q:
		return nil, s.payableLater(pays, cooling, q)
	case len(missing) > 0:
		return nil, lacked(missing, q-len(pays)-len(cooling))
	}
	return nil, fmt.Errorf("roster: expected at least %d signers, found %d", q, len(pays)+len(cooling))
}

// errUnheard says that it is not known yet what signers ask for.
var errUnheard = errors.New("address book: expected to know what signers ask for, found some that were never heard")

// lacked says why it cannot be told whether as many more signers as are wanted would pay. While those of whom more may be known soon are
// enough it is no verdict.
func lacked(missing []standing, wanted int) error {
	var soon, lost []error
	for _, st := range missing {
		if gone := (*missingError)(nil); errors.As(st.missing, &gone) {
			lost = append(lost, st.missing)
		} else {
			soon = append(soon, st.missing)
		}
	}
	if len(soon) >= wanted || len(lost) == 0 {
		return soon[0]
	}
	return lost[0]
}

// union returns what several signers ask for, each version once.
func union(all []standing) []book.Requirement {
	var out []book.Requirement
	for _, st := range all {
		for _, v := range st.required {
			same := func(o book.Requirement) bool { return o.Hash == v.Hash }
			if !slices.ContainsFunc(out, same) {
				out = append(out, v)
			}
		}
	}
	return out
}

// provable returns those of the versions under which proofs are given: a signer that asks for others than the rest do gets none, and this
// service's own guard must not ask for them in its name.
func (s *Service) provable(required []book.Requirement) []book.Requirement {
	var given []canon.Digest
	for _, wanted := range s.wantedRoots() {
		if len(given) < maxProofs && s.Books.tree(wanted.root) != nil {
			given = append(given, wanted.root)
		}
	}
	out := slices.DeleteFunc(slices.Clone(required), func(r book.Requirement) bool { return !slices.Contains(given, r.Hash) })
	if len(out) == 0 {
		return required
	}
	return out
}

// payableLater names the version that makes the addresses payable, and when it does at the q-th signer.
func (s *Service) payableLater(pays, cooling []standing, q int) error {
	slices.SortFunc(cooling, func(a, b standing) int { return cmp.Compare(a.from, b.from) })
	last := cooling[q-len(pays)-1]
	failure := last.cooling[0]
	failure.Expected = fmt.Sprintf("an address that is payable; version %d of the address book is from %s on", last.newest.Serial, last.from.At().UTC().Format("2006-01-02T15:04:05Z"))
	failure.Found += fmt.Sprintf(", which is in version %d and in no version whose cool-down is over", last.newest.Serial)
	return &coolingError{failure}
}

// proven returns the row with fresh proofs: of each address that it pays one under each version that signers may ask for, those of most
// signers first. They replace those of the time when it was decided on, which no signer may ask for any more.
func (s *Service) proven(w withdrawal.Withdrawal) withdrawal.Withdrawal {
	var r canon.Request
	if canon.Decode(w.Request.Document, &r) != nil {
		return w // the row was made from a request that could be read
	}
	w.Addresses = s.proofs(r)
	return w
}

// proofs returns the proofs for what a request pays.
func (s *Service) proofs(r canon.Request) []canon.BookProof {
	var out []canon.BookProof
	roots := s.wantedRoots()
	for _, p := range payees(s.charter(), r) {
		n := 0
		for _, wanted := range roots {
			tree := s.Books.tree(wanted.root)
			if tree == nil || n == maxProofs {
				continue
			}
			if proof, ok := tree.Prove(r.Chain, p.address, r.Client); ok {
				out, n = append(out, proof), n+1
			}
		}
	}
	return out
}

// wantedRoot is a root under which signers may ask for proofs.
type wantedRoot struct {
	root    canon.Digest
	signers int
}

// wantedRoots returns the roots of versions that are here under which signers may ask for proofs. First come those of more signers than may
// lie, by their number, then those that are required by what is known here, and then one of each signer in turn: whoever names many takes no
// other's place. What a signer says of a version that is not as it is here counts for nothing, unless more say so than may lie.
func (s *Service) wantedRoots() []wantedRoot {
	now, cooldown, versions := s.now(), s.cooldown(), s.Books.all()
	faults := int(s.charter().Genesis().Roster.Faults)
	signers, serials := map[canon.Digest]int{}, map[canon.Digest]uint64{}
	var turns [][]canon.Digest
	for _, name := range s.members() {
		var own []canon.Digest
		for _, r := range s.Books.askedBy(name, now, cooldown).roots() {
			if !versions.Has(r) && !s.believed(r) {
				continue
			}
			serials[r.Hash] = max(serials[r.Hash], r.Serial)
			if !slices.Contains(own, r.Hash) {
				own = append(own, r.Hash)
				signers[r.Hash]++
			}
		}
		turns = append(turns, own)
	}
	rank := func(x, y canon.Digest) int {
		return cmp.Or(cmp.Compare(signers[y], signers[x]), cmp.Compare(serials[y], serials[x]), bytes.Compare(x[:], y[:]))
	}
	order := slices.DeleteFunc(slices.SortedFunc(maps.Keys(signers), rank), func(root canon.Digest) bool { return signers[root] <= faults })
	order = append(order, slices.SortedFunc(maps.Keys(s.Books.here(now, cooldown)), rank)...)
	for i := range maxAsked {
		for _, own := range turns {
			slices.SortFunc(own, func(x, y canon.Digest) int {
				return cmp.Or(cmp.Compare(serials[y], serials[x]), bytes.Compare(x[:], y[:]))
			})
			if i < len(own) {
				order = append(order, own[i])
			}
		}
	}
	var out []wantedRoot
	for _, root := range order {
		if !slices.ContainsFunc(out, func(w wantedRoot) bool { return w.root == root }) {
			out = append(out, wantedRoot{root, signers[root]})
		}
	}
	return out
}
