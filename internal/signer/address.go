package signer

import (
	"context"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// gap is how far beyond the highest index that this signer has seen an address may lie. A coordinator that needs a later one asks for those
// in between first, on the change branch also: so it leads a signer that was away on to the change addresses in use.
const gap = 100

// AttestAddress derives a receive address from what this signer knows by itself, the MPC key's public key and the pool of keys in tokens, and signs it,
// after recording it as seen. The path of an omnibus account's address is the pool account's; the attestation names the account that was asked for.
// Before the first one of a key it makes sure that every holder has the key, and for a wallet that its token signs for, every time, that the token has the
// key of that very address: no deposit shall go where a lost key is needed.
func (s *Signer) AttestAddress(ctx context.Context, r *strongroomv1.AttestAddressRequest) (*strongroomv1.AttestAddressResponse, error) {
	if err := s.mayPromise(s.chain()); err != nil {
		return nil, err
	}
	c := s.charter()
	p, err := s.placed(c, r)
	if err != nil {
		return nil, err
	}
	path, err := wallets.NewPath(p.chain.CoinType, p.wallet.Number, p.holder.Number, r.GetBranch(), r.GetIndex())
	if err != nil {
		return nil, refusal.New("address", "path", "elements below 2^31", err.Error())
	}
	if err := s.everybodyHas(ctx, p.wallet); err != nil {
		return nil, err
	}
	set, err := s.set(c, p.wallet)
	if err != nil {
		return nil, err
	}
	spot, err := set.At(p.holder, r.GetBranch(), r.GetIndex())
	if err != nil {
		return nil, err
	}
	if err := s.checkToken(ctx, p.wallet, spot.Devices); err != nil {
		return nil, err
	}
	if err := s.config.Ledger.See(p.wallet.Name, p.holder.Name, r.GetBranch(), r.GetIndex()); err != nil {
		return nil, s.noted(err)
	}
	signed, err := s.sign(canon.Address{
		Organisation: c.Organisation(), Signer: s.config.Self, Chain: p.chain.ID, Wallet: p.wallet.Name, Account: p.account,
		Key: p.wallet.Key, KeyEpoch: set.Group.Epoch, Path: elements(path), Address: spot.Address,
	})
	if err != nil {
		return nil, err
	}
	return &strongroomv1.AttestAddressResponse{Attestation: wireSigned(signed)}, nil
}

// site is where an address lies.
type site struct {
	wallet  canon.Wallet
	account canon.Name    // that was asked for
	holder  canon.Account // whose path it is: for an omnibus account the wallet's pool account
	chain   canon.Chain
}

// placed looks the address up in the charter and refuses what is no address of an account.
func (s *Signer) placed(c *charter.Charter, r *strongroomv1.AttestAddressRequest) (site, error) {
	var p site
	var failures refusal.List
	var ok bool
	if p.wallet, ok = c.Wallet(canon.Name(r.GetWallet())); !ok {
		return site{}, refusal.New("address", "wallet", "a wallet of the charter", fmt.Sprintf("%.70q", r.GetWallet()))
	}
	if !s.vouches(c, p.wallet) {
		failures.Add("address", "signer", "a member of the roster, a holder of the wallet's key or a device", string(s.config.Self))
	}
	p.account = canon.Name(r.GetAccount())
	if p.holder, ok = c.Holder(p.wallet, p.account); !ok {
		failures.Add("address", "account", "an account of wallet "+string(p.wallet.Name), fmt.Sprintf("%.70q", r.GetAccount()))
	}
	if p.chain, ok = c.Chain(p.wallet.Chain); !ok {
		failures.Add("address", "wallet", "a chain of the charter", string(p.wallet.Chain))
	}
	if r.GetBranch() > wallets.BranchChange || (p.chain.Kind == canon.EVM && r.GetBranch() != wallets.BranchReceive) {
		failures.Add("address", "branch", fmt.Sprintf("%d, receive, or %d, change, on Bitcoin", wallets.BranchReceive, wallets.BranchChange),
			fmt.Sprint(r.GetBranch()))
	}
	if p.chain.Kind == canon.EVM && r.GetIndex() != 0 {
		failures.Add("address", "index", "0: an account has one address on this chain", fmt.Sprint(r.GetIndex()))
	}
	highest := s.config.Ledger.HighestIndex(p.wallet.Name, p.holder.Name, r.GetBranch())
	if most := uint64(highest + gap); r.GetIndex() > most {
		failures.Add("address", "index", fmt.Sprintf("at most %d, %d beyond the highest seen", most, gap), fmt.Sprint(r.GetIndex()))
	}
	return p, failures.Err()
}

// vouches reports whether this signer attests addresses of the wallet. A device attests those of other wallets too, where its word counts for nothing:
// what it has not seen in use it does not pay to, and a move may go to any wallet of its account.
func (s *Signer) vouches(c *charter.Charter, w canon.Wallet) bool {
	self, _ := c.Signer(s.config.Self)
	key, _ := c.Key(w.Key)
	device := slices.ContainsFunc(c.Genesis().Wallets, func(w canon.Wallet) bool { _, ok := deviceOf(w, s.config.Self); return ok })
	return self.Ledger || device || slices.Contains(key.Holders, s.config.Self)
}

// everybodyHas makes sure that every holder of the wallet's MPC key, if it has one, has the same public key, and that this signer knows it.
func (s *Signer) everybodyHas(ctx context.Context, w canon.Wallet) error {
	if w.Scheme == canon.SchemeHSM {
		return nil
	}
	if sh, ok := s.share(w.Key); ok {
		return s.confirm(ctx, w.Key, sh)
	}
	return s.learn(ctx, w.Key)
}

func elements(p wallets.Path) []uint64 {
	all := make([]uint64, len(p))
	for i, n := range p {
		all[i] = uint64(n)
	}
	return all
}
