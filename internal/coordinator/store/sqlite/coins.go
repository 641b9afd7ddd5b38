package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"math"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// keptBlocks is how many block hashes are kept for each chain: ten times the deepest reorganisation that is followed without a person.
const keptBlocks = 1000

// Cursor implements store.Coins.
func (s *Store) Cursor(ctx context.Context, chain canon.ChainID) (b store.BlockRef, found bool, err error) {
	err = s.view(ctx, func(t transaction) error {
		b, found, err = t.cursor(chain)
		return err
	})
	return b, found, err
}

func (t transaction) cursor(chain canon.ChainID) (b store.BlockRef, found bool, err error) {
	var hash []byte
	found, err = t.get(`SELECT height, hash FROM blocks WHERE chain = ? ORDER BY height DESC LIMIT 1`, []any{string(chain)}, &b.Height, &hash)
	copy(b.Hash[:], hash)
	return b, found, err
}

// BlockHash implements store.Coins.
func (s *Store) BlockHash(ctx context.Context, chain canon.ChainID, height uint64) (hash [32]byte, found bool, err error) {
	if height > math.MaxInt64 {
		return hash, false, nil
	}
	err = s.view(ctx, func(t transaction) error {
		var b []byte
		found, err = t.get(`SELECT hash FROM blocks WHERE chain = ? AND height = ?`, []any{string(chain), height}, &b)
		copy(hash[:], b)
		return err
	})
	return hash, found, err
}

// ConnectBlock implements store.Coins.
func (s *Store) ConnectBlock(ctx context.Context, chain canon.ChainID, b store.BlockRef, parent [32]byte, credits []store.Coin, spends []store.Spend) error {
	return s.update(ctx, func(t transaction) error {
		at, found, err := t.cursor(chain)
		if err != nil {
			return err
		}
		// Height 0 has no parent; a cursor at MaxUint64 cannot be.
		if offered := (store.BlockRef{Height: b.Height - 1, Hash: parent}); found && at != offered {
			return &store.CursorError{Chain: chain, Expected: at, Found: offered}
		}
		for _, c := range credits {
			if err := t.credit(chain, b, c); err != nil {
				return err
			}
		}
		if err := t.spend(chain, b, spends); err != nil {
			return err
		}
		if err := t.bookBlock(chain, b, credits); err != nil {
			return err
		}
		if err := t.exec(`INSERT INTO blocks (chain, height, hash) VALUES (?, ?, ?)`, string(chain), b.Height, b.Hash[:]); err != nil {
			return err
		}
		return t.exec(`DELETE FROM blocks WHERE chain = ? AND height <= ? - ?`, string(chain), b.Height, keptBlocks)
	})
}

