package accounting

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Side is a kind of ledger. Holding and Shortfall are what is there and what is missing: a debit adds to them. The others are what somebody is
// owed: a credit adds to them.
type Side string

// Kinds of ledger.
const (
	Holding   Side = "holding"   // of a wallet: what its chain shows on its addresses, in blocks (EVM: at the charter's depth)
	Owed      Side = "owed"      // of an account in a wallet
	Flight    Side = "flight"    // of a withdrawal: no longer the account's, and not yet out of the wallet
	Suspense  Side = "suspense"  // of a wallet: what arrived on an address that no account was given
	Shortfall Side = "shortfall" // of a wallet: what is owed and is not there
)

// asset reports whether debits add to the ledger.
func (s Side) asset() bool { return s == Holding || s == Shortfall }

func (s Side) check() error {
	switch s {
	case Holding, Owed, Flight, Suspense, Shortfall:
		return nil
	}
	return fmt.Errorf("ledger: expected holding, owed, flight, suspense or shortfall, found %.20q", string(s))
}

// Ledger is one ledger; it has a balance in each asset.
type Ledger struct {
	Side       Side
	Wallet     canon.Name
	Account    canon.Name   // of Owed
	Withdrawal canon.Digest // of Flight
}

// String is the ledger's name: its kind, the wallet, and the account or withdrawal.
func (l Ledger) String() string {
	switch l.Side {
	case Owed:
		return fmt.Sprintf("%s/%s/%s", l.Side, l.Wallet, l.Account)
	case Flight:
		return fmt.Sprintf("%s/%s/%s", l.Side, l.Wallet, l.Withdrawal)
	}
	return fmt.Sprintf("%s/%s", l.Side, l.Wallet)
}

// ParseLedger reads what String wrote.
func ParseLedger(text string) (Ledger, error) {
	parts := strings.Split(text, "/")
	l := Ledger{Side: Side(parts[0])}
	if err := l.Side.check(); err != nil {
		return Ledger{}, err
	}
	want := 2
	if l.Side == Owed || l.Side == Flight {
		want = 3
	}
	if len(parts) != want {
		return Ledger{}, fmt.Errorf("ledger: expected %d parts, found %.200q", want, text)
	}
	l.Wallet = canon.Name(parts[1])
	var err error
	switch l.Side {
	case Owed:
		l.Account = canon.Name(parts[2])
		err = l.Account.Check()
	case Flight:
		l.Withdrawal, err = canon.ParseDigest(parts[2])
	}
	if err := errors.Join(err, l.Wallet.Check()); err != nil {
		return Ledger{}, fmt.Errorf("ledger: %w", err)
	}
	return l, nil
}

// Kind is what an entry is about.
type Kind string

// Kinds of entry.
const (
	Deposit     Kind = "deposit"     // arrived from outside, or from another account
	MoveIn      Kind = "move-in"     // arrived from another wallet of the same account
	MoveOut     Kind = "move-out"    // left for another wallet of the same account
	Withdrawal  Kind = "withdrawal"  // what a signed withdrawal may take left the account
	Payment     Kind = "payment"     // left the wallet
	Fee         Kind = "fee"         // left the wallet for whoever makes blocks; its account bears it
	Return      Kind = "return"      // what a withdrawal did not take went back to the account
	Outflow     Kind = "outflow"     // left the wallet and no withdrawal explains it
	Explained   Kind = "explained"   // an outflow has its withdrawal after all, whose receipt came late
	Attribution Kind = "attribution" // an operator said whose a deposit in suspense is
	Reversal    Kind = "reversal"    // undoes an entry, of which a reorganisation took the reason away
)

// Posting moves an amount: it debits one ledger of its entry and credits another.
type Posting struct {
	Debit, Credit Side
	Amount        canon.Amount // above 0
}

// Block is the block in which something happened. The zero Block stands for none: no reorganisation undoes the entry.
type Block struct {
	Chain  canon.ChainID
	Height uint64
}

