package keyset

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Extends reports whether a wallet of the scheme keeps all its addresses when new takes the place of old in the charter: every address that old has keys
// for must have the same keys in new, of whichever devices, since a token that was restored from a backup belongs to another signer. A charter names
// digests only, so that nobody but those who have both pools can tell; whoever approves another pool asks this first. The error is a *refusal.Refusal.
//
// More accounts may always come. More keys for an account may come to a wallet of scheme hsm; one of scheme cosign takes its keys in turn, so that another
// number of them would give it other addresses.
func Extends(old, new *Pool, scheme canon.WalletScheme) error {
	was, is := &old.document, &new.document
	var l refusal.List
	if was.Wallet != is.Wallet || was.Chain != is.Chain || len(was.Devices) != len(is.Devices) {
		l.Add("pool", "wallet, chain, devices", fmt.Sprintf("wallet %s, chain %s, %d devices as in pool %s", was.Wallet, was.Chain, len(was.Devices), old.digest),
			fmt.Sprintf("wallet %s, chain %s, %d devices", is.Wallet, is.Chain, len(is.Devices)))
	}
	fewer := is.Receive < was.Receive || is.Change < was.Change
	other := is.Receive != was.Receive || is.Change != was.Change
	if fewer || other && scheme == canon.SchemeCosign {
		words := map[bool]string{true: "exactly", false: "at least"}[scheme == canon.SchemeCosign]
		l.Add("pool", "receive, change", fmt.Sprintf("%s %d and %d", words, was.Receive, was.Change), fmt.Sprintf("%d and %d", is.Receive, is.Change))
	}
	for _, account := range was.Accounts {
		if _, ok := new.offset[account]; !ok {
			l.Add("pool", "accounts", "keys for account "+string(account), "none")
		}
	}
	if err := l.Err(); err != nil {
		return err
	}
	for at := range uint64(len(was.Accounts)) * (was.Receive + was.Change) {
		account, branch, index := Position(was, at)
		position, err := new.position(account, branch, index, false)
		if err != nil {
			return err
		}
		if before, after := old.keysAt(at), new.keysAt(position); !slices.EqualFunc(before, after, bytes.Equal) {
			return refusal.New("pool", fmt.Sprintf("key of %s/%d/%d", account, branch, index), fmt.Sprintf("%x", before), fmt.Sprintf("%x", after))
		}
	}
	return nil
}

// keysAt returns the keys of all devices at a position, sorted as a script sorts them.
func (p *Pool) keysAt(at uint64) [][]byte {
	keys := make([][]byte, len(p.document.Devices))
	for i, d := range p.document.Devices {
		keys[i] = d.Keys[at]
	}
	slices.SortFunc(keys, bytes.Compare)
	return keys
}
