package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/chain"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// bookEVM books an EVM chain up to the latest block that is as deep as the charter asks: the balances of our addresses after it, and the
// transactions of ours up to it. Both are of the same block, so what no transaction of ours explains was paid to us, or is missing. A block that
// was booked and is on the chain no more is undone first. Bitcoin is booked block by block as it is read.
func (s *Service) bookEVM(ctx context.Context, on canon.Chain) error {
	node := s.EVM[on.ID]
	tip, err := node.Tip(ctx)
	if err != nil || tip.Number+1 < on.Depth {
		return err
	}
	before, held, found, err := s.Store.Booked(ctx, on.ID)
	final := tip.Number + 1 - on.Depth
	if err != nil || (found && final <= before.Height) {
		return err
	}
	b := store.EVMBlock{Chain: on.ID, Time: s.Now()}
	if found {
		if rewound, err := s.rewind(ctx, node, on.ID); err != nil {
			return err
		} else if rewound {
			if before, held, found, err = s.Store.Booked(ctx, on.ID); err != nil {
				return err
			}
		}
		b.Before = &before
	}
	block, err := node.BlockAt(ctx, final)
	if err != nil {
		return err
	}
	b.At = store.BlockRef{Height: final, Hash: block.Hash}
	facts := accounting.EVM{Block: accounting.Block{Chain: on.ID, Height: final}}
	c := s.charter()
	if facts.Held, err = s.heldOn(ctx, c, on.ID, b.At, held); err != nil {
		return err
	}
	waiting, err := s.mined(ctx, c, on.ID, final, b.Before, &facts)
	if err != nil {
		return err
	}
	if found && final-before.Height < receiptPatience {
		if err := receiptsLack(facts, waiting); err != nil {
			return err
		}
	}
	if b.Movements, err = facts.Movements(); err != nil {
		return err
	}
	for _, tx := range facts.Mined {
		b.Settled = append(b.Settled, tx.Withdrawal.ID)
	}
	for _, h := range facts.Held {
		b.Held = append(b.Held, store.AddressAmount{Wallet: h.Wallet, Holder: h.Holder, Asset: h.Asset, Amount: h.Now})
	}
	return s.Store.BookEVM(ctx, b)
}

// rewind reverses what was booked in blocks that the chain does not have any more, back to the last one that it has. It reports whether there were
// any. A reorganisation deeper than the blocks that the store keeps stops the book, and a person looks.
func (s *Service) rewind(ctx context.Context, node chain.EVM, id canon.ChainID) (bool, error) {
	marks, err := s.Store.Marks(ctx, id)
	if err != nil {
		return false, err
	}
	for i, m := range marks {
		found, err := node.BlockAt(ctx, m.Height)
		if err != nil {
			return false, err
		}
		if found.Hash != common.Hash(m.Hash) {
			continue
		}
		if i == 0 {
			return false, nil
		}
		s.Log.Error("a reorganisation reached deeper than the charter's depth: the book goes back", "chain", string(id), "from", marks[0].Height, "to", m.Height)
		return true, s.Store.UnbookEVM(ctx, id, m)
	}
	return false, fmt.Errorf("book: expected the chain to have one of the last %d blocks that were booked, found none: a reorganisation reached deeper", len(marks))
}

// receiptPatience is for how many blocks the book waits for the receipt of a withdrawal that may explain what is gone.
const receiptPatience = 64

// receiptsLack refuses to book something as missing from an address while a withdrawal from there has no receipt: a node may show the balance first.
func receiptsLack(facts accounting.EVM, waiting []withdrawal.Withdrawal) error {
	lacks, err := facts.Lacks()
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if w.Anchor != nil && slices.ContainsFunc(lacks, func(a [20]byte) bool { return bytes.Equal(a[:], w.Anchor.Account) }) {
			return fmt.Errorf("book: block %d: expected the receipt of withdrawal %s, which may explain what left 0x%x, found none", facts.Block.Height, w.ID, w.Anchor.Account)
		}
	}
	return nil
}

