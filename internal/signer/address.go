package signer

import (
	"context"
	"fmt"

	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
	"github.com/strongroom/strongroom/wallets/bitcoin"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// gap is how far beyond the highest index that this signer has seen an address may lie. A coordinator that needs a later one asks for those
// in between first, on the change branch also: so it leads a signer that was away on to the change addresses in use.
const gap = 100

// AttestAddress derives a receive address from this signer's own copy of the group key and signs it, after recording it as seen. The path of an
// omnibus account's address is the pool's; the attestation names the account that was asked for.
// Before the first one of a key it makes sure that every holder has the key.
func (s *Signer) AttestAddress(ctx context.Context, r *strongroomv1.AttestAddressRequest) (*strongroomv1.AttestAddressResponse, error) {
	if err := s.mayPromise(s.chain()); err != nil {
		return nil, err
	}
	p, err := s.placed(r)
	if err != nil {
		return nil, err
	}
	path, err := wallets.NewPath(p.chain.CoinType, p.wallet.Number, p.holder.Number, r.GetBranch(), r.GetIndex())
	if err != nil {
		return nil, refusal.New("address", "path", "elements below 2^31", err.Error())
	}
	if err := s.confirm(ctx, p.wallet.Key, p.share); err != nil {
		return nil, err
	}
	org := s.charter().Organisation()
	child, err := wallets.Derive(p.share.PublicKey, wallets.ChainCode(org, p.wallet.Key, p.share.PublicKey), path)
	if err != nil {
		return nil, refusal.New("address", "index", "an index that BIP-32 defines a key for", err.Error())
	}
	if err := s.config.Ledger.See(p.wallet.Name, p.holder.Name, r.GetBranch(), r.GetIndex()); err != nil {
		return nil, s.noted(err)
	}
	signed, err := s.sign(canon.Address{
		Organisation: org, Signer: s.config.Self, Chain: p.chain.ID, Wallet: p.wallet.Name, Account: p.account,
		Key: p.wallet.Key, KeyEpoch: p.share.Epoch, Path: elements(path), Address: addressOn(p.chain, child.Public),
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
	holder  canon.Account // whose path it is: for an omnibus account the wallet's pool
	chain   canon.Chain
	share   *share.Share
}

// placed looks the address up in the charter and refuses what is no address of an account.
func (s *Signer) placed(r *strongroomv1.AttestAddressRequest) (site, error) {
	var p site
	var failures refusal.List
	var ok bool
	c := s.charter()
	if p.wallet, ok = c.Wallet(canon.Name(r.GetWallet())); !ok || p.wallet.Scheme != canon.SchemeMPC {
		return site{}, refusal.New("address", "wallet", "an mpc wallet of the charter", fmt.Sprintf("%.70q", r.GetWallet()))
	}
	p.account = canon.Name(r.GetAccount())
	if p.holder, ok = c.Holder(p.wallet, p.account); !ok {
		failures.Add("address", "account", "an account of wallet "+string(p.wallet.Name), fmt.Sprintf("%.70q", r.GetAccount()))
	}
	if p.chain, ok = c.Chain(p.wallet.Chain); !ok {
		failures.Add("address", "wallet", "a chain of the charter", string(p.wallet.Chain))
	}
	if p.share, ok = s.share(p.wallet.Key); !ok {
		failures.Add("address", "key", "a share of key "+string(p.wallet.Key), "none")
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

// addressOn returns the address as canon.Output holds it.
func addressOn(chain canon.Chain, public [33]byte) []byte {
	if chain.Kind == canon.EVM {
		a := ethereum.AddressOf(public)
		return a[:]
	}
	return bitcoin.ScriptP2WPKH(public)
}

func elements(p wallets.Path) []uint64 {
	all := make([]uint64, len(p))
	for i, n := range p {
		all[i] = uint64(n)
	}
	return all
}
