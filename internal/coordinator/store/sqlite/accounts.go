package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/proto/canon"
)

// book is the double-entry book inside a transaction.
type book struct{ transaction }

var _ accounting.Book = book{}

// Balance implements accounting.Book.
func (b book) Balance(l accounting.Ledger, asset canon.AssetID) (*big.Int, error) {
	sum := new(big.Int)
	var text string
	found, err := b.get(`SELECT amount FROM account_balances WHERE ledger = ? AND asset = ?`, []any{l.String(), string(asset)}, &text)
	if err != nil || !found {
		return sum, err
	}
	return sum, addDecimal(sum, text)
}

// Latest implements accounting.Book.
func (b book) Latest(key string) (e, reversal *accounting.Entry, err error) {
	if e, err = b.entry(`key = ? AND key <> '' ORDER BY number DESC`, key); err != nil || e == nil {
		return nil, nil, err
	}
	reversal, err = b.entry(`reverses = ?`, e.Number)
	return e, reversal, err
}

// Append implements accounting.Book.
func (b book) Append(e accounting.Entry) (uint64, error) {
	if err := e.Check(); err != nil {
		return 0, err
	}
	for _, c := range e.Changes() {
		before, err := b.Balance(c.Ledger, e.Asset)
		if err != nil {
			return 0, err
		}
		after, err := c.Applied(e.Asset, before)
		if err != nil {
			return 0, err
		}
		if err := b.setBalance(c.Ledger, e.Asset, after); err != nil {
			return 0, err
		}
	}
	if _, err := b.get(`SELECT COALESCE(MAX(number), 0) + 1 FROM account_entries`, nil, &e.Number); err != nil {
		return 0, err
	}
	return e.Number, b.insert(e)
}

// setBalance keeps a ledger's balance; one of zero has no row.
func (b book) setBalance(l accounting.Ledger, asset canon.AssetID, n *big.Int) error {
	if n.Sign() == 0 {
		return b.exec(`DELETE FROM account_balances WHERE ledger = ? AND asset = ?`, l.String(), string(asset))
	}
	return b.exec(`INSERT INTO account_balances (ledger, wallet, asset, amount) VALUES (?, ?, ?, ?)
		ON CONFLICT (ledger, asset) DO UPDATE SET amount = excluded.amount`, l.String(), string(l.Wallet), string(asset), n.String())
}