// Entry is one entry of the book.
type Entry struct {
	Number     uint64 // from 1, without gaps; the book gives it
	Time       time.Time
	Kind       Kind
	Key        string // natural key; empty for none
	Wallet     canon.Name
	Account    canon.Name // empty: nobody's
	Asset      canon.AssetID
	Withdrawal *canon.Digest
	TxID       string // as explorers show it
	Text       string // for people
	Block      Block
	Reverses   uint64 // number of the entry that this one undoes; 0 for none
	Postings   []Posting
}

// Ledger returns the ledger of that kind that the entry's postings are about.
func (e Entry) Ledger(s Side) Ledger {
	l := Ledger{Side: s, Wallet: e.Wallet}
	switch s {
	case Owed:
		l.Account = e.Account
	case Flight:
		if e.Withdrawal != nil {
			l.Withdrawal = *e.Withdrawal
		}
	}
	return l
}

// Amount is the sum of the entry's postings.
func (e Entry) Amount() *big.Int {
	sum := new(big.Int)
	for _, p := range e.Postings {
		sum.Add(sum, p.Amount.Int())
	}
	return sum
}

// Check refuses entries without postings, postings of nothing or of a ledger to itself, and ledgers that the entry does not name.
func (e Entry) Check() error {
	if len(e.Postings) == 0 || e.Wallet == "" || e.Asset == "" || e.Kind == "" || e.Time.IsZero() {
		return errors.New("entry: expected kind, time, wallet, asset and postings, found fewer")
	}
	for _, p := range e.Postings {
		if len(p.Amount) == 0 || p.Debit == p.Credit {
			return fmt.Errorf("entry: posting: expected an amount between two ledgers, found %s from %s to %s", p.Amount, p.Debit, p.Credit)
		}
		for _, s := range []Side{p.Debit, p.Credit} {
			if err := s.check(); err != nil {
				return fmt.Errorf("entry: posting: %w", err)
			}
			if (s == Owed && e.Account == "") || (s == Flight && e.Withdrawal == nil) {
				return fmt.Errorf("entry: posting: %s: expected an account or a withdrawal, found none", s)
			}
		}
	}
	return nil
}

// Changes returns what the entry adds to each ledger, in the order of its postings; negative where it takes.
func (e Entry) Changes() []Change {
	var out []Change
	add := func(s Side, n *big.Int, debit bool) {
		if s.asset() != debit {
			n = new(big.Int).Neg(n)
		}
		for i := range out {
			if out[i].Ledger.Side == s {
				out[i].Amount.Add(out[i].Amount, n)
				return
			}
		}
		out = append(out, Change{e.Ledger(s), new(big.Int).Set(n)})
	}
	for _, p := range e.Postings {
		add(p.Debit, p.Amount.Int(), true)
		add(p.Credit, p.Amount.Int(), false)
	}
	return out
}

// Change is what an entry adds to a ledger.
type Change struct {
	Ledger Ledger
	Amount *big.Int
}

// Applied returns a ledger's balance of an asset after the change, or an *OverdrawnError.
func (c Change) Applied(asset canon.AssetID, balance *big.Int) (*big.Int, error) {
	after := new(big.Int).Add(balance, c.Amount)
	if after.Sign() < 0 {
		return nil, &OverdrawnError{Ledger: c.Ledger, Asset: asset, Balance: balance, Wanted: new(big.Int).Neg(c.Amount)}
	}
	return after, nil
}

// OverdrawnError says that an entry would take more from a ledger than is there.
type OverdrawnError struct {
	Ledger          Ledger
	Asset           canon.AssetID
	Balance, Wanted *big.Int
}

func (e *OverdrawnError) Error() string {
	return fmt.Sprintf("book: %s of %s: expected at most %s to be taken, found %s", e.Ledger, e.Asset, e.Balance, e.Wanted)
}
