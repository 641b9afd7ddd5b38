package cases

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// payees answers from the file's book; without one nobody asks.
func (m *maker) payees(t caseText) func([]byte) bool {
	if len(m.book) == 0 {
		return nil
	}
	return func(address []byte) bool { return len(m.entriesOf(t, address)) > 0 }
}

// entriesOf returns the entries of the file's book that say that the address is the client's.
func (m *maker) entriesOf(t caseText, address []byte) (out []entryText) {
	wallet, _ := m.c.Wallet(t.Wallet)
	chain, _ := m.c.Chain(wallet.Chain)
	for _, e := range m.book {
		a, err := wallets.ParseAddress(chain, e.Address)
		if err == nil && slices.Equal(a, address) && e.Client == t.Client && (e.Account == "" || e.Account == canon.Any || e.Account == t.Account) {
			out = append(out, e)
		}
	}
	return out
}

// entries demands addresses that some chain of the charter has, and clients and accounts that the charter names.
func (m *maker) entries() {
	for i, e := range m.book {
		field := fmt.Sprintf("book[%d]", i)
		reads := func(c canon.Chain) bool { _, err := wallets.ParseAddress(c, e.Address); return err == nil }
		if !slices.ContainsFunc(m.c.Genesis().Chains, reads) {
			m.note(fmt.Errorf("expected an address of one of the charter's chains, found %.100q", e.Address), "%s.address", field)
		}
		for j, n := range e.Groups {
			m.note(n.Check(), "%s.groups[%d]", field, j)
		}
		_, ok := m.c.Client(e.Client)
		m.known(ok, field+".client", "client", e.Client)
		if e.Account != "" && e.Account != canon.Any {
			_, ok := m.c.Account(e.Account)
			m.known(ok, field+".account", "account", e.Account)
		}
	}
}
