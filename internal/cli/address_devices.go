package cli

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// poolSource finds a key pool by its digest, verified. A nil one has none.
type poolSource func(canon.Digest) (*keyset.Pool, error)

func countOf(list []canon.Name, is func(canon.Name) bool) (n uint64) {
	for _, name := range list {
		if is(name) {
			n++
		}
	}
	return n
}

// counts reports whether a signer's word is one of the f+1 that an address needs, of whom no more than the roster's faults may lie: where the MPC key signs a
// holder's, who has a share of it; where tokens alone sign a member of the roster's. Others learned the key from the holders, and believe what those say.
func counts(c *charter.Charter, wallet canon.Wallet, name canon.Name) bool {
	signer, ok := c.Signer(name)
	if wallet.Key == "" {
		return ok && signer.Ledger
	}
	key, _ := c.Key(wallet.Key)
	return ok && slices.Contains(key.Holders, name)
}

// devicesAttesting returns the devices without whose word no address of a wallet counts: those that sign or attest beside the MPC key. The addresses of
// tokens that sign alone everybody derives from their pool.
func devicesAttesting(w canon.Wallet) []canon.Name {
	if w.Scheme != canon.SchemeCosign {
		return nil
	}
	out := make([]canon.Name, len(w.Devices))
	for i, d := range w.Devices {
		out[i] = d.Signer
	}
	return out
}

// derived derives an address of a wallet whose tokens alone sign from their pool, and returns the pool's digest. For other wallets, and without pools,
// it returns nothing.
func derived(c *charter.Charter, wallet canon.Wallet, a canon.Address, pools poolSource) (string, error) {
	if pools == nil || wallet.Scheme != canon.SchemeHSM || len(wallet.Pool) != len(canon.Digest{}) {
		return "", nil
	}
	pool, err := pools(canon.Digest(wallet.Pool))
	if err != nil {
		return "", err
	}
	chain, _ := c.Chain(wallet.Chain)
	account, _ := c.Account(a.Account)
	spot, err := keyset.Set{Organisation: c.Organisation(), Chain: chain, Wallet: wallet, Pool: pool}.At(account, wallets.BranchReceive, a.Path[4])
	if err != nil {
		return "", err
	}
	if !bytes.Equal(spot.Address, a.Address) {
		return "", refusal.New("attestation", "address", fmt.Sprintf("%x, which pool %s gives", spot.Address, pool.Digest()), fmt.Sprintf("%x", a.Address))
	}
	return pool.Digest().String(), nil
}
