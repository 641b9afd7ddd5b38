package guard

import (
	"bytes"
	"testing"
	"time"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// payableAt is when the cool-down of the newer version is over.
var payableAt = canon.TimeOf(start.Add(time.Hour))

// versions gives the world's signer a newer version of the address book, which is not payable yet, beside the genesis's own, and returns both.
func (w *world) versions(newest ...canon.BookEntry) (View, *book.Tree) {
	w.t.Helper()
	tree, err := book.Build(newest)
	if err != nil {
		w.t.Fatal(err)
	}
	v := w.view()
	v.Book = []book.Requirement{{Root: tree.Version(2), Newest: true, PayableAt: payableAt}, {Root: w.book.Version(1)}}
	return v, tree
}

// proofs returns a proof of the client's address out of each tree that has it.
func proofs(chain canon.ChainID, address []byte, trees ...*book.Tree) []canon.BookProof {
	var out []canon.BookProof
	for _, tree := range trees {
		if p, ok := tree.Prove(chain, address, "acme"); ok {
			out = append(out, p)
		}
	}
	return out
}

func TestAddressMustBeInEveryVersionThatTheSignerAsksFor(t *testing.T) {
	fresh := bytes.Repeat([]byte{0xdd}, 20) // in the newest version only
	entry := func(address []byte, account canon.Name) canon.BookEntry {
		return canon.BookEntry{Chain: evmChain, Address: address, Client: "acme", Account: account, Label: "x"}
	}
	kept, added := entry(evmPayee, canon.Any), entry(fresh, canon.Any)
	const inNewest, inPayable = "the newest version of the address book, 2", "version 1 of the address book, the newest whose cool-down is over"
	for name, c := range map[string]struct {
		newest  []canon.BookEntry
		payee   []byte
		field   string // none: signable
		refusal string
		waits   bool
	}{
		"in both":                       {[]canon.BookEntry{kept, added}, evmPayee, "", "", false},
		"in both, narrower in one":      {[]canon.BookEntry{entry(evmPayee, "acme-one")}, evmPayee, "", "", false},
		"in the newest only":            {[]canon.BookEntry{kept, added}, fresh, "outputs[0].address", inPayable, true},
		"in the payable only":           {[]canon.BookEntry{added}, evmPayee, "outputs[0].address", inNewest, false},
		"in neither":                    {[]canon.BookEntry{kept}, fresh, "outputs[0].address", inNewest, false},
		"another account in the newest": {[]canon.BookEntry{entry(evmPayee, "acme-two")}, evmPayee, "evidence.addresses[0].account", "acme-one", false},
		"another account in the payable": {[]canon.BookEntry{entry(bytes.Repeat([]byte{0xcc}, 20), canon.Any)}, bytes.Repeat([]byte{0xcc}, 20),
			"evidence.addresses[1].account", "acme-one", false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			v, newest := w.versions(c.newest...)
			p := w.evmPaper(eth)
			p.request.Outputs[0].Address, p.evm.To = c.payee, [20]byte(c.payee)
			p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(evmChain, c.payee, newest, w.book) }
			_, err := Check(w.encode(p), v)
			if c.field != "" {
				refusedBy(t, err, "whitelist", c.field, c.refusal)
				if at, waits := refusal.Of(err).Until(); waits != c.waits || waits && at != uint64(payableAt) {
					t.Errorf("expected to wait until %d: %t, found %d, %t", payableAt, c.waits, at, waits)
				}
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

// The arguments of a contract call that must be in the book are held against every version as well.
func TestCalledAddressMustBeInEveryVersion(t *testing.T) {
	w := newWorld(t)
	p := w.callPaper()
	v, newest := w.versions(canon.BookEntry{Chain: evmChain, Address: desk[:], Client: "acme", Account: canon.Any, Label: "x"})
	evidence := w.encode(p)
	if _, err := Check(evidence, w.view()); err != nil {
		t.Fatal(err)
	}
	_, err := Check(evidence, v)
	refusedBy(t, err, "whitelist", "call.arguments[2]", "the newest version of the address book, 2")
	v, newest = w.versions(canon.BookEntry{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x"})
	p = w.callPaper()
	p.onEnd = func(e *canon.Evidence) { e.Addresses = proofs(evmChain, evmPayee, newest, w.book) }
	if _, err := Check(w.encode(p), v); err != nil {
		t.Error(err)
	}
}

// A proof under a version that this signer does not ask for is for others: signers see a new version at different times. It changes nothing
// here, and it takes the place of none that is asked for.
func TestProofsForOtherSignersAreIgnored(t *testing.T) {
	other, err := book.Build([]canon.BookEntry{{Chain: evmChain, Address: evmPayee, Client: "acme", Account: canon.Any, Label: "x"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		of    func(w *world) []canon.BookProof
		field string
	}{
		"beside":         {func(w *world) []canon.BookProof { return proofs(evmChain, evmPayee, other, w.book) }, ""},
		"instead":        {func(*world) []canon.BookProof { return proofs(evmChain, evmPayee, other) }, "outputs[0].address"},
		"under the root": {func(w *world) []canon.BookProof { return rooted(proofs(evmChain, evmPayee, other), w.book.Root()) }, "path"},
		"without version": {func(w *world) []canon.BookProof {
			return append(rooted(proofs(evmChain, evmPayee, other), canon.Digest{}), proofs(evmChain, evmPayee, w.book)...)
		}, "evidence.addresses[0].root"},
		"twice":           {func(w *world) []canon.BookProof { return proofs(evmChain, evmPayee, w.book, w.book) }, "evidence.addresses[1]"},
		"another's twice": {func(w *world) []canon.BookProof { return proofs(evmChain, evmPayee, w.book, other, other) }, "evidence.addresses[2]"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.evmPaper(eth)
			p.onEnd = func(e *canon.Evidence) { e.Addresses = c.of(w) }
			_, err := Check(w.encode(p), w.view())
			if c.field != "" {
				refused(t, err, c.field)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func rooted(list []canon.BookProof, root canon.Digest) []canon.BookProof {
	for i := range list {
		list[i].Root = root
	}
	return list
}
