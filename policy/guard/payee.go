package guard

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// maxProofs bounds the proofs for one address: signers may ask for different versions of the book while a new one cools down.
const maxProofs = 4

// recipient is an address that must be in the client's book.
type recipient struct {
	field   string
	address []byte
	groups  *groups // what the book says of it; nil where nobody goes by groups
}

// groups are those of the address book that an address is in.
type groups struct {
	field string
	said  canon.Destination // by the intent
	all   []canon.Name      // in every version that was looked at
	any   []canon.Name      // in one of them at least
	read  bool              // some version was looked at
}

// payees returns the addresses outside that the request lets assets go to: those of the outputs, or of a contract call's arguments that must be
// in the book. Own outputs are none: ownOutputs derives them.
func (c *checking) payees() []recipient {
	var out []recipient
	if c.Call != nil {
		for _, a := range c.Call.Book {
			out = append(out, recipient{field: a.Field, address: a.Address[:]})
		}
		return out
	}
	for i, o := range c.Request.Outputs {
		if o.Own == nil {
			g := &groups{field: fmt.Sprintf("intent.destinations[%d]", i), said: c.destination(i)}
			out = append(out, recipient{field: fmt.Sprintf("outputs[%d].address", i), address: o.Address, groups: g})
		}
	}
	return out
}

// destination returns what the intent says about an output; an intent that says nothing about any says that none is in a group.
func (c *checking) destination(i int) canon.Destination {
	if i >= len(c.Facts.Destinations) {
		return canon.Destination{}
	}
	return c.Facts.Destinations[i]
}

// addresses asks for every payee whether its address is in the client's book: in each version that this signer asks for. Each proof is
// checked once, however many payments there are; one under another version is for other signers. No two proofs are the same, and none is
// without a version: it would be for nobody.
func (c *checking) addresses() {
	payees := c.payees()
	if n := len(c.evidence.Addresses); n > maxProofs*len(payees) {
		c.Add("whitelist", "evidence.addresses", fmt.Sprintf("at most %d for each of %d addresses", maxProofs, len(payees)), fmt.Sprint(n))
		return
	}
	if len(payees) == 0 && c.Call == nil {
		return
	}
	if len(c.Book) == 0 {
		c.Add("whitelist", "book", "a version of the address book", "none")
		return
	}
	c.distinctProofs()
	newest := map[string]bool{} // payable by every newest version
	for _, p := range payees {
		newest[string(p.address)] = true
	}
	var until canon.Time // when the last of the newest versions is payable
	for _, version := range c.Book {
		proven := c.proven(version.Root, payees)
		if version.Newest {
			until = max(until, version.PayableAt)
		}
		for _, p := range payees {
			entry, found := proven[string(p.address)]
			if found {
				p.groups.take(entry)
			}
			expected, why := c.payable(entry, found)
			if why == "" {
				continue
			}
			var waits canon.Time // an address of the newest versions waits for its cool-down, every other in vain
			if version.Newest {
				newest[string(p.address)] = false
			} else if newest[string(p.address)] {
				waits = until
			}
			c.AddUntil(uint64(waits), "whitelist", p.field, fmt.Sprintf("%s in %s", expected, version), fmt.Sprintf("%x %s", p.address, why))
		}
	}
	for _, p := range payees {
		c.grouped(p.groups)
	}
}

// distinctProofs refuses proofs that are there twice, or for nobody.
func (c *checking) distinctProofs() {
	type shown struct {
		root  canon.Digest
		entry string
	}
	seen := map[shown]bool{}
	for i, p := range c.evidence.Addresses {
		field := fmt.Sprintf("evidence.addresses[%d]", i)
		if p.Root.IsZero() {
			c.Add("whitelist", field+".root", "the root of a version of the address book", "none")
		}
		if seen[shown{p.Root, string(p.Entry)}] {
			c.Add("whitelist", field, "one proof for each address and version", "the second of one entry")
		}
		seen[shown{p.Root, string(p.Entry)}] = true
	}
}

// proven returns the entries of payees that the evidence proves to be in a version of the book, by address.
func (c *checking) proven(version book.Root, payees []recipient) map[string]canon.BookEntry {
	proven := map[string]canon.BookEntry{}
	for i, p := range c.evidence.Addresses {
		if p.Root != version.Hash {
			continue
		}
		entry, err := c.entry(i, version, p, payees)
		c.Join("whitelist", fmt.Sprintf("evidence.addresses[%d]", i), err)
		if err == nil {
			proven[string(entry.Address)] = entry
		}
	}
	return proven
}

