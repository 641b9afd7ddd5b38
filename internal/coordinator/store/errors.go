package store

import (
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// ErrPageToken says that a page token was not given by the query that it came with.
var ErrPageToken = errors.New("store: page token: expected one that this query returned, found another")

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("store: closed")

// NotFoundError says that there is no such thing.
type NotFoundError struct {
	What string // "withdrawal", "intent", "address", "checkpoint"
	Name string
}

func (e *NotFoundError) Error() string { return fmt.Sprintf("store: %s %s: not found", e.What, e.Name) }

// ExistsError says that a withdrawal with that id came from another request.
type ExistsError struct {
	Withdrawal canon.Digest
	// Stored and Offered are the digests of the two requests.
	Stored, Offered canon.Digest
}

func (e *ExistsError) Error() string {
	return fmt.Sprintf("store: withdrawal %s: request: expected %s, which was stored before under the same request id, found %s",
		e.Withdrawal, e.Stored, e.Offered)
}

// ConflictError says that the row has moved on.
type ConflictError struct {
	Withdrawal      canon.Digest
	Expected, Found uint64 // versions
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: withdrawal %s: version: expected %d, found %d", e.Withdrawal, e.Expected, e.Found)
}

// TakenError says that an anchor, a coin or a place of an address belongs to somebody else.
type TakenError struct {
	What   string // "anchor", "coin", "address"
	Name   string
	Holder string // wid; for an address its request id
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("store: %s %s: expected free, found taken by %q", e.What, e.Name, e.Holder)
}

// InsufficientError says that an account would set aside more than it holds.
type InsufficientError struct {
	Wallet, Account canon.Name
	Asset           canon.AssetID
	Balance         canon.Amount // held
	Pending         canon.Amount // set aside before
	Wanted          canon.Amount
}

func (e *InsufficientError) Error() string {
	return fmt.Sprintf("store: wallet %s, account %s, asset %s: set aside: expected at most the balance %s, found %s and %s more",
		e.Wallet, e.Account, e.Asset, e.Balance, e.Pending, e.Wanted)
}

// CursorError says that a block does not fit on the last one connected.
type CursorError struct {
	Chain           canon.ChainID
	Expected, Found BlockRef
}

func (e *CursorError) Error() string {
	return fmt.Sprintf("store: chain %s: cursor: expected block %d %x, found %d %x", e.Chain, e.Expected.Height, e.Expected.Hash, e.Found.Height, e.Found.Hash)
}
