package sqlite

import (
	"bytes"
	"database/sql"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/chaincfg/chainhash"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// bookEvent books what an event means for the withdrawal's account: that its transaction is signed, or that no payment of it will come. What an
// EVM transaction paid is booked by its receipt.
func (t transaction) bookEvent(before, after withdrawal.Withdrawal, e withdrawal.Event) error {
	b := book{t}
	at := e.Time.UTC().Truncate(time.Millisecond)
	if before.Transaction == nil && after.Transaction != nil {
		if err := t.exec(`INSERT INTO account_open (withdrawal, chain) VALUES (?, ?) ON CONFLICT DO NOTHING`, after.ID[:], string(after.Chain)); err != nil {
			return err
		}
		return b.post(accounting.Signed(after), at)
	}
	if before.State.Settled() || !after.State.Settled() {
		return nil
	}
	onBitcoin := after.Anchor != nil && len(after.Anchor.Account) == len(store.Outpoint{}.TxID)
	switch {
	case after.State == withdrawal.Confirmed && onBitcoin:
		// What it paid is booked with its block, which may not have been read yet.
		return t.settle(after.ID)
	case after.State == withdrawal.Confirmed, after.State == withdrawal.Failed && after.Fate == withdrawal.FateSpent && !onBitcoin:
		return nil
	}
	if err := t.settle(after.ID); err != nil {
		return err
	}
	return b.post(accounting.Ended(after), at)
}

// settle notes that nothing more is to be booked of a withdrawal but what its chain shows.
func (t transaction) settle(id canon.Digest) error {
	return t.exec(`DELETE FROM account_open WHERE withdrawal = ?`, id[:])
}

// bookBlock books what a Bitcoin block did to coins of ours, after its credits and spends were written.
func (t transaction) bookBlock(chain canon.ChainID, b store.BlockRef, credits []store.Coin) error {
	at := accounting.Block{Chain: chain, Height: b.Height}
	list, index := []*accounting.Bitcoin{}, map[[32]byte]*accounting.Bitcoin{}
	of := func(id [32]byte, asset canon.AssetID) *accounting.Bitcoin {
		if index[id] == nil {
			index[id] = &accounting.Bitcoin{ID: chainhash.Hash(id).String(), Asset: asset, Block: at}
			list = append(list, index[id])
		}
		return index[id]
	}
	for _, c := range credits {
		tx := of(c.TxID, c.Asset)
		tx.Made = append(tx.Made, accounting.Coin{Output: c.Outpoint.Index, Wallet: c.Wallet, Owner: c.Owner, Value: c.Value, Script: c.Script})
	}
	holders := map[*accounting.Bitcoin][][]byte{}
	err := t.each(`SELECT c.spent_by, c.asset, c.output, c.wallet, c.value, h.withdrawal FROM coins c
		LEFT JOIN coin_holds h ON h.chain = c.chain AND h.txid = c.txid AND h.output = c.output
		WHERE c.chain = ? AND c.spent_height = ? ORDER BY c.spent_by, c.txid, c.output`, []any{string(chain), b.Height}, func(rows *sql.Rows) error {
		var by, holder []byte
		var asset canon.AssetID
		var c accounting.Coin
		if err := rows.Scan(&by, &asset, &c.Output, &c.Wallet, &c.Value, &holder); err != nil {
			return fmt.Errorf("sqlite: block %d: spent coin: %w", b.Height, err)
		}
		tx := of([32]byte(by), asset)
		tx.Spent = append(tx.Spent, c)
		holders[tx] = append(holders[tx], holder)
		return nil
	})
	if err != nil {
		return err
	}
	return t.bookTransactions(list, holders)
}

func (t transaction) bookTransactions(list []*accounting.Bitcoin, holders map[*accounting.Bitcoin][][]byte) error {
	var all []accounting.Movement
	for _, tx := range list {
		var err error
		if tx.Holder, err = t.soleHolder(holders[tx]); err != nil {
			return err
		}
		movements, err := tx.Movements()
		if err != nil {
			return err
		}
		all = append(all, movements...)
	}
	return book{t}.post(accounting.Ordered(all), now())
}

// now is when the store books what a block did.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// soleHolder returns the withdrawal that reserved all coins; nil if there is none, or its row cannot be read.
func (t transaction) soleHolder(holders [][]byte) (*withdrawal.Withdrawal, error) {
	if len(holders) == 0 || len(holders[0]) == 0 {
		return nil, nil
	}
	for _, h := range holders {
		if !bytes.Equal(h, holders[0]) {
			return nil, nil
		}
	}
	w, found, err := t.withdrawal(`id = ?`, holders[0])
	if isUnreadable(err) {
		return nil, nil
	}
	if err != nil || !found {
		return nil, err
	}
	return &w, nil
}

// unbookBlock reverses what a block did, and those after it, the last entry first.
func (t transaction) unbookBlock(chain canon.ChainID, height uint64) error {
	b := book{t}
	at := now()
	return b.entries(`e.chain = ? AND e.chain <> '' AND e.height >= ? AND NOT EXISTS (SELECT 1 FROM account_entries r WHERE r.reverses = e.number) ORDER BY e.number DESC`,
		[]any{string(chain), height}, func(e accounting.Entry) error { return accounting.Undo(b, e, at) })
}