// payable says what is expected of an entry, and what is wrong with the one that was found, if any was; nothing if it may be paid.
func (c *checking) payable(entry canon.BookEntry, found bool) (expected, why string) {
	expected = "an address of client " + string(c.Request.Client)
	switch {
	case !found:
		return expected, "without a proof"
	case c.Charter.Genesis().Book.Owned && entry.Proof == 0:
		return expected + ", with evidence that it is,", "without evidence"
	}
	return expected, ""
}

// entry verifies a proof and returns the entry, whose address must be one of the payees.
func (c *checking) entry(i int, version book.Root, p canon.BookProof, payees []recipient) (canon.BookEntry, error) {
	field := fmt.Sprintf("evidence.addresses[%d]", i)
	entry, err := version.Check(c.Charter, p)
	if err != nil {
		return entry, err
	}
	paid := func(p recipient) bool { return bytes.Equal(p.address, entry.Address) }
	switch {
	case entry.Chain != c.Request.Chain || !slices.ContainsFunc(payees, paid):
		return entry, refusal.New("whitelist", field, "an address that the request lets assets go to", fmt.Sprintf("%x on %s", entry.Address, entry.Chain))
	case entry.Client != c.Request.Client:
		return entry, refusal.New("whitelist", field+".client", string(c.Request.Client), string(entry.Client))
	case entry.Account != canon.Any && entry.Account != c.Request.Account:
		return entry, refusal.New("whitelist", field+".account", string(c.Request.Account), string(entry.Account))
	}
	return entry, nil
}

// take takes in what one version of the book says.
func (g *groups) take(e canon.BookEntry) {
	if g == nil {
		return
	}
	in := func(list []canon.Name) func(canon.Name) bool {
		return func(n canon.Name) bool { return !slices.Contains(list, n) }
	}
	if !g.read {
		g.all = slices.Clone(e.Groups)
	}
	g.read = true
	g.all = slices.DeleteFunc(g.all, in(e.Groups))
	g.any = append(g.any, e.Groups...)
}

// grouped holds what the intent says against the book. What allows goes by groups: none may be invented. What denies goes by groups and recent
// ones: none may be kept back. Signers that ask for other versions of the book cannot tell which of them are recent, and need not: what is said of some
// versions lets nothing through (package policy).
func (c *checking) grouped(g *groups) {
	if g == nil {
		return
	}
	for _, n := range g.said.Groups {
		if !slices.Contains(g.all, n) {
			c.Add("facts", g.field+".groups", fmt.Sprintf("groups that the address is in by every version of the address book that is asked for, %v", g.all), string(n))
		}
	}
	for _, n := range g.any {
		if !slices.Contains(g.said.Groups, n) && !slices.Contains(g.said.Recent, n) {
			c.Add("facts", g.field+".recent", "every group that a version of the address book has the address in, "+string(n)+" too", fmt.Sprint(g.said.Recent))
		}
	}
}

// ownOutputs derives the address of every output that the request calls the account's own, in the wallet that it names.
func (c *checking) ownOutputs() {
	for i, o := range c.Request.Outputs {
		if o.Own != nil {
			c.ownOutput(i, o)
		}
	}
}

func (c *checking) ownOutput(i int, o canon.Output) {
	const rule = "own-address"
	field := fmt.Sprintf("outputs[%d].own", i)
	if d := c.destination(i); len(d.Groups)+len(d.Recent) > 0 {
		c.Add("facts", fmt.Sprintf("intent.destinations[%d]", i), "no groups: an own address is not looked up in the address book", fmt.Sprint(slices.Concat(d.Groups, d.Recent)))
	}
	w, ok := c.Charter.Wallet(o.Own.Wallet)
	holder, holds := c.Charter.Holder(w, c.Request.Account)
	if !ok || !holds || w.Chain != c.Request.Chain {
		c.Add(rule, field+".wallet", fmt.Sprintf("a wallet on %s that holds account %s", c.Request.Chain, c.Request.Account), string(o.Own.Wallet))
		return
	}
	if c.chain.Kind == canon.EVM && o.Own.Index != 0 {
		c.Add(rule, field+".index", "0: an account has one address on this chain", fmt.Sprint(o.Own.Index))
		return
	}
	c.within(field, w, holder.Name, wallets.BranchReceive, o.Own.Index)
	keys, ok := c.keysOf(rule, field+".wallet", w)
	if !ok {
		return
	}
	spot, ok := c.spot(rule, field, keys, holder, wallets.BranchReceive, o.Own.Index)
	if !ok {
		return
	}
	if !bytes.Equal(o.Address, spot.Address) {
		c.Add(rule, fmt.Sprintf("outputs[%d].address", i), fmt.Sprintf("%x, derived by this signer", spot.Address), fmt.Sprintf("%x", o.Address))
		return
	}
	c.own = append(c.own, Kept{AddressUse{Wallet: w.Name, Account: holder.Name, Branch: wallets.BranchReceive, Index: o.Own.Index}, spot.Devices})
}