func (b book) insert(e accounting.Entry) error {
	var id []byte
	if e.Withdrawal != nil {
		id = e.Withdrawal[:]
	}
	err := b.exec(`INSERT INTO account_entries (number, time, kind, key, wallet, account, asset, withdrawal, txid, text, chain, height, reverses)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, e.Number, e.Time.UnixMilli(), string(e.Kind), e.Key, string(e.Wallet), string(e.Account),
		string(e.Asset), id, e.TxID, e.Text, string(e.Block.Chain), e.Block.Height, sql.Null[uint64]{V: e.Reverses, Valid: e.Reverses != 0})
	if err != nil {
		return err
	}
	for _, p := range e.Postings {
		if err := b.exec(`INSERT INTO account_postings (ordinal, entry, debit, credit, amount)
			VALUES ((SELECT COALESCE(MAX(ordinal), 0) + 1 FROM account_postings), ?, ?, ?, ?)`,
			e.Number, string(p.Debit), string(p.Credit), p.Amount.String()); err != nil {
			return err
		}
	}
	return nil
}

// post books movements, as of now.
func (b book) post(movements []accounting.Movement, at time.Time) error {
	for _, m := range movements {
		if _, err := accounting.Post(b, m, at); err != nil {
			return fmt.Errorf("sqlite: book: %s of wallet %s: %w", m.Kind, m.Wallet, err)
		}
	}
	return nil
}

const entryColumns = `SELECT e.number, e.time, e.kind, e.key, e.wallet, e.account, e.asset, e.withdrawal, e.txid, e.text, e.chain, e.height, e.reverses`

// scanEntry reads the columns of entryColumns, and more.
func scanEntry(rows *sql.Rows, more ...any) (e accounting.Entry, err error) {
	var at int64
	var id []byte
	var reverses sql.Null[uint64]
	dest := []any{&e.Number, &at, &e.Kind, &e.Key, &e.Wallet, &e.Account, &e.Asset, &id, &e.TxID, &e.Text, &e.Block.Chain, &e.Block.Height, &reverses}
	if err := rows.Scan(append(dest, more...)...); err != nil {
		return e, fmt.Errorf("sqlite: entry: %w", err)
	}
	e.Time, e.Reverses = time.UnixMilli(at).UTC(), reverses.V
	if len(id) == len(canon.Digest{}) {
		digest := canon.Digest(id)
		e.Withdrawal = &digest
	}
	return e, nil
}

// postingOf reads the columns debit, credit and amount.
func postingOf(debit, credit, amount string) (accounting.Posting, error) {
	n := new(big.Int)
	if err := addDecimal(n, amount); err != nil {
		return accounting.Posting{}, err
	}
	return accounting.Posting{Debit: accounting.Side(debit), Credit: accounting.Side(credit), Amount: canon.Amount(n.Bytes())}, nil
}

// entries calls visit for the entries that a condition selects, with their postings, in the order that it asks for.
func (b book) entries(where string, args []any, visit func(accounting.Entry) error) error {
	var list []accounting.Entry
	err := b.each(entryColumns+` FROM account_entries e WHERE `+where, args, func(rows *sql.Rows) error {
		e, err := scanEntry(rows)
		list = append(list, e)
		return err
	})
	if err != nil {
		return err
	}
	for _, e := range list {
		err := b.each(`SELECT debit, credit, amount FROM account_postings WHERE entry = ? ORDER BY ordinal`, []any{e.Number}, func(rows *sql.Rows) error {
			var debit, credit, amount string
			if err := rows.Scan(&debit, &credit, &amount); err != nil {
				return fmt.Errorf("sqlite: posting: %w", err)
			}
			p, err := postingOf(debit, credit, amount)
			e.Postings = append(e.Postings, p)
			return err
		})
		if err == nil {
			err = visit(e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// entry returns the first entry that a condition selects, nil for none.
func (b book) entry(where string, args ...any) (found *accounting.Entry, err error) {
	err = b.entries(where+` LIMIT 1`, args, func(e accounting.Entry) error {
		found = &e
		return nil
	})
	return found, err
}

// Entry implements store.Accounts.
func (s *Store) Entry(ctx context.Context, number uint64) (e accounting.Entry, err error) {
	err = s.view(ctx, func(t transaction) error {
		found, err := book{t}.entry(`number = ?`, number)
		if err == nil && found == nil {
			err = &store.NotFoundError{What: "entry", Name: fmt.Sprint(number)}
		}
		if err == nil {
			e = *found
		}
		return err
	})
	return e, err
}

// Ledgers implements store.Accounts.
func (s *Store) Ledgers(ctx context.Context, wallet canon.Name) (list []store.LedgerBalance, err error) {
	err = s.view(ctx, func(t transaction) error {
		list, err = t.ledgers(wallet)
		return err
	})
	return list, err
}

func (t transaction) ledgers(wallet canon.Name) (list []store.LedgerBalance, err error) {
	err = t.each(`SELECT ledger, asset, amount FROM account_balances WHERE wallet = ?1 OR ?1 = '' ORDER BY ledger, asset`,
		[]any{string(wallet)}, func(rows *sql.Rows) error {
			b := store.LedgerBalance{Amount: new(big.Int)}
			var ledger, text string
			if err := rows.Scan(&ledger, &b.Asset, &text); err != nil {
				return fmt.Errorf("sqlite: balance: %w", err)
			}
			var err error
			b.Ledger, err = accounting.ParseLedger(ledger)
			list = append(list, b)
			return errors.Join(err, addDecimal(b.Amount, text))
		})
	return list, err
}

// Unsigned implements store.Accounts.
func (s *Store) Unsigned(ctx context.Context, wallet canon.Name) ([]store.AccountAmount, error) {
	return s.sums(ctx, `SELECT account, asset, amount FROM set_aside WHERE wallet = ? AND withdrawal NOT IN (SELECT withdrawal FROM account_open)
		ORDER BY account, asset`, string(wallet))
}

// Postings implements store.Accounts.
func (s *Store) Postings(ctx context.Context, q store.PostingQuery) (page []store.Posting, next string, err error) {
	size, err := store.PageSize(q.Size)
	if err != nil {
		return nil, "", err
	}
	after, err := store.ParsePageToken(q.Fingerprint(), q.Page)
	if err != nil {
		return nil, "", err
	}
	where, args := `p.ordinal > ?`, []any{after}
	if q.Accounts != nil {
		where += ` AND e.account IN (''` + strings.Repeat(", ?", len(q.Accounts)) + `) AND e.account <> ''`
		for _, name := range q.Accounts {
			args = append(args, string(name))
		}
	}
	if q.Asset != "" {
		where, args = where+` AND e.asset = ?`, append(args, string(q.Asset))
	}
	err = s.view(ctx, func(t transaction) error {
		var last uint64
		return t.each(entryColumns+`, p.ordinal, p.debit, p.credit, p.amount FROM account_postings p JOIN account_entries e ON e.number = p.entry
			WHERE `+where+` ORDER BY p.ordinal LIMIT ?`, append(args, size+1), func(rows *sql.Rows) error {
			var found store.Posting
			var ordinal uint64
			var debit, credit, amount string
			var err error
			if found.Entry, err = scanEntry(rows, &ordinal, &debit, &credit, &amount); err != nil {
				return err
			}
			if len(page) == size {
				next = store.PageToken(q.Fingerprint(), last)
				return nil
			}
			found.Posting, err = postingOf(debit, credit, amount)
			found.Postings = []accounting.Posting{found.Posting}
			page, last = append(page, found), ordinal
			return err
		})
	})
	if err != nil {
		return nil, "", err
	}
	return page, next, nil
}
