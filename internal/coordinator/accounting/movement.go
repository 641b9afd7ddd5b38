package accounting

import (
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Movement is something that happened, or was decided, about one wallet and asset. Which ledgers it moves between depends on their balances.
type Movement struct {
	Kind       Kind   // any but Reversal
	Key        string // natural key; a movement whose key has an entry that nothing reversed makes none. Empty for none
	Wallet     canon.Name
	Account    canon.Name // whose it is; a Deposit without goes into suspense
	Asset      canon.AssetID
	Amount     canon.Amount  // nothing of it makes no entry; of Return all that is in flight, whatever this says
	Withdrawal *canon.Digest // of Withdrawal, Payment, Fee, MoveOut and Return
	TxID       string
	Text       string
	Block      Block
}

// Ordered returns movements of one block with what came in before what went out: a block may spend what it makes.
func Ordered(movements []Movement) []Movement {
	var in, out []Movement
	for _, m := range movements {
		if m.Kind == Deposit || m.Kind == MoveIn || m.Kind == Explained {
			in = append(in, m)
		} else {
			out = append(out, m)
		}
	}
	return append(in, out...)
}

// Book is what Post and Undo need of the stored entries. Its methods run in one transaction.
type Book interface {
	// Balance returns a ledger's balance of an asset; 0 if it has none.
	Balance(l Ledger, asset canon.AssetID) (*big.Int, error)
	// Latest returns the latest entry under a key and the one that reversed it, either nil if there is none.
	Latest(key string) (e, reversal *Entry, err error)
	// Append checks the entry, gives it the next number and keeps it with the balances that follow from it, or fails with an
	// *OverdrawnError.
	Append(e Entry) (uint64, error)
}

// Post makes the entry of a movement and returns its number; 0 if there is none to make.
func Post(b Book, m Movement, at time.Time) (uint64, error) {
	e := Entry{Time: at, Kind: m.Kind, Key: m.Key, Wallet: m.Wallet, Account: m.Account, Asset: m.Asset, Withdrawal: m.Withdrawal, TxID: m.TxID,
		Text: m.Text, Block: m.Block}
	missing := new(big.Int)
	if m.Key != "" {
		before, reversal, err := b.Latest(m.Key)
		if err != nil || (before != nil && reversal == nil) {
			return 0, err
		}
		if reversal != nil {
			missing = debited(*reversal, Shortfall)
		}
	}
	err := post(b, &e, m, missing)
	if err != nil || len(e.Postings) == 0 {
		return 0, err
	}
	return b.Append(e)
}

// post adds the postings of a movement; missing is what a reversal of the same movement had to leave missing.
func post(b Book, e *Entry, m Movement, missing *big.Int) error {
	rest := m.Amount.Int()
	switch m.Kind {
	case Explained:
		var err error
		if missing, err = b.Balance(e.Ledger(Shortfall), e.Asset); err != nil {
			return err
		}
		fallthrough
	case Deposit, MoveIn:
		to := Owed
		if m.Account == "" {
			to = Suspense
		}
		e.add(Holding, Shortfall, missing, rest)
		e.add(Holding, to, rest, rest)
		return nil
	case Withdrawal:
		return e.take(b, rest, Flight, Owed)
	case Return:
		all, err := b.Balance(e.Ledger(Flight), e.Asset)
		if err != nil {
			return err
		}
		return e.take(b, all, Owed, Flight)
	case Payment, Fee, MoveOut:
		return e.leave(b, rest, Flight, Owed)
	case Outflow:
		e.add(Shortfall, Holding, rest, rest)
		return nil
	case Attribution:
		e.add(Suspense, Owed, rest, rest)
		return nil
	}
	return fmt.Errorf("movement: kind: expected one that something can be, found %.20q", string(m.Kind))
}

// add posts the smaller of amount and rest, if it is anything, and takes it from rest.
func (e *Entry) add(debit, credit Side, amount, rest *big.Int) {
	if rest.Cmp(amount) < 0 {
		amount = rest
	}
	if amount.Sign() <= 0 {
		return
	}
	e.Postings = append(e.Postings, Posting{Debit: debit, Credit: credit, Amount: canon.Amount(amount.Bytes())})
	rest.Sub(rest, new(big.Int).Set(amount))
}

// take debits the ledgers from, one after the other, as far as they reach, and leaves in rest what they did not cover.
func (e *Entry) take(b Book, rest *big.Int, to Side, from ...Side) error {
	for _, s := range from {
		have, err := b.Balance(e.Ledger(s), e.Asset)
		if err != nil {
			return err
		}
		e.add(s, to, have, rest)
	}
	return nil
}

// leave takes out of the wallet. What none of the ledgers covers is missing from now on.
func (e *Entry) leave(b Book, rest *big.Int, from ...Side) error {
	if err := e.take(b, rest, Holding, from...); err != nil {
		return err
	}
	e.add(Shortfall, Holding, rest, rest)
	return nil
}

// Suspended is how much an entry put into suspense.
func (e Entry) Suspended() *big.Int {
	sum := new(big.Int)
	for _, p := range e.Postings {
		if p.Credit == Suspense && e.Kind != Reversal {
			sum.Add(sum, p.Amount.Int())
		}
	}
	return sum
}

// debited sums up what an entry debits a ledger with.
func debited(e Entry, s Side) *big.Int {
	sum := new(big.Int)
	for _, p := range e.Postings {
		if p.Debit == s {
			sum.Add(sum, p.Amount.Int())
		}
	}
	return sum
}

// AttributionKey is the key under which a part of an entry's deposit is attributed, counted from 1.
func AttributionKey(entry uint64, part int) string {
	return fmt.Sprintf("attribution:%d:%d", entry, part)
}

// Attributions returns the attributions of an entry's deposit in their order, and how much of it those are that nothing reversed.
func Attributions(b Book, entry uint64) (list []Entry, sum *big.Int, err error) {
	sum = new(big.Int)
	for {
		e, reversal, err := b.Latest(AttributionKey(entry, len(list)+1))
		if err != nil || e == nil {
			return list, sum, err
		}
		if list = append(list, *e); reversal == nil {
			sum.Add(sum, e.Amount())
		}
	}
}

// Undo reverses an entry that nothing reversed, and first the attributions of what it put into suspense. What was taken out of a ledger
// meanwhile is missing from then on.
func Undo(b Book, e Entry, at time.Time) error {
	if e.Account == "" {
		parts, _, err := Attributions(b, e.Number)
		if err != nil {
			return err
		}
		for i, part := range slices.Backward(parts) {
			if _, reversal, err := b.Latest(AttributionKey(e.Number, i+1)); err != nil || reversal != nil {
				if err != nil {
					return err
				}
				continue
			}
			if err := Undo(b, part, at); err != nil {
				return err
			}
		}
	}
	r := e
	r.Number, r.Time, r.Kind, r.Key, r.Block, r.Reverses, r.Postings = 0, at, Reversal, "", Block{}, e.Number, nil
	r.Text = fmt.Sprintf("undoes entry %d: %s", e.Number, e.Kind)
	for _, p := range e.Postings {
		rest := p.Amount.Int()
		if !p.Credit.asset() {
			have, err := b.Balance(r.Ledger(p.Credit), r.Asset)
			if err != nil {
				return err
			}
			have.Sub(have, debited(r, p.Credit)) // by earlier postings of this very entry
			r.add(p.Credit, p.Debit, have, rest)
			r.add(Shortfall, p.Debit, rest, rest)
			continue
		}
		r.add(p.Credit, p.Debit, rest, rest)
	}
	_, err := b.Append(r)
	return err
}
