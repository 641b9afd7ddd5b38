package coordinator

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// highestIndex is how far the node attested; the node is locked.
func (n *node) highestIndex(wallet, account canon.Name, number uint64) int64 {
	if h, ok := n.highest[branch{wallet, account, number}]; ok {
		return h
	}
	return -1
}

func (n *node) AttestAddress(_ context.Context, r *strongroomv1.AttestAddressRequest, _ ...grpc.CallOption) (*strongroomv1.AttestAddressResponse, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.available(); err != nil {
		return nil, err
	}
	now := n.chain.Current()
	w, _ := now.Wallet(canon.Name(r.GetWallet()))
	a, _ := now.Account(canon.Name(r.GetAccount()))
	c, _ := now.Chain(w.Chain)
	set := keyset.Set{Organisation: n.charter.Organisation(), Chain: c, Wallet: w}
	key, _ := now.Key(w.Key)
	if w.Key != "" {
		set.Group, _ = n.groupKey(w.Key)
	}
	if len(w.Pool) > 0 {
		pool, err := n.open(canon.Digest(w.Pool))
		if err != nil {
			return nil, err
		}
		set.Pool = pool
	}
	spot, err := set.At(a, r.GetBranch(), r.GetIndex())
	if err != nil {
		return nil, err
	}
	most := n.highestIndex(w.Name, a.Name, r.GetBranch())
	if int64(r.GetIndex()) > most+100 {
		return nil, refusal.New("address", "index", fmt.Sprintf("at most %d", most+100), fmt.Sprint(r.GetIndex()))
	}
	n.highest[branch{w.Name, a.Name, r.GetBranch()}] = max(most, int64(r.GetIndex()))
	doc := canon.Address{Organisation: n.charter.Organisation(), Signer: n.name, Chain: w.Chain, Wallet: w.Name, Account: a.Name, Key: w.Key, KeyEpoch: key.Epoch,
		Path: []uint64{c.CoinType, w.Number, a.Number, r.GetBranch(), r.GetIndex()}, Address: spot.Address}
	if n.mangle {
		doc.Address = append([]byte{}, n.payee...)
	}
	signed, err := n.signed(doc)
	return &strongroomv1.AttestAddressResponse{Attestation: signed}, err
}
