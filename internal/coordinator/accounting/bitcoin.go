package accounting

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// Coin is an output of our own, as a Bitcoin transaction makes or spends it.
type Coin struct {
	Output uint32 // in the transaction that made it
	Wallet canon.Name
	Owner  canon.Name // account that its address was given to; empty for none. Of coins that are made
	Value  uint64     // satoshi
	Script []byte     // of coins that are made
}

// Bitcoin is a transaction in a block that spends coins of ours, or makes some.
type Bitcoin struct {
	ID    string // as explorers show it
	Asset canon.AssetID
	Block Block
	Spent []Coin
	Made  []Coin
	// Holder is the withdrawal that reserved what is spent; nil if none did, or several.
	Holder *withdrawal.Withdrawal
}

// Movements returns what the transaction does to the book. One that spends coins and is no version of the withdrawal that reserved them, or
// spends from several wallets, is an unexplained outflow: of what it does not bring back to the same wallet.
func (t Bitcoin) Movements() ([]Movement, error) {
	if len(t.Spent) == 0 {
		return t.deposits(t.Made), nil
	}
	if t.Holder != nil && !slices.ContainsFunc(t.Spent, func(c Coin) bool { return c.Wallet != t.Holder.Wallet }) {
		if p := t.version(); p != nil {
			return t.payment(*t.Holder, *p)
		}
	}
	return t.unexplained(), nil
}

// version returns the version of the withdrawal's transaction that this one is: witnesses are no part of an id (BIP-141).
func (t Bitcoin) version() *withdrawal.Prepared {
	versions := slices.Clone(t.Holder.Earlier)
	if t.Holder.Prepared != nil {
		versions = append(versions, *t.Holder.Prepared)
	}
	for _, p := range slices.Backward(versions) {
		if tx, err := bitcoin.Parse(p.Unsigned); err == nil && tx.TxHash().String() == t.ID {
			return &p
		}
	}
	return nil
}

func (t Bitcoin) movement(kind Kind, key string, wallet, account canon.Name, value uint64) Movement {
	return Movement{Kind: kind, Key: kind.key(t.ID, key), Wallet: wallet, Account: account, Asset: t.Asset, Amount: canon.AmountOf(value), TxID: t.ID, Block: t.Block}
}

// key is the natural key of a movement of a transaction.
func (k Kind) key(txid, what string) string { return fmt.Sprintf("%s:%s:%s", k, txid, what) }

// deposits books coins as received by whoever was given their addresses.
func (t Bitcoin) deposits(coins []Coin) []Movement {
	var out []Movement
	for _, c := range coins {
		out = append(out, t.movement(Deposit, fmt.Sprint(c.Output), c.Wallet, c.Owner, c.Value))
	}
	return out
}

// payment splits what left the wallet into what moved to other addresses of the account, the fee, and the payments. What the transaction pays
// to others' addresses of ours is a deposit of theirs.
func (t Bitcoin) payment(w withdrawal.Withdrawal, p withdrawal.Prepared) ([]Movement, error) {
	asked, err := outputs(w)
	if err != nil {
		return nil, err
	}
	var gone, moves uint64
	for _, c := range t.Spent {
		gone += c.Value
	}
	var arrived []Movement
	for _, c := range t.Made {
		switch {
		case slices.ContainsFunc(p.Change, func(o canon.OwnPath) bool { return o.Position == uint64(c.Output) }):
			gone -= min(gone, c.Value)
		case slices.ContainsFunc(asked, func(o canon.Output) bool { return o.Own != nil && bytes.Equal(o.Address, c.Script) }):
			moves += c.Value
			in := t.movement(MoveIn, fmt.Sprint(c.Output), c.Wallet, w.Account, c.Value)
			in.Withdrawal = &w.ID
			arrived = append(arrived, in)
		default:
			arrived = append(arrived, t.deposits([]Coin{c})...)
		}
	}
	fee := uint64(0)
	if n := p.Fee.Int(); n.IsUint64() {
		fee = min(n.Uint64(), gone)
	}
	var out []Movement
	for _, part := range []struct {
		kind  Kind
		value uint64
	}{{Payment, gone - fee - min(moves, gone-fee)}, {Fee, fee}, {MoveOut, min(moves, gone-fee)}} {
		m := t.movement(part.kind, string(w.Wallet), w.Wallet, w.Account, part.value)
		m.Withdrawal = &w.ID
		out = append(out, m)
	}
	rest := about(w, Return, t.Asset)
	rest.TxID, rest.Text = t.ID, "not needed"
	return append(append(out, rest), arrived...), nil
}

// unexplained books what each wallet lost. A wallet that lost nothing gained what the transaction makes.
func (t Bitcoin) unexplained() []Movement {
	lost := map[canon.Name]uint64{}
	var order []canon.Name
	for _, c := range t.Spent {
		if !slices.Contains(order, c.Wallet) {
			order = append(order, c.Wallet)
		}
		lost[c.Wallet] += c.Value
	}
	back := map[canon.Name]uint64{}
	for _, c := range t.Made {
		back[c.Wallet] += c.Value
	}
	var out []Movement
	for _, name := range order {
		n := lost[name]
		if back[name] < n {
			n -= back[name]
		}
		m := t.movement(Outflow, string(name), name, "", n)
		m.Text = "no withdrawal explains it"
		out = append(out, m)
	}
	for _, c := range t.Made {
		if n, spends := lost[c.Wallet]; !spends || back[c.Wallet] >= n {
			out = append(out, t.deposits([]Coin{c})...)
		}
	}
	return out
}
