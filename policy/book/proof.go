package book

import (
	"fmt"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"golang.org/x/mod/sumdb/tlog"
)

// Root names one version of the book: what a signer keeps of it, beside when it first saw it.
type Root struct {
	Serial uint64
	Size   uint64       // entries
	Hash   canon.Digest // of the Merkle tree
}

// Of returns the version that the charter's genesis brought.
func Of(c *charter.Charter) Root {
	b := c.Genesis().Book
	return Root{Serial: b.Serial, Size: b.Size, Hash: b.Root}
}

// Version returns what names the tree as the version with that serial.
func (t *Tree) Version(serial uint64) Root { return Root{Serial: serial, Size: t.Size(), Hash: t.root} }

// Check verifies that the proof's entry is in this version of the book, and that the charter knows its chain, client and account. It
// returns the entry, or a *refusal.Refusal.
func (r Root) Check(c *charter.Charter, p canon.BookProof) (canon.BookEntry, error) {
	if err := r.checkInclusion(p); err != nil {
		return canon.BookEntry{}, err
	}
	var e canon.BookEntry
	if err := canon.Decode(p.Entry, &e); err != nil {
		return canon.BookEntry{}, refusal.New("whitelist", "entry", "a canonical book entry", err.Error())
	}
	if err := c.CheckBookEntry(e); err != nil {
		return canon.BookEntry{}, err
	}
	return e, nil
}

func (r Root) checkInclusion(p canon.BookProof) error {
	if p.Root != r.Hash {
		return refusal.New("whitelist", "root", fmt.Sprintf("%s, of the book with serial %d", r.Hash, r.Serial), p.Root.String())
	}
	if p.Index >= r.Size || r.Size > charter.MaxBook {
		return refusal.New("whitelist", "index", fmt.Sprintf("below the book's size %d", r.Size), fmt.Sprint(p.Index))
	}
	path := make(tlog.RecordProof, len(p.Path))
	for i, h := range p.Path {
		path[i] = tlog.Hash(h)
	}
	if err := tlog.CheckRecord(path, int64(r.Size), tlog.Hash(r.Hash), int64(p.Index), tlog.RecordHash(p.Entry)); err != nil {
		return refusal.New("whitelist", "path", "an inclusion proof under root "+r.Hash.String(), err.Error())
	}
	return nil
}
