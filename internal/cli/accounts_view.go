package cli

import (
	"fmt"
	"strings"
)

// AccountsView lists what accounts are owed, as the coordinator's book says.
type AccountsView struct {
	Accounts []AccountView `json:"accounts"`
}

// AccountView is what an account is owed of one asset, in all wallets together.
type AccountView struct {
	Account string     `json:"account"`
	Client  string     `json:"client"`
	Owed    AmountView `json:"owed"`
	// SetAside is the part of Owed that withdrawals need which are not signed yet.
	SetAside AmountView `json:"set_aside"`
}

func (v AccountsView) writeText(t *text) {
	if len(v.Accounts) == 0 {
		t.say("No account is owed anything.")
		return
	}
	rows := [][]string{{"ACCOUNT", "CLIENT", "OWED", "OF IT SET ASIDE"}}
	for _, a := range v.Accounts {
		rows = append(rows, []string{a.Account, a.Client, a.Owed.Amount, a.SetAside.Amount})
	}
	t.table(rows)
}

// PostingsView lists postings.
type PostingsView struct {
	Postings []PostingView `json:"postings"`
}

// PostingView is a posting: an amount from one ledger to another.
type PostingView struct {
	Entry      uint64     `json:"entry"`
	Time       string     `json:"time"`
	Kind       string     `json:"kind"`
	Debit      string     `json:"debit"`
	Credit     string     `json:"credit"`
	Amount     AmountView `json:"amount"`
	TxID       string     `json:"txid,omitempty"`
	Withdrawal string     `json:"withdrawal,omitempty"`
	Text       string     `json:"text,omitempty"`
}

func (v PostingsView) writeText(t *text) {
	if len(v.Postings) == 0 {
		t.say("The book has no such entries.")
	}
	for i, p := range v.Postings {
		if i > 0 {
			t.gap()
		}
		p.writeText(t)
	}
}

func (v PostingView) writeText(t *text) {
	t.field("Entry", fmt.Sprintf("%d, %s, %s", v.Entry, v.Kind, v.Time))
	t.field("Amount", v.Amount.Amount)
	id := strings.TrimPrefix(v.Withdrawal, "withdrawals/")
	for _, f := range []struct{ label, value string }{{"Debit", v.Debit}, {"Credit", v.Credit}} {
		t.field(f.label, strings.TrimSuffix(f.value, "/"+id)) // the withdrawal has its own line
	}
	for _, f := range []struct{ label, value string }{{"Transaction", v.TxID}, {"Withdrawal", id}, {"Text", v.Text}} {
		if f.value != "" {
			t.field(f.label, f.value)
		}
	}
}

// ReconcileView is the book beside what wallets hold.
type ReconcileView struct {
	Balanced bool                `json:"balanced"`
	Lines    []ReconcileLineView `json:"lines"`
}

// ReconcileLineView is one wallet and asset.
type ReconcileLineView struct {
	Wallet   string     `json:"wallet"`
	Held     AmountView `json:"held"`
	Owed     AmountView `json:"owed"`
	InFlight AmountView `json:"in_flight"`
	// Suspense was received on addresses that no account was given to.
	Suspense AmountView `json:"suspense"`
	// Difference is what is held beyond the rest; with a minus sign, what is missing.
	Difference AmountView `json:"difference"`
}

func (v ReconcileView) writeText(t *text) {
	for _, l := range v.Lines {
		t.say("%s holds %s", l.Wallet, l.Held.Amount)
		for _, f := range []struct {
			label string
			value AmountView
		}{{"Owed", l.Owed}, {"In flight", l.InFlight}, {"Suspense", l.Suspense}, {"Difference", l.Difference}} {
			if f.value.BaseUnits != "0" || f.label == "Owed" {
				t.field("  "+f.label, f.value.Amount)
			}
		}
	}
	t.gap()
	if v.Balanced {
		t.say("The book is balanced.")
		return
	}
	t.say("THE BOOK IS NOT BALANCED: something left a wallet, or is in it, that no withdrawal and no deposit explains.")
}
