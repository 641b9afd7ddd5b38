package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math/big"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Unbooked implements store.Accounts.
func (s *Store) Unbooked(ctx context.Context, chain canon.ChainID) (list []withdrawal.Withdrawal, err error) {
	err = s.view(ctx, func(t transaction) error {
		return t.each(withdrawalColumns+`id IN (SELECT withdrawal FROM account_open WHERE chain = ?) ORDER BY ordinal`, []any{string(chain)}, func(rows *sql.Rows) error {
			w, _, err := scanWithdrawal(rows)
			if isUnreadable(err) {
				return nil
			}
			list = append(list, w)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Booked implements store.Accounts.
func (s *Store) Booked(ctx context.Context, chain canon.ChainID) (b store.BlockRef, held []store.AddressAmount, found bool, err error) {
	err = s.view(ctx, func(t transaction) error {
		if b, found, err = t.mark(chain); err != nil || !found {
			return err
		}
		return t.each(`SELECT wallet, holder, asset, amount FROM account_held WHERE chain = ? AND height = ? ORDER BY wallet, holder, asset`, []any{string(chain), b.Height}, func(rows *sql.Rows) error {
			a := store.AddressAmount{Amount: new(big.Int)}
			var text string
			if err := rows.Scan(&a.Wallet, &a.Holder, &a.Asset, &text); err != nil {
				return fmt.Errorf("sqlite: held: %w", err)
			}
			held = append(held, a)
			return addDecimal(a.Amount, text)
		})
	})
	return b, held, found, err
}

func (t transaction) mark(chain canon.ChainID) (b store.BlockRef, found bool, err error) {
	var hash []byte
	found, err = t.get(`SELECT height, hash FROM account_marks WHERE chain = ? ORDER BY height DESC`, []any{string(chain)}, &b.Height, &hash)
	copy(b.Hash[:], hash)
	return b, found, err
}

// Marks implements store.Accounts.
func (s *Store) Marks(ctx context.Context, chain canon.ChainID) (list []store.BlockRef, err error) {
	err = s.view(ctx, func(t transaction) error {
		return t.each(`SELECT height, hash FROM account_marks WHERE chain = ? ORDER BY height DESC`, []any{string(chain)}, func(rows *sql.Rows) error {
			var b store.BlockRef
			var hash []byte
			if err := rows.Scan(&b.Height, &hash); err != nil {
				return fmt.Errorf("sqlite: mark: %w", err)
			}
			copy(b.Hash[:], hash)
			list = append(list, b)
			return nil
		})
	})
	return list, err
}

// UnbookEVM implements store.Accounts.
func (s *Store) UnbookEVM(ctx context.Context, chain canon.ChainID, to store.BlockRef) error {
	return s.update(ctx, func(t transaction) error {
		var hash []byte
		found, err := t.get(`SELECT hash FROM account_marks WHERE chain = ? AND height = ?`, []any{string(chain), to.Height}, &hash)
		if err != nil {
			return err
		}
		if !found || !bytes.Equal(hash, to.Hash[:]) {
			return &store.CursorError{Chain: chain, Expected: store.BlockRef{Height: to.Height}, Found: to}
		}
		// What these withdrawals paid is in flight again, and their receipts are to be booked anew.
		if err := t.exec(`INSERT INTO account_open (withdrawal, chain) SELECT DISTINCT e.withdrawal, e.chain FROM account_entries e
			WHERE e.chain = ? AND e.height > ? AND e.withdrawal IS NOT NULL AND e.reverses IS NULL
			AND NOT EXISTS (SELECT 1 FROM account_entries r WHERE r.reverses = e.number) ON CONFLICT DO NOTHING`, string(chain), to.Height); err != nil {
			return err
		}
		if err := t.unbookBlock(chain, to.Height+1); err != nil {
			return err
		}
		for _, table := range []string{"account_held", "account_marks"} {
			if err := t.exec(`DELETE FROM `+table+` WHERE chain = ? AND height > ?`, string(chain), to.Height); err != nil {
				return err
			}
		}
		return nil
	})
}

// BookEVM implements store.Accounts.
func (s *Store) BookEVM(ctx context.Context, b store.EVMBlock) error {
	return s.update(ctx, func(t transaction) error {
		before, found, err := t.mark(b.Chain)
		if err != nil {
			return err
		}
		if found != (b.Before != nil) || (found && (before != *b.Before || b.At.Height <= before.Height)) {
			return &store.CursorError{Chain: b.Chain, Expected: before, Found: b.At}
		}
		if err := (book{t}).post(b.Movements, b.Time.UTC().Truncate(time.Millisecond)); err != nil {
			return err
		}
		for _, id := range b.Settled {
			if err := t.settle(id); err != nil {
				return err
			}
		}
		return t.markEVM(b)
	})
}

// keptMarks is how many of the blocks up to which an EVM chain was booked are kept: further back no reorganisation is followed.
const keptMarks = 64

// markEVM notes the block and what lay on the addresses after it, and forgets what is too old.
func (t transaction) markEVM(b store.EVMBlock) error {
	chain := string(b.Chain)
	if b.Before != nil {
		if err := t.exec(`INSERT INTO account_held (chain, height, wallet, holder, asset, amount) SELECT chain, ?, wallet, holder, asset, amount
			FROM account_held WHERE chain = ? AND height = ?`, b.At.Height, chain, b.Before.Height); err != nil {
			return err
		}
	}
	for _, h := range b.Held {
		if err := t.exec(`INSERT INTO account_held (chain, height, wallet, holder, asset, amount) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (chain, height, wallet, holder, asset) DO UPDATE SET amount = excluded.amount`,
			chain, b.At.Height, string(h.Wallet), string(h.Holder), string(h.Asset), h.Amount.String()); err != nil {
			return err
		}
	}
	if err := t.exec(`INSERT INTO account_marks (chain, height, hash) VALUES (?, ?, ?)`, chain, b.At.Height, b.At.Hash[:]); err != nil {
		return err
	}
	for _, table := range []string{"account_held", "account_marks"} {
		if err := t.exec(`DELETE FROM `+table+` WHERE chain = ?1 AND height <
			(SELECT MIN(height) FROM (SELECT height FROM account_marks WHERE chain = ?1 ORDER BY height DESC LIMIT ?2))`, chain, keptMarks); err != nil {
			return err
		}
	}
	return nil
}

// Shallow implements store.Accounts.
func (s *Store) Shallow(ctx context.Context, chain canon.ChainID, wallet canon.Name, depth uint64) (list []store.AccountAmount, err error) {
	err = s.view(ctx, func(t transaction) error {
		return t.shallow(chain, wallet, depth, func(account canon.Name, asset canon.AssetID, n *big.Int) {
			list = append(list, store.AccountAmount{Account: account, Asset: asset, Amount: canon.Amount(n.Bytes())})
		})
	})
	return list, err
}

// shallow calls visit with what accounts were credited in Bitcoin blocks less than depth deep. EVM chains are booked at their depth.
func (t transaction) shallow(chain canon.ChainID, wallet canon.Name, depth uint64, visit func(canon.Name, canon.AssetID, *big.Int)) error {
	at, found, err := t.cursor(chain)
	if err != nil || !found || depth == 0 {
		return err
	}
	first := uint64(0) // height of the first block that is not deep enough
	if at.Height+2 > depth {
		first = at.Height + 2 - depth
	}
	return t.each(`SELECT e.account, e.asset, p.amount FROM account_entries e JOIN account_postings p ON p.entry = e.number
		WHERE e.chain = ? AND e.chain <> '' AND e.height >= ? AND e.wallet = ? AND p.credit = ? AND e.kind IN (?, ?, ?)
		AND NOT EXISTS (SELECT 1 FROM account_entries r WHERE r.reverses = e.number)`, []any{string(chain), first, string(wallet), string(accounting.Owed),
		string(accounting.Deposit), string(accounting.MoveIn), string(accounting.Attribution)}, func(rows *sql.Rows) error {
		var account canon.Name
		var asset canon.AssetID
		var text string
		if err := rows.Scan(&account, &asset, &text); err != nil {
			return fmt.Errorf("sqlite: deposit: %w", err)
		}
		n := new(big.Int)
		if err := addDecimal(n, text); err != nil {
			return err
		}
		visit(account, asset, n)
		return nil
	})
}
