package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Attribute implements store.Accounts.
func (s *Store) Attribute(ctx context.Context, a store.Attribution) (made accounting.Entry, err error) {
	a.Time = a.Time.UTC().Truncate(time.Millisecond)
	err = s.update(ctx, func(t transaction) error {
		b := book{t}
		stored, posted, err := t.attribution(`request_id = ?`, a.RequestID)
		if err != nil {
			return err
		}
		if stored == nil {
			posted, err = b.attribute(s.organisation, a)
		} else if !stored.Same(a) {
			err = &store.AttributedError{Stored: *stored, Offered: a}
		}
		if err != nil {
			return err
		}
		e, err := b.entry(`number = ?`, posted)
		if err == nil && e != nil {
			made = *e
		}
		return err
	})
	return made, err
}

// attribute books an attribution that is new, and returns the number of its entry.
func (b book) attribute(organisation canon.Digest, a store.Attribution) (uint64, error) {
	e, err := b.entry(`number = ?1 AND NOT EXISTS (SELECT 1 FROM account_entries r WHERE r.reverses = ?1)`, a.Entry)
	if err != nil {
		return 0, err
	}
	if e == nil || e.Suspended().Sign() == 0 {
		return 0, &store.NotFoundError{What: "deposit in suspense", Name: fmt.Sprint("entry ", a.Entry)}
	}
	parts, sum, err := accounting.Attributions(b, e.Number)
	if err != nil {
		return 0, err
	}
	amount, err := b.part(a, new(big.Int).Sub(e.Suspended(), sum))
	if err != nil {
		return 0, err
	}
	// It has the deposit's block: it is as deep as the deposit is, and a reorganisation takes both.
	posted, err := accounting.Post(b, accounting.Movement{Kind: accounting.Attribution, Key: accounting.AttributionKey(e.Number, len(parts)+1), Wallet: e.Wallet,
		Account: a.Account, Asset: e.Asset, Amount: amount, TxID: e.TxID, Text: fmt.Sprintf("deposit of entry %d", e.Number), Block: e.Block}, a.Time)
	if err != nil {
		return 0, err
	}
	leaf, err := audit.Append(b.transaction, a.Record(organisation))
	if err != nil {
		return 0, err
	}
	return posted, b.exec(`INSERT INTO account_attributions (request_id, entry, account, amount, posted, actor, time, leaf) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		a.RequestID, a.Entry, string(a.Account), a.AmountText(), posted, string(a.Actor), a.Time.UnixMilli(), leaf)
}

// part returns how much of a deposit an attribution takes, of what is left of it.
func (b book) part(a store.Attribution, left *big.Int) (canon.Amount, error) {
	switch {
	case left.Sign() == 0:
		stored, _, err := b.attribution(`entry = ? ORDER BY posted DESC`, a.Entry)
		if err == nil {
			err = &store.AttributedError{Stored: *stored, Offered: a}
		}
		return nil, err
	case len(a.Amount) == 0:
		return canon.Amount(left.Bytes()), nil
	case a.Amount.Int().Cmp(left) > 0:
		return nil, &store.PartError{Entry: a.Entry, Left: canon.Amount(left.Bytes()), Wanted: a.Amount}
	}
	return a.Amount, nil
}

const attributionColumns = `SELECT request_id, entry, account, amount, actor, time, posted, leaf FROM account_attributions WHERE `

func scanAttribution(rows *sql.Rows) (a store.Attribution, posted uint64, leaf int64, err error) {
	var at int64
	var amount string
	if err := rows.Scan(&a.RequestID, &a.Entry, &a.Account, &amount, &a.Actor, &at, &posted, &leaf); err != nil {
		return a, 0, 0, fmt.Errorf("sqlite: attribution: %w", err)
	}
	if amount != "" {
		n := new(big.Int)
		if err := addDecimal(n, amount); err != nil {
			return a, 0, 0, err
		}
		a.Amount = canon.Amount(n.Bytes())
	}
	a.Time = time.UnixMilli(at).UTC()
	return a, posted, leaf, nil
}

// attribution returns the first one that a condition selects, nil for none, and the entry that it made.
func (t transaction) attribution(where string, args ...any) (found *store.Attribution, posted uint64, err error) {
	err = t.each(attributionColumns+where+` LIMIT 1`, args, func(rows *sql.Rows) error {
		a, number, _, err := scanAttribution(rows)
		found, posted = &a, number
		return err
	})
	return found, posted, err
}

// verifyAccounts replays all entries: numbers, postings and balances must come out as they are kept. Attributions must have their leaves. It
// returns how many of these there are.
func (t transaction) verifyAccounts(organisation canon.Digest) (int64, error) {
	j := accounting.NewJournal()
	err := book{t}.entries(`TRUE ORDER BY number`, nil, func(e accounting.Entry) error {
		number, err := j.Append(e)
		if err == nil && number != e.Number {
			err = fmt.Errorf("sqlite: book: entry: expected number %d, found %d", number, e.Number)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if err := t.verifyBalances(j); err != nil {
		return 0, err
	}
	leaves := leafOrder{what: "attribution", last: -1}
	err = t.each(attributionColumns+`TRUE ORDER BY leaf`, nil, func(rows *sql.Rows) error {
		a, _, leaf, err := scanAttribution(rows)
		if err != nil {
			return err
		}
		return leaves.verify(t, a.Record(organisation), leaf)
	})
	return leaves.count, err
}

func (t transaction) verifyBalances(j *accounting.Journal) error {
	stored, err := t.ledgers("")
	if err != nil {
		return err
	}
	found := 0
	j.Ledgers(func(_ accounting.Ledger, _ canon.AssetID, n *big.Int) {
		if n.Sign() > 0 {
			found++
		}
	})
	if found != len(stored) {
		return fmt.Errorf("sqlite: book: expected %d balances above zero, as the entries give, found %d", found, len(stored))
	}
	for _, b := range stored {
		want, err := j.Balance(b.Ledger, b.Asset)
		if err != nil {
			return err
		}
		if want.Cmp(b.Amount) != 0 {
			return fmt.Errorf("sqlite: book: balance of %s: expected %s of %s, as the entries give, found %s", b.Ledger, want, b.Asset, b.Amount)
		}
	}
	return nil
}

// stillOwed checks anew, before a transaction is reserved or signed, that the book covers what an omnibus account set aside: a reorganisation may have
// taken a deposit away.
func (t transaction) stillOwed(w withdrawal.Withdrawal, depth uint64) error {
	for _, a := range w.SetAside {
		if holderOf(w, a) == w.Account {
			continue
		}
		if err := t.checkOwed(w, a, depth); err != nil {
			return err
		}
	}
	return nil
}

// checkOwed refuses when what is set aside from the account for withdrawals that are not signed yet, the withdrawal's own amounts included, exceeds
// what the book owes the account in that wallet for what is deep enough.
func (t transaction) checkOwed(w withdrawal.Withdrawal, a withdrawal.SetAside, depth uint64) error {
	owed, err := book{t}.Balance(accounting.Ledger{Side: accounting.Owed, Wallet: w.Wallet, Account: w.Account}, a.Asset)
	if err != nil {
		return err
	}
	if err := t.shallow(w.Chain, w.Wallet, depth, func(account canon.Name, asset canon.AssetID, n *big.Int) {
		if account == w.Account && asset == a.Asset {
			owed.Sub(owed, n)
		}
	}); err != nil {
		return err
	}
	if owed.Sign() < 0 {
		owed.SetInt64(0)
	}
	pending := new(big.Int)
	err = t.each(`SELECT amount FROM set_aside WHERE wallet = ? AND account = ? AND asset = ? AND withdrawal <> ?
		AND withdrawal NOT IN (SELECT withdrawal FROM account_open)`,
		[]any{string(w.Wallet), string(w.Account), string(a.Asset), w.ID[:]}, func(rows *sql.Rows) error {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			return addDecimal(pending, text)
		})
	if err != nil || new(big.Int).Add(pending, a.Amount.Int()).Cmp(owed) <= 0 {
		return err
	}
	return &store.InsufficientError{Wallet: w.Wallet, Account: w.Account, Asset: a.Asset, Balance: canon.Amount(owed.Bytes()),
		Pending: canon.Amount(pending.Bytes()), Wanted: a.Amount}
}

// isUnreadable reports whether a row is there and cannot be read.
func isUnreadable(err error) bool {
	var bad *unreadableError
	return errors.As(err, &bad)
}
