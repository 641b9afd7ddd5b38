package charter

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// CheckPool holds a pool of keys, opened by keyset.OpenPool under the digest that the charter names for the wallet, against the rest of the charter: it must
// be for this wallet and chain, have the wallet's devices in its order, under the identities that their signers have here, and on an EVM chain one key for
// each account, on Bitcoin one for change too. A pool of another organisation, where signers and wallets may have the same names, has other identities. Accounts of the wallet that are
// not in the pool have no addresses in it, which keyset.Set.At says; MissingFrom lists them. The error is a *refusal.Refusal.
func (c *Charter) CheckPool(w canon.Wallet, p *canon.KeyPool) error {
	var l refusal.List
	if p.Wallet != w.Name || p.Chain != w.Chain {
		l.Add("pool", "wallet, chain", fmt.Sprintf("%s and %s", w.Name, w.Chain), fmt.Sprintf("%s and %s", p.Wallet, p.Chain))
	}
	if len(p.Devices) != len(w.Devices) {
		l.Add("pool", "devices", fmt.Sprintf("%d, the devices of wallet %s", len(w.Devices), w.Name), fmt.Sprint(len(p.Devices)))
		return l.Err()
	}
	for i, d := range w.Devices {
		field, found := fmt.Sprintf("devices[%d]", i), p.Devices[i]
		if found.Signer != d.Signer {
			l.Add("pool", field+".signer", string(d.Signer), string(found.Signer))
		} else if s, _ := c.Signer(d.Signer); found.Identity != s.Identity {
			l.Add("pool", field+".identity", fmt.Sprintf("%s, that of %s in this charter", s.Identity, d.Signer), found.Identity.String())
		}
		if found.Backup != w.Backup {
			l.Add("pool", field+".backup", fmt.Sprintf("%d, as of wallet %s (1 none, 2 wrap)", w.Backup, w.Name), fmt.Sprint(found.Backup))
		}
		if found.Attended && !w.SingleDevice {
			l.Add("pool", field+".attended", "keys that sign without a person, for a wallet of several devices", "keys that ask for the PIN each time")
		}
	}
	chain, _ := c.Chain(w.Chain)
	if chain.Kind == canon.EVM && (p.Receive != 1 || p.Change != 0) {
		l.Add("pool", "receive, change", "1 and 0: an account has one address on this chain", fmt.Sprintf("%d and %d", p.Receive, p.Change))
	}
	if chain.Kind == canon.Bitcoin && p.Change == 0 {
		l.Add("pool", "change", "at least 1: without change a payment spends whole coins only", "0")
	}
	return l.Err()
}

// MissingFrom returns the accounts on whose addresses a wallet's assets lie and that a pool has no keys for, in the wallet's order: until a pool that has
// them is named, they have no addresses there.
func (c *Charter) MissingFrom(w canon.Wallet, p *canon.KeyPool) []canon.Name {
	has := map[canon.Name]bool{}
	for _, n := range p.Accounts {
		has[n] = true
	}
	var missing []canon.Name
	for _, n := range w.Accounts {
		if a, ok := c.Account(n); ok && a.Kind != canon.Omnibus && !has[n] {
			missing = append(missing, n)
		}
	}
	return missing
}