func (t transaction) credit(chain canon.ChainID, b store.BlockRef, c store.Coin) error {
	if c.Height != b.Height {
		return fmt.Errorf("sqlite: block %d: coin %x:%d: height: expected that of the block, found %d", b.Height, c.TxID, c.Outpoint.Index, c.Height)
	}
	if err := t.exec(`INSERT INTO transactions (chain, txid, raw) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`,
		string(chain), c.TxID[:], c.Previous); err != nil {
		return err
	}
	return t.exec(`INSERT INTO coins (chain, txid, output, wallet, account, branch, address_index, asset, value, script, height, coinbase)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(chain), c.TxID[:], c.Outpoint.Index, string(c.Wallet), string(c.Account),
		c.Branch, c.Place.Index, string(c.Asset), c.Value, c.Script, c.Height, c.Coinbase)
}

func (t transaction) spend(chain canon.ChainID, b store.BlockRef, spends []store.Spend) error {
	if len(spends) == 0 {
		return nil
	}
	stmt, err := t.PrepareContext(t.ctx, `UPDATE coins SET spent_by = ?, spent_height = ? WHERE chain = ? AND txid = ? AND output = ? AND spent_by IS NULL`)
	if err != nil {
		return fmt.Errorf("sqlite: block %d: %w", b.Height, err)
	}
	defer func() { _ = stmt.Close() }()
	for _, d := range spends {
		if _, err := stmt.ExecContext(t.ctx, d.By[:], b.Height, string(chain), d.TxID[:], d.Index); err != nil {
			return fmt.Errorf("sqlite: block %d: spend: %w", b.Height, err)
		}
	}
	return nil
}

// DisconnectBlock implements store.Coins.
func (s *Store) DisconnectBlock(ctx context.Context, chain canon.ChainID, b, parent store.BlockRef) error {
	return s.update(ctx, func(t transaction) error {
		at, found, err := t.cursor(chain)
		if err != nil {
			return err
		}
		if !found || at != b || parent.Height+1 != b.Height {
			return &store.CursorError{Chain: chain, Expected: at, Found: b}
		}
		below := []byte(nil)
		found, err = t.get(`SELECT hash FROM blocks WHERE chain = ? AND height = ?`, []any{string(chain), parent.Height}, &below)
		if err != nil {
			return err
		}
		if found && !bytes.Equal(below, parent.Hash[:]) {
			return &store.CursorError{Chain: chain, Expected: store.BlockRef{Height: parent.Height, Hash: [32]byte(below)}, Found: parent}
		}
		if err := t.unbookBlock(chain, b.Height); err != nil {
			return err
		}
		return t.disconnect(chain, b, parent)
	})
}

func (t transaction) disconnect(chain canon.ChainID, b, parent store.BlockRef) error {
	for _, step := range []struct {
		query string
		args  []any
	}{
		{`UPDATE coins SET spent_by = NULL, spent_height = NULL WHERE chain = ? AND spent_height = ?`, []any{string(chain), b.Height}},
		{`DELETE FROM coins WHERE chain = ? AND height = ?`, []any{string(chain), b.Height}},
		{`DELETE FROM transactions WHERE chain = ? AND NOT EXISTS
			(SELECT 1 FROM coins c WHERE c.chain = transactions.chain AND c.txid = transactions.txid)`, []any{string(chain)}},
		{`DELETE FROM blocks WHERE chain = ? AND height = ?`, []any{string(chain), b.Height}},
		{`INSERT INTO blocks (chain, height, hash) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, []any{string(chain), parent.Height, parent.Hash[:]}},
	} {
		if err := t.exec(step.query, step.args...); err != nil {
			return err
		}
	}
	return nil
}

// UnspentCoins implements store.Coins.
func (s *Store) UnspentCoins(ctx context.Context, q store.CoinQuery) (list []store.Coin, err error) {
	query := `SELECT c.txid, c.output, c.wallet, c.account, c.branch, c.address_index, c.asset, c.value, c.script, c.height, c.coinbase,
		p.raw, h.withdrawal FROM coins c JOIN transactions p ON p.chain = c.chain AND p.txid = c.txid
		LEFT JOIN coin_holds h ON h.chain = c.chain AND h.txid = c.txid AND h.output = c.output
		WHERE c.spent_by IS NULL AND c.chain = ? AND c.wallet = ?`
	args := []any{string(q.Chain), string(q.Wallet)}
	if q.Account != "" {
		query, args = query+` AND c.account = ?`, append(args, string(q.Account))
	}
	if q.MaxHeight > 0 {
		query, args = query+` AND c.height <= ?`, append(args, q.MaxHeight)
	}
	if q.Free {
		query += ` AND h.withdrawal IS NULL`
	}
	err = s.view(ctx, func(t transaction) error {
		return t.each(query+` ORDER BY c.value DESC, c.txid, c.output`, args, func(rows *sql.Rows) error {
			c, err := scanCoin(rows)
			list = append(list, c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func scanCoin(rows *sql.Rows) (c store.Coin, err error) {
	var txid, holder []byte
	if err := rows.Scan(&txid, &c.Outpoint.Index, &c.Wallet, &c.Account, &c.Branch, &c.Place.Index, &c.Asset, &c.Value, &c.Script, &c.Height,
		&c.Coinbase, &c.Previous, &holder); err != nil {
		return c, fmt.Errorf("sqlite: coin: %w", err)
	}
	copy(c.TxID[:], txid)
	if len(holder) == len(canon.Digest{}) {
		id := canon.Digest(holder)
		c.Holder = &id
	}
	return c, nil
}

// CoinBalances implements store.Coins.
func (s *Store) CoinBalances(ctx context.Context, chain canon.ChainID, wallet canon.Name) ([]store.AccountAmount, error) {
	return s.sums(ctx, `SELECT account, asset, CAST(value AS TEXT) FROM coins WHERE chain = ? AND wallet = ? AND spent_by IS NULL
		ORDER BY account, asset`, string(chain), string(wallet))
}
