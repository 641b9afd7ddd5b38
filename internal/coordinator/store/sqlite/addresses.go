package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/bitcoin"
)

// AddAddress implements store.Addresses.
func (s *Store) AddAddress(ctx context.Context, a store.Address) (stored store.Address, added bool, err error) {
	attestations, err := store.EncodeSigned(a.Attestations)
	if err != nil {
		return stored, false, err
	}
	a.Created = a.Created.UTC().Truncate(time.Millisecond)
	if a.Owner == "" {
		a.Owner = a.Account
	}
	err = s.update(ctx, func(t transaction) error {
		stored, added, err = t.addAddress(a, attestations)
		return err
	})
	if err != nil {
		return store.Address{}, false, err
	}
	return stored, added, nil
}

func (t transaction) addAddress(a store.Address, attestations []byte) (stored store.Address, added bool, err error) {
	if a.RequestID != "" {
		stored, found, err := t.address(`wallet = ? AND owner = ? AND request_id = ?`, string(a.Wallet), string(a.Owner), a.RequestID)
		if found || err != nil {
			return stored, false, err
		}
	}
	other, found, err := t.address(`(wallet = ? AND account = ? AND branch = ? AND address_index = ?) OR (chain = ? AND address = ?)`,
		string(a.Wallet), string(a.Account), a.Branch, a.Index, string(a.Chain), a.Bytes)
	if err != nil {
		return a, false, err
	}
	if found && other.Place == a.Place && other.Owner == a.Owner && other.RequestID == a.RequestID && bytes.Equal(other.Bytes, a.Bytes) {
		return other, false, nil
	}
	if found {
		return a, false, &store.TakenError{What: "address", Name: fmt.Sprintf("%s/%s/%d/%d", a.Wallet, a.Account, a.Branch, a.Index), Holder: other.RequestID}
	}
	request := sql.NullString{String: a.RequestID, Valid: a.RequestID != ""}
	return a, true, t.exec(`INSERT INTO addresses (wallet, account, branch, address_index, chain, address, attestations, request_id, created, owner)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, string(a.Wallet), string(a.Account), a.Branch, a.Index, string(a.Chain), a.Bytes,
		attestations, request, a.Created.UnixMilli(), string(a.Owner))
}

// keepChange stores the addresses that the change of a prepared transaction goes to: with the row or not at all, so that a preparation that comes to
// nothing uses none up.
func (t transaction) keepChange(w withdrawal.Withdrawal, e withdrawal.Event) error {
	if e.Kind != withdrawal.EventPrepare || len(w.Prepared.Change) == 0 {
		return nil
	}
	tx, err := bitcoin.Parse(w.Prepared.Unsigned)
	if err != nil {
		return fmt.Errorf("sqlite: change of withdrawal %s: %w", w.ID, err)
	}
	none, err := store.EncodeSigned(nil)
	if err != nil {
		return err
	}
	for _, p := range w.Prepared.Change {
		if p.Position >= uint64(len(tx.TxOut)) {
			return fmt.Errorf("sqlite: change of withdrawal %s: expected a position below %d, found %d", w.ID, len(tx.TxOut), p.Position)
		}
		a := store.Address{Place: store.Place{Wallet: w.Wallet, Account: p.Account, Branch: p.Branch, Index: p.Index}, Owner: p.Account, Chain: w.Chain,
			Bytes: tx.TxOut[p.Position].PkScript, Created: e.Time.UTC().Truncate(time.Millisecond)}
		if _, _, err := t.addAddress(a, none); err != nil {
			return err
		}
	}
	return nil
}

const addressColumns = `SELECT wallet, account, branch, address_index, chain, address, attestations, request_id, created, owner FROM addresses WHERE `

func (t transaction) address(where string, args ...any) (a store.Address, found bool, err error) {
	err = t.each(addressColumns+where+` LIMIT 1`, args, func(rows *sql.Rows) error {
		found = true
		a, err = scanAddress(rows)
		return err
	})
	return a, found, err
}

func scanAddress(rows *sql.Rows) (a store.Address, err error) {
	var attestations []byte
	var request sql.NullString
	var created int64
	if err := rows.Scan(&a.Wallet, &a.Account, &a.Branch, &a.Index, &a.Chain, &a.Bytes, &attestations, &request, &created, &a.Owner); err != nil {
		return a, fmt.Errorf("sqlite: address: %w", err)
	}
	a.RequestID, a.Created = request.String, time.UnixMilli(created).UTC()
	if a.Attestations, err = store.DecodeSigned(attestations); err != nil {
		return a, fmt.Errorf("sqlite: address %s/%s/%d/%d: %w", a.Wallet, a.Account, a.Branch, a.Index, err)
	}
	return a, nil
}

func (s *Store) addressWhere(ctx context.Context, name, where string, args ...any) (a store.Address, err error) {
	err = s.view(ctx, func(t transaction) error {
		var found bool
		a, found, err = t.address(where, args...)
		if err == nil && !found {
			err = &store.NotFoundError{What: "address", Name: name}
		}
		return err
	})
	return a, err
}

// AddressByRequest implements store.Addresses.
func (s *Store) AddressByRequest(ctx context.Context, wallet, account canon.Name, requestID string) (store.Address, error) {
	return s.addressWhere(ctx, fmt.Sprintf("%s/%s, request %.64q", wallet, account, requestID),
		`wallet = ? AND owner = ? AND request_id = ?`, string(wallet), string(account), requestID)
}

// AddressAt implements store.Addresses.
func (s *Store) AddressAt(ctx context.Context, p store.Place) (store.Address, error) {
	return s.addressWhere(ctx, fmt.Sprintf("%s/%s/%d/%d", p.Wallet, p.Account, p.Branch, p.Index),
		`wallet = ? AND account = ? AND branch = ? AND address_index = ?`, string(p.Wallet), string(p.Account), p.Branch, p.Index)
}

// NextIndex implements store.Addresses.
func (s *Store) NextIndex(ctx context.Context, wallet, account canon.Name, branch uint64) (next uint64, err error) {
	err = s.view(ctx, func(t transaction) error {
		_, err := t.get(`SELECT COALESCE(MAX(address_index) + 1, 0) FROM addresses WHERE wallet = ? AND account = ? AND branch = ?`,
			[]any{string(wallet), string(account), branch}, &next)
		return err
	})
	return next, err
}

// ListAddresses implements store.Addresses.
func (s *Store) ListAddresses(ctx context.Context, wallet, account canon.Name, size int, token string) (page []store.Address, next string, err error) {
	size, err = store.PageSize(size)
	if err != nil {
		return nil, "", err
	}
	query := fmt.Sprintf("addresses wallet=%q account=%q", wallet, account)
	from, err := store.ParsePageToken(query, token)
	if err != nil {
		return nil, "", err
	}
	err = s.view(ctx, func(t transaction) error {
		return t.each(addressColumns+`wallet = ? AND owner = ? AND branch = 0 AND address_index >= ? ORDER BY address_index LIMIT ?`,
			[]any{string(wallet), string(account), from, size + 1}, func(rows *sql.Rows) error {
				a, err := scanAddress(rows)
				if err == nil && len(page) == size {
					next = store.PageToken(query, a.Index)
					return nil
				}
				page = append(page, a)
				return err
			})
	})
	if err != nil {
		return nil, "", err
	}
	return page, next, nil
}

// Watched implements store.Addresses.
func (s *Store) Watched(ctx context.Context, chain canon.ChainID) (list []store.Address, err error) {
	err = s.view(ctx, func(t transaction) error {
		return t.each(addressColumns+`chain = ? ORDER BY wallet, account, branch, address_index`, []any{string(chain)}, func(rows *sql.Rows) error {
			a, err := scanAddress(rows)
			list = append(list, a)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}
