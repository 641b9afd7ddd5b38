package charter

import (
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// MaxBook is the largest address book that a charter may name: far more than anybody has, far less than what overflows.
const MaxBook = 1 << 32

// CheckBookEntry asks whether the charter knows the chain, client and account of an entry of the address book. The error is a
// *refusal.Refusal.
func (c *Charter) CheckBookEntry(e canon.BookEntry) error {
	var l refusal.List
	if _, ok := c.chains[e.Chain]; !ok {
		l.Add("whitelist", "entry.chain", "a chain of the charter", string(e.Chain))
	}
	if _, ok := c.clients[e.Client]; !ok {
		l.Add("whitelist", "entry.client", "a client of the charter", string(e.Client))
	}
	if a, ok := c.accounts[e.Account]; e.Account != canon.Any && (!ok || a.Client != e.Client) {
		l.Add("whitelist", "entry.account", "* or an account of "+string(e.Client), string(e.Account))
	}
	return l.Err()
}
