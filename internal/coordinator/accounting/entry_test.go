package accounting

import (
	"reflect"
	"slices"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestEntriesThatCannotBeAreRefused(t *testing.T) {
	good := Entry{Time: start, Kind: Deposit, Wallet: "hot", Account: "acme", Asset: coin, Postings: []Posting{{Holding, Owed, canon.AmountOf(5)}}}
	tests := map[string]func(*Entry){
		"nothing":             func(e *Entry) { e.Postings = nil },
		"an amount of zero":   func(e *Entry) { e.Postings[0].Amount = nil },
		"a ledger to itself":  func(e *Entry) { e.Postings[0].Credit = Holding },
		"nobody's debt":       func(e *Entry) { e.Account = "" },
		"no withdrawal":       func(e *Entry) { e.Postings[0].Credit = Flight },
		"an unknown ledger":   func(e *Entry) { e.Postings[0].Credit = "equity" },
		"no wallet":           func(e *Entry) { e.Wallet = "" },
		"more than there is":  func(e *Entry) { e.Postings[0] = Posting{Owed, Suspense, canon.AmountOf(6)} },
		"more than is held":   func(e *Entry) { e.Postings[0] = Posting{Suspense, Holding, canon.AmountOf(1)} },
		"a debt to the other": func(e *Entry) { e.Account = "globex"; e.Postings[0] = Posting{Owed, Suspense, canon.AmountOf(1)} },
	}
	for name, change := range tests {
		j := NewJournal()
		e := good
		e.Postings = slices.Clone(good.Postings)
		if _, err := j.Append(e); err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(j.Entries())
		change(&e)
		if _, err := j.Append(e); err == nil {
			t.Errorf("%s: expected it to be refused, found it booked", name)
		}
		if !reflect.DeepEqual(before, j.Entries()) {
			t.Errorf("%s: expected the book as it was, found another", name)
		}
	}
}

func TestLedgersHaveNamesThatCanBeReadBack(t *testing.T) {
	for _, l := range []Ledger{{Side: Holding, Wallet: "hot"}, {Side: Owed, Wallet: "hot", Account: "acme"}, {Side: Flight, Wallet: "hot", Withdrawal: canon.Digest{7}},
		{Side: Suspense, Wallet: "pool"}, {Side: Shortfall, Wallet: "hot"}} {
		if found, err := ParseLedger(l.String()); err != nil || found != l {
			t.Errorf("expected %+v, found %+v, %v", l, found, err)
		}
	}
}

func FuzzParseLedger(f *testing.F) {
	f.Add("owed/hot/acme")
	f.Add("flight/hot/00")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := ParseLedger(text)
		if err == nil && l.String() != text {
			t.Fatalf("expected %q, found %q", text, l)
		}
	})
}
