package genesis

import (
	"fmt"

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
	Evidence hexBytes      `toml:"evidence"`
	Label    canon.Text    `toml:"label"`
}

// ReadBook reads the TOML of an address book's entries. chains are the charter's: an address is read as its chain writes it.
func ReadBook(text []byte, chains []canon.Chain) ([]canon.BookEntry, error) {
	var f bookFile
	if err := decode(text, &f); err != nil {
		return nil, fmt.Errorf("book: %w", err)
	}
	known := map[canon.ChainID]canon.Chain{}
	for _, c := range chains {
		known[c.ID] = c
	}
	entries := make([]canon.BookEntry, len(f.Entries))
	for i, t := range f.Entries {
		var err error
		if entries[i], err = entry(t, known); err != nil {
			return nil, fmt.Errorf("book: entries[%d]: %w", i, err)
		}
	}
	return entries, nil
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
	proof, err := word[uint8]("proof", t.Proof, "none", "signed-message", "micro-deposit")
	if err != nil {
		return canon.BookEntry{}, err
	}
	e := canon.BookEntry{Chain: t.Chain, Address: address, Client: t.Client, Account: t.Account, Proof: uint64(proof - 1), Evidence: t.Evidence, Label: t.Label}
	if _, err := canon.Encode(e); err != nil {
		return canon.BookEntry{}, err
	}
	return e, nil
}
