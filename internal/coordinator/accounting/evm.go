package accounting

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Held is what lies on an address of ours on an EVM chain.
type Held struct {
	Address [20]byte
	Wallet  canon.Name
	Holder  canon.Name // account whose path the address is
	Owner   canon.Name // account that the address was given to; empty for none
	Asset   canon.AssetID
	Before  *big.Int // when it was booked last
	Now     *big.Int
}

// Transfer is an ERC-20 transfer of an asset of the charter, as its event shows it.
type Transfer struct {
	Asset    canon.AssetID
	From, To [20]byte
	Amount   *big.Int
}

// Mined is a withdrawal's transaction in a block.
type Mined struct {
	withdrawal.Withdrawal
	ID        string
	Sender    [20]byte
	Coin      canon.AssetID
	Fee       *big.Int
	Success   bool
	To        [20]byte
	Value     *big.Int
	Transfers []Transfer
	// Late says that it is in a block up to which balances were booked before its receipt was seen: they have shown already what it did.
	Late bool
}

// EVM is what an EVM chain shows at a block that is as deep as the charter asks, and the transactions of ours in blocks up to it that were not
// booked yet.
type EVM struct {
	Block Block
	Held  []Held
	Mined []Mined
}

// position is an asset on an address.
type position struct {
	address [20]byte
	asset   canon.AssetID
}

// Movements returns what happened since the balances were booked last: our own transactions by their receipts, and what these do not explain,
// more as deposits and less as unexplained outflow.
func (v EVM) Movements() ([]Movement, error) {
	out, explained, late, err := v.receipts()
	if err != nil {
		return nil, err
	}
	for _, h := range v.Held {
		n := h.change(explained)
		m := Movement{Kind: Deposit, Wallet: h.Wallet, Account: h.Owner, Asset: h.Asset, Amount: canon.Amount(new(big.Int).Abs(n).Bytes()), Block: v.Block}
		m.Text = fmt.Sprintf("the balance of 0x%x at block %d", h.Address, v.Block.Height)
		if n.Sign() < 0 {
			m.Kind, m.Account = Outflow, ""
			m.Text += ", which no withdrawal explains"
		}
		m.Key = v.key(m.Kind, h)
		out = append(out, m)
		if gone := late[position{h.Address, h.Asset}]; gone != nil && gone.Sign() < 0 {
			m.Kind, m.Account, m.Amount, m.Key = Explained, h.Owner, canon.Amount(new(big.Int).Neg(gone).Bytes()), v.key(Explained, h)
			m.Text = fmt.Sprintf("left 0x%x before block %d by a withdrawal whose receipt came late", h.Address, v.Block.Height)
			out = append(out, m)
		}
	}
	return Ordered(out), nil
}

// Lacks returns the addresses from which something is gone that none of the receipts explains.
func (v EVM) Lacks() ([][20]byte, error) {
	_, explained, _, err := v.receipts()
	if err != nil {
		return nil, err
	}
	var out [][20]byte
	for _, h := range v.Held {
		if h.change(explained).Sign() < 0 && !slices.Contains(out, h.Address) {
			out = append(out, h.Address)
		}
	}
	return out, nil
}

// receipts books our own transactions, and returns what they did to our addresses since the balances were booked last, and before.
func (v EVM) receipts() (out []Movement, explained, late map[position]*big.Int, err error) {
	explained, late = map[position]*big.Int{}, map[position]*big.Int{}
	for _, tx := range v.Mined {
		asked, err := outputs(tx.Withdrawal)
		if err != nil {
			return nil, nil, nil, err
		}
		did := explained
		if tx.Late {
			did = late
		}
		out = append(out, v.mined(tx, asked, did)...)
	}
	return out, explained, late, nil
}

// change is by how much the balance grew beyond what receipts explain.
func (h Held) change(explained map[position]*big.Int) *big.Int {
	n := new(big.Int).Sub(h.Now, h.Before)
	if known := explained[position{h.Address, h.Asset}]; known != nil {
		n.Sub(n, known)
	}
	return n
}

// key is the natural key of what a balance shows.
func (v EVM) key(kind Kind, h Held) string {
	return kind.key(fmt.Sprintf("%s:%d", v.Block.Chain, v.Block.Height), fmt.Sprintf("%s/%s:%s", h.Wallet, h.Holder, h.Asset))
}

// mined books one transaction of ours and notes in explained what it did to addresses of ours.
func (v EVM) mined(tx Mined, asked []canon.Output, explained map[position]*big.Int) []Movement {
	b := &mining{EVM: v, tx: tx, asked: asked, explained: explained}
	b.out(Fee, tx.Coin, tx.Fee)
	if tx.Success {
		b.transfer(Transfer{Asset: tx.Coin, From: tx.Sender, To: tx.To, Amount: tx.Value})
		for _, t := range tx.Transfers {
			b.transfer(t)
		}
	}
	for _, m := range Ended(tx.Withdrawal) {
		m.TxID = tx.ID
		b.movements = append(b.movements, m)
	}
	return b.movements
}

// mining books one transaction.
type mining struct {
	EVM
	tx        Mined
	asked     []canon.Output
	explained map[position]*big.Int
	movements []Movement
}

func (b *mining) book(kind Kind, asset canon.AssetID, n *big.Int) *Movement {
	m := about(b.tx.Withdrawal, kind, asset)
	m.Key, m.Amount, m.TxID, m.Block = kind.key(b.tx.ID, fmt.Sprint(len(b.movements))), canon.Amount(n.Bytes()), b.tx.ID, b.Block
	b.movements = append(b.movements, m)
	return &b.movements[len(b.movements)-1]
}

func (b *mining) explain(at position, n *big.Int) {
	if b.explained[at] == nil {
		b.explained[at] = new(big.Int)
	}
	b.explained[at].Add(b.explained[at], n)
}

// out books what left the sender's address.
func (b *mining) out(kind Kind, asset canon.AssetID, n *big.Int) {
	b.book(kind, asset, n)
	b.explain(position{b.tx.Sender, asset}, new(big.Int).Neg(n))
}

// transfer books what a transfer means for the withdrawal's account: it moved to another wallet of it, was paid, or came in by its own call.
// Transfers between others are no matter of the withdrawal, and what others of ours gain by it shows in their balances.
func (b *mining) transfer(t Transfer) {
	switch {
	case t.From == t.To:
	case t.From == b.tx.Sender:
		own := slices.IndexFunc(b.asked, func(o canon.Output) bool {
			return o.Own != nil && o.Asset == t.Asset && bytes.Equal(o.Address, t.To[:])
		})
		if own < 0 {
			b.out(Payment, t.Asset, t.Amount)
			return
		}
		b.out(MoveOut, t.Asset, t.Amount)
		if b.tx.Late {
			return // what arrived was booked by the balance
		}
		b.book(MoveIn, t.Asset, t.Amount).Wallet = b.asked[own].Own.Wallet
		b.explain(position{t.To, t.Asset}, t.Amount)
	case t.To == b.tx.Sender && !b.tx.Late:
		b.book(Deposit, t.Asset, t.Amount)
		b.explain(position{b.tx.Sender, t.Asset}, t.Amount)
	}
}
