package accounting

import (
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// Journal is a book in memory. It is not safe for concurrent use.
type Journal struct {
	entries  []Entry
	balances map[Ledger]map[canon.AssetID]*big.Int
	latest   map[string]uint64 // by key
	reversed map[uint64]uint64 // by the number of what was reversed
}

var _ Book = (*Journal)(nil)

// NewJournal returns an empty book.
func NewJournal() *Journal {
	return &Journal{balances: map[Ledger]map[canon.AssetID]*big.Int{}, latest: map[string]uint64{}, reversed: map[uint64]uint64{}}
}

// Entries returns all entries in order.
func (j *Journal) Entries() []Entry { return slices.Clone(j.entries) }

// Ledgers calls visit for every ledger and asset that entries named, in no order.
func (j *Journal) Ledgers(visit func(Ledger, canon.AssetID, *big.Int)) {
	for l, assets := range j.balances {
		for asset, n := range assets {
			visit(l, asset, new(big.Int).Set(n))
		}
	}
}

// Balance implements Book.
func (j *Journal) Balance(l Ledger, asset canon.AssetID) (*big.Int, error) {
	if n := j.balances[l][asset]; n != nil {
		return new(big.Int).Set(n), nil
	}
	return new(big.Int), nil
}

// Latest implements Book.
func (j *Journal) Latest(key string) (e, reversal *Entry, err error) {
	number := j.latest[key]
	if number == 0 {
		return nil, nil, nil
	}
	e = &j.entries[number-1]
	if by := j.reversed[number]; by != 0 {
		reversal = &j.entries[by-1]
	}
	return e, reversal, nil
}

// Append implements Book.
func (j *Journal) Append(e Entry) (uint64, error) {
	if err := e.Check(); err != nil {
		return 0, err
	}
	changes := e.Changes()
	after := make([]*big.Int, len(changes))
	for i, c := range changes {
		before, err := j.Balance(c.Ledger, e.Asset)
		if err != nil {
			return 0, err
		}
		if after[i], err = c.Applied(e.Asset, before); err != nil {
			return 0, err
		}
	}
	for i, c := range changes {
		if j.balances[c.Ledger] == nil {
			j.balances[c.Ledger] = map[canon.AssetID]*big.Int{}
		}
		j.balances[c.Ledger][e.Asset] = after[i]
	}
	e.Number = uint64(len(j.entries)) + 1
	j.entries = append(j.entries, e)
	if e.Key != "" {
		j.latest[e.Key] = e.Number
	}
	if e.Reverses != 0 {
		j.reversed[e.Reverses] = e.Number
	}
	return e.Number, nil
}
