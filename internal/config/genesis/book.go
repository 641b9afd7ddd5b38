package genesis

import (
	"bytes"
	"fmt"
	"iter"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

type bookFile struct {
	Entries []entryText `toml:"entries"`
}

type entryText struct {
	Chain    canon.ChainID `toml:"chain"`
	Address  string        `toml:"address"` // text of the chain
	Client   canon.Name    `toml:"client"`
	Account  canon.Name    `toml:"account"`
	Proof    string        `toml:"proof"`
	Evidence hexBytes      `toml:"evidence,omitempty"`
	Label    canon.Text    `toml:"label,omitempty"`
	Groups   []canon.Name  `toml:"groups,omitempty"` // in any order
}

// proofs are the kinds of evidence of ownership, from 0, which is none.
var proofs = []string{"none", "signed-message", "micro-deposit"}

// pieceText is about how much of a book is parsed at once, in bytes: what is parsed takes many times the room of its text.
const pieceText = 1 << 20

// ReadBook reads the TOML of an address book's entries. chains are the charter's: an address is read as its chain writes it.
func ReadBook(text []byte, chains []canon.Chain) ([]canon.BookEntry, error) {
	if len(text) > maxBook {
		return nil, fmt.Errorf("book: size: expected at most %d bytes, found %d", maxBook, len(text))
	}
	known := map[canon.ChainID]canon.Chain{}
	for _, c := range chains {
		known[c.ID] = c
	}
	var entries []canon.BookEntry
	for piece := range pieces(text) {
		var f bookFile
		if err := decode(piece, &f, maxBook); err != nil {
			return nil, fmt.Errorf("book: after entries[%d]: %w", len(entries), err)
		}
		for _, t := range f.Entries {
			e, err := entry(t, known)
			if err != nil {
				return nil, fmt.Errorf("book: entries[%d]: %w", len(entries), err)
			}
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// pieces cuts the text before lines that begin an entry. Such a line within a string of several lines leaves pieces that no parser takes.
func pieces(text []byte) iter.Seq[[]byte] {
	begin := []byte("\n[[entries]]")
	return func(yield func([]byte) bool) {
		for len(text) > pieceText {
			at := bytes.Index(text[pieceText:], begin)
			if at < 0 {
				break
			}
			if !yield(text[:pieceText+at+1]) {
				return
			}
			text = text[pieceText+at+1:]
		}
		yield(text)
	}
}

func entry(t entryText, chains map[canon.ChainID]canon.Chain) (canon.BookEntry, error) {
	chain, ok := chains[t.Chain]
	if !ok {
		return canon.BookEntry{}, fmt.Errorf("chain: expected one of the charter, found %q", t.Chain)
	}
	address, err := wallets.ParseAddress(chain, t.Address)
	if err != nil {
		return canon.BookEntry{}, fmt.Errorf("address: %w", err)
	}
	// The first kind, none, is 0 in the signed bytes.
	proof, err := word[uint8]("proof", t.Proof, proofs...)
	if err != nil {
		return canon.BookEntry{}, err
	}
	e := canon.BookEntry{Chain: t.Chain, Address: address, Client: t.Client, Account: t.Account, Proof: uint64(proof - 1), Evidence: t.Evidence, Label: t.Label, Groups: slices.Sorted(slices.Values(t.Groups))}
	if t.Groups != nil && len(t.Groups) == 0 || slices.Contains(t.Groups, canon.Any) {
		return canon.BookEntry{}, fmt.Errorf("groups: expected names of groups, or no such key, found %q", t.Groups)
	}
	if _, err := canon.Encode(e); err != nil {
		return canon.BookEntry{}, err
	}
	return e, nil
}

// WriteBook returns the TOML that ReadBook reads as these entries.
func WriteBook(entries []canon.BookEntry, chains []canon.Chain) ([]byte, error) {
	known := map[canon.ChainID]canon.Chain{}
	for _, c := range chains {
		known[c.ID] = c
	}
	f := bookFile{Entries: make([]entryText, len(entries))}
	for i, e := range entries {
		var err error
		if f.Entries[i], err = textOf(e, known); err != nil {
			return nil, fmt.Errorf("book: entries[%d]: %w", i, err)
		}
	}
	text, err := toml.Marshal(f)
	if err != nil {
		return nil, fmt.Errorf("book: %w", err)
	}
	return text, nil
}

func textOf(e canon.BookEntry, chains map[canon.ChainID]canon.Chain) (entryText, error) {
	chain, ok := chains[e.Chain]
	if !ok {
		return entryText{}, fmt.Errorf("chain: expected one of the charter, found %q", e.Chain)
	}
	address, err := wallets.AddressText(chain, e.Address)
	if err != nil {
		return entryText{}, fmt.Errorf("address: %w", err)
	}
	if e.Proof >= uint64(len(proofs)) {
		return entryText{}, fmt.Errorf("proof: expected at most %d, found %d", len(proofs)-1, e.Proof)
	}
	return entryText{Chain: e.Chain, Address: address, Client: e.Client, Account: e.Account, Proof: proofs[e.Proof], Evidence: e.Evidence, Label: e.Label, Groups: e.Groups}, nil
}