// heldOn reads the balances of all addresses on a chain after a block, beside those of before.
func (s *Service) heldOn(ctx context.Context, c *charter.Charter, id canon.ChainID, at store.BlockRef, before []store.AddressAmount) ([]accounting.Held, error) {
	type place struct {
		wallet, holder canon.Name
		asset          canon.AssetID
	}
	known := map[place]*big.Int{}
	for _, h := range before {
		known[place{h.Wallet, h.Holder, h.Asset}] = h.Amount
	}
	var out []accounting.Held
	for _, w := range c.Genesis().Wallets {
		if w.Chain != id {
			continue
		}
		held, err := s.heldAt(ctx, c, w, at)
		var missing *missingPoolError
		if errors.As(err, &missing) {
			if before, _ := s.alarmed.Swap(w.Name, err.Error()); before != err.Error() {
				s.Log.Error("a wallet waits", "wallet", string(w.Name), "error", err.Error())
			}
			continue // what it held before stands in the book until its addresses are known again
		}
		if err != nil {
			return nil, err
		}
		for _, h := range held {
			if h.Before = known[place{h.Wallet, h.Holder, h.Asset}]; h.Before == nil {
				h.Before = new(big.Int)
			}
			out = append(out, h)
		}
	}
	return out, nil
}

// mined adds to facts the withdrawals whose transaction is in a block up to that height and was not booked, and returns those that are in none yet.
// One in a block up to which the chain was booked before is late.
func (s *Service) mined(ctx context.Context, c *charter.Charter, id canon.ChainID, height uint64, before *store.BlockRef, facts *accounting.EVM) (waiting []withdrawal.Withdrawal, err error) {
	open, err := s.Store.Unbooked(ctx, id)
	if err != nil {
		return nil, err
	}
	for _, w := range open {
		found := false
		for _, version := range append([]withdrawal.Transaction{*w.Transaction}, w.Replaced...) {
			r, err := s.EVM[id].Receipt(ctx, common.HexToHash(version.TxID))
			if errors.Is(err, chain.ErrNotFound) {
				continue
			}
			if err != nil {
				return nil, err
			}
			if r.Confirmations == 0 || r.BlockNumber > height {
				continue
			}
			tx, err := minedAs(c, w, version.TxID, r)
			if err != nil {
				return nil, fmt.Errorf("withdrawal %s: %w", w.ID, err)
			}
			tx.Late = before != nil && r.BlockNumber <= before.Height
			facts.Mined, found = append(facts.Mined, tx), true
		}
		if !found {
			waiting = append(waiting, w)
		}
	}
	return waiting, nil
}

// minedAs reads what a receipt says about a withdrawal's transaction.
func minedAs(c *charter.Charter, w withdrawal.Withdrawal, txid string, r chain.Receipt) (accounting.Mined, error) {
	coin, ok := c.NativeAsset(w.Chain)
	if !ok || r.GasPrice == nil || w.Prepared == nil || w.Anchor == nil || len(w.Anchor.Account) != 20 {
		return accounting.Mined{}, errors.New("book: expected a coin of the chain, a gas price and a prepared transaction, found fewer")
	}
	t, err := ethereum.Parse(w.Prepared.Unsigned)
	if err != nil {
		return accounting.Mined{}, err
	}
	out := accounting.Mined{Withdrawal: w, ID: txid, Sender: [20]byte(w.Anchor.Account), Coin: coin.ID, Success: r.Success, To: t.To, Value: t.Value,
		Fee: new(big.Int).Mul(r.GasPrice, new(big.Int).SetUint64(r.GasUsed))}
	for _, l := range r.Logs {
		if move, ok := transferOf(c, w.Chain, l); ok {
			out.Transfers = append(out.Transfers, move)
		}
	}
	return out, nil
}

// transferOf reads an ERC-20 Transfer event of an asset of the charter.
func transferOf(c *charter.Charter, id canon.ChainID, l *types.Log) (accounting.Transfer, bool) {
	if len(l.Topics) != 3 || l.Topics[0] != transferTopic || len(l.Data) != 32 {
		return accounting.Transfer{}, false
	}
	for _, a := range c.Genesis().Assets {
		if contract, ok := a.ID.Contract(); ok && a.ID.Chain() == id && common.Address(contract) == l.Address {
			return accounting.Transfer{Asset: a.ID, From: [20]byte(l.Topics[1][12:]), To: [20]byte(l.Topics[2][12:]), Amount: new(big.Int).SetBytes(l.Data)}, true
		}
	}
	return accounting.Transfer{}, false
}
