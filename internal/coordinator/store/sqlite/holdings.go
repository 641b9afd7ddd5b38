package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"math/big"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// moveAnchor takes, reopens, marks as spent or returns the anchor, as the withdrawal now uses it.
func (t transaction) moveAnchor(before, after withdrawal.Withdrawal) error {
	was, is := before.AnchorUse(), after.AnchorUse()
	if was == is {
		return nil
	}
	switch {
	case was == withdrawal.AnchorNone:
		return t.takeAnchor(*after.Anchor, after.ID, is == withdrawal.AnchorOpen)
	case is == withdrawal.AnchorNone:
		return t.exec(`DELETE FROM anchors WHERE withdrawal = ?`, after.ID[:])
	}
	return t.exec(`UPDATE anchors SET open = ? WHERE withdrawal = ?`, is == withdrawal.AnchorOpen, after.ID[:])
}

func (t transaction) takeAnchor(a canon.Anchor, id canon.Digest, open bool) error {
	if a.Number > math.MaxInt64 {
		return fmt.Errorf("sqlite: anchor %s: number: expected at most %d", withdrawal.AnchorText(a), math.MaxInt64)
	}
	holder, taken, err := t.anchorHolder(a)
	if err != nil {
		return err
	}
	if taken {
		return &store.TakenError{What: "anchor", Name: withdrawal.AnchorText(a), Holder: holder.String()}
	}
	return t.exec(`INSERT INTO anchors (chain, account, number, withdrawal, open) VALUES (?, ?, ?, ?, ?)`,
		string(a.Chain), a.Account, a.Number, id[:], open)
}

func (t transaction) anchorHolder(a canon.Anchor) (id canon.Digest, found bool, err error) {
	if a.Number > math.MaxInt64 {
		return id, false, nil
	}
	var b []byte
	found, err = t.get(`SELECT withdrawal FROM anchors WHERE chain = ? AND account = ? AND number = ?`,
		[]any{string(a.Chain), a.Account, a.Number}, &b)
	copy(id[:], b)
	return id, found, err
}

// AnchorHolder implements store.Anchors.
func (s *Store) AnchorHolder(ctx context.Context, a canon.Anchor) (id canon.Digest, found bool, err error) {
	err = s.view(ctx, func(t transaction) error {
		id, found, err = t.anchorHolder(a)
		return err
	})
	return id, found, err
}

// NextNonce implements store.Anchors.
func (s *Store) NextNonce(ctx context.Context, chain canon.ChainID, address []byte, start uint64) (next uint64, err error) {
	if start > math.MaxInt64 {
		return 0, fmt.Errorf("sqlite: next nonce: start: expected at most %d, found %d", math.MaxInt64, start)
	}
	next = start
	err = s.view(ctx, func(t transaction) error {
		taken, err := t.get(`SELECT 1 FROM anchors WHERE chain = ? AND account = ? AND number = ?`, []any{string(chain), address, start}, new(int))
		if err != nil || !taken {
			return err
		}
		// The first number that is taken and whose successor is not.
		_, err = t.get(`SELECT a.number + 1 FROM anchors a WHERE a.chain = ? AND a.account = ? AND a.number >= ? AND NOT EXISTS
			(SELECT 1 FROM anchors b WHERE b.chain = a.chain AND b.account = a.account AND b.number = a.number + 1)
			ORDER BY a.number LIMIT 1`, []any{string(chain), address, start}, &next)
		return err
	})
	return next, err
}

// moveCoins reserves the inputs of a Bitcoin withdrawal, or returns them. An EVM withdrawal has no inputs beside its anchor.
func (t transaction) moveCoins(before, after withdrawal.Withdrawal) error {
	if !after.HoldsCoins() {
		if before.HoldsCoins() {
			return t.exec(`DELETE FROM coin_holds WHERE withdrawal = ?`, after.ID[:])
		}
		return nil
	}
	if before.HoldsCoins() && len(before.Coins) == len(after.Coins) {
		return nil
	}
	for _, a := range after.Coins {
		if len(a.Account) != 32 {
			continue
		}
		if err := t.holdCoin(a, after.ID); err != nil {
			return err
		}
	}
	return nil
}

func (t transaction) holdCoin(a canon.Anchor, id canon.Digest) error {
	var holder []byte
	found, err := t.get(`SELECT withdrawal FROM coin_holds WHERE chain = ? AND txid = ? AND output = ?`,
		[]any{string(a.Chain), a.Account, a.Number}, &holder)
	if err != nil {
		return err
	}
	if found {
		if string(holder) == string(id[:]) {
			return nil
		}
		return &store.TakenError{What: "coin", Name: withdrawal.AnchorText(a), Holder: fmt.Sprintf("%x", holder)}
	}
	return t.exec(`INSERT INTO coin_holds (chain, txid, output, withdrawal) VALUES (?, ?, ?, ?)`, string(a.Chain), a.Account, a.Number, id[:])
}

// moveSetAside sets the withdrawal's amounts aside, or returns them.
func (t transaction) moveSetAside(before, after withdrawal.Withdrawal, e withdrawal.Event) error {
	was, is := before.Pending(), after.Pending()
	if is && (e.Kind == withdrawal.EventPrepare || e.Kind == withdrawal.EventCosign || e.Kind == withdrawal.EventAttempt) {
		return t.stillOwed(after, e.Depth)
	}
	if was == is {
		return nil
	}
	if !is {
		return t.exec(`DELETE FROM set_aside WHERE withdrawal = ?`, after.ID[:])
	}
	for i, a := range after.SetAside {
		if err := t.exec(`INSERT INTO set_aside (withdrawal, position, wallet, account, holder, asset, amount) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			after.ID[:], i, string(after.Wallet), string(after.Account), string(holderOf(after, a)), string(a.Asset), a.Amount.String()); err != nil {
			return err
		}
	}
	for _, a := range e.SetAside {
		if a.Balance != nil {
			if err := t.checkBalance(after, a); err != nil {
				return err
			}
		}
		if a.Owed {
			if err := t.checkOwed(after, a, e.Depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// holderOf returns the account on whose addresses an amount lies.
func holderOf(w withdrawal.Withdrawal, a withdrawal.SetAside) canon.Name {
	if a.Holder != "" {
		return a.Holder
	}
	return w.Account
}

// checkBalance refuses when all that is set aside on the addresses, the withdrawal's own amounts included, exceeds the balance.
func (t transaction) checkBalance(w withdrawal.Withdrawal, a withdrawal.SetAside) error {
	pending, own := new(big.Int), new(big.Int)
	err := t.each(`SELECT amount, withdrawal = ? FROM set_aside WHERE wallet = ? AND holder = ? AND asset = ?`,
		[]any{w.ID[:], string(w.Wallet), string(holderOf(w, a)), string(a.Asset)}, func(rows *sql.Rows) error {
			var text string
			var mine bool
			if err := rows.Scan(&text, &mine); err != nil {
				return err
			}
			sum := pending
			if mine {
				sum = own
			}
			return addDecimal(sum, text)
		})
	if err != nil {
		return err
	}
	if new(big.Int).Add(pending, own).Cmp(a.Balance.Int()) <= 0 {
		return nil
	}
	return &store.InsufficientError{Wallet: w.Wallet, Account: holderOf(w, a), Asset: a.Asset,
		Balance: *a.Balance, Pending: canon.Amount(pending.Bytes()), Wanted: canon.Amount(own.Bytes())}
}

func addDecimal(sum *big.Int, text string) error {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok || n.Sign() < 0 {
		return fmt.Errorf("sqlite: amount: expected a decimal number, found %.80q", text)
	}
	sum.Add(sum, n)
	return nil
}

// Pending implements store.Withdrawals.
func (s *Store) Pending(ctx context.Context, wallet canon.Name) ([]store.AccountAmount, error) {
	return s.sums(ctx, `SELECT account, asset, amount FROM set_aside WHERE wallet = ? ORDER BY account, asset`, string(wallet))
}

// sums adds up rows of account, asset and decimal amount that come sorted by account and asset.
func (s *Store) sums(ctx context.Context, query string, args ...any) (list []store.AccountAmount, err error) {
	var totals []*big.Int
	err = s.view(ctx, func(t transaction) error {
		return t.each(query, args, func(rows *sql.Rows) error {
			var a store.AccountAmount
			var text string
			if err := rows.Scan(&a.Account, &a.Asset, &text); err != nil {
				return fmt.Errorf("sqlite: sums: %w", err)
			}
			if n := len(list); n == 0 || list[n-1].Account != a.Account || list[n-1].Asset != a.Asset {
				list, totals = append(list, a), append(totals, new(big.Int))
			}
			return addDecimal(totals[len(totals)-1], text)
		})
	})
	if err != nil {
		return nil, err
	}
	for i, n := range totals {
		if list[i].Amount, err = canon.NewAmount(n); err != nil {
			return nil, fmt.Errorf("sqlite: sums: %w", err)
		}
	}
	return list, nil
}
