package store

import (
	"context"
	"fmt"
	"math/big"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/accounting"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Accounts holds the double-entry book. Apply books what is signed and what ends, ConnectBlock and DisconnectBlock what Bitcoin blocks do, each in
// its own transaction; the rest comes through BookEVM and Attribute.
type Accounts interface {
	// Ledgers returns every balance above zero of a wallet, of all wallets for the empty name, sorted by ledger and asset.
	Ledgers(ctx context.Context, wallet canon.Name) ([]LedgerBalance, error)
	// Unsigned sums up what is set aside from each account of a wallet for withdrawals that are not signed yet: it is still owed to the account.
	Unsigned(ctx context.Context, wallet canon.Name) ([]AccountAmount, error)
	// Shallow returns what accounts of a wallet were credited for deposits and moves in blocks less than depth deep, in no order and perhaps several
	// times for an account: nothing is withdrawn from an omnibus account on the strength of it.
	Shallow(ctx context.Context, chain canon.ChainID, wallet canon.Name, depth uint64) ([]AccountAmount, error)
	// Postings returns a page of postings, the oldest first, and the token of the next page, empty after the last one.
	Postings(ctx context.Context, q PostingQuery) (page []Posting, next string, err error)
	// Entry returns an entry, or a *NotFoundError.
	Entry(ctx context.Context, number uint64) (accounting.Entry, error)
	// Unbooked returns the withdrawals of an EVM chain whose transaction was signed and not booked yet. A row that cannot be read is passed
	// over: what it pays will be missing, and people look.
	Unbooked(ctx context.Context, chain canon.ChainID) ([]withdrawal.Withdrawal, error)
	// Booked returns the block up to which an EVM chain was booked, false if none was, and what lay on each address then.
	Booked(ctx context.Context, chain canon.ChainID) (BlockRef, []AddressAmount, bool, error)
	// BookEVM books an EVM chain up to a block in one transaction: its movements, the withdrawals that they settle, and what lies on the
	// addresses now. It refuses with a *CursorError if the chain was not booked up to the block before.
	BookEVM(ctx context.Context, b EVMBlock) error
	// Marks returns the last blocks up to which an EVM chain was booked, the newest first. It keeps some tens of them.
	Marks(ctx context.Context, chain canon.ChainID) ([]BlockRef, error)
	// UnbookEVM reverses, in one transaction, what was booked after a block that Marks returned, so that the chain is booked anew from there. Any
	// other block is a *CursorError.
	UnbookEVM(ctx context.Context, chain canon.ChainID, to BlockRef) error
	// Attribute books what an entry put into suspense, or a part of it, as an account's, with its audit leaf. The same request id gives the entry
	// of then, or an *AttributedError if it came with something else. An entry that put nothing there, or that was reversed, is a
	// *NotFoundError; one of which nothing is left an *AttributedError; an amount above what is left a *PartError.
	Attribute(ctx context.Context, a Attribution) (accounting.Entry, error)
}

// LedgerBalance is the balance of a ledger in one asset.
type LedgerBalance struct {
	accounting.Ledger
	Asset  canon.AssetID
	Amount *big.Int
}

// PostingQuery selects postings. The zero query is all of them.
type PostingQuery struct {
	Accounts []canon.Name // of entries of any of these; nil for all entries
	Asset    canon.AssetID
	Size     int    // 1 to 1000; 0 means 50
	Page     string // from the page before; empty for the first
}

// Fingerprint is the same for queries that select the same postings.
func (q PostingQuery) Fingerprint() string {
	return fmt.Sprintf("postings accounts=%q asset=%q", q.Accounts, q.Asset)
}

// Posting is a posting with its entry, of which Postings has this one alone.
type Posting struct {
	accounting.Entry
	accounting.Posting
}

// AddressAmount is what lies on the address of an account on an EVM chain.
type AddressAmount struct {
	Wallet canon.Name
	Holder canon.Name // account whose path the address is
	Asset  canon.AssetID
	Amount *big.Int
}

// EVMBlock is what BookEVM books.
type EVMBlock struct {
	Chain     canon.ChainID
	Before    *BlockRef // up to which it was booked so far; nil for not at all
	At        BlockRef
	Time      time.Time
	Movements []accounting.Movement
	Settled   []canon.Digest
	Held      []AddressAmount // replaces what was kept of these addresses and assets
}

// Attribution says whose a deposit is, or a part of it.
type Attribution struct {
	Entry     uint64
	Account   canon.Name
	Amount    canon.Amount // none: all of the deposit that is left
	RequestID string       // of the operator
	Actor     audit.Actor
	Time      time.Time
}

// AttributedError says that a deposit, or a request id, was attributed before.
type AttributedError struct {
	Stored  Attribution
	Offered Attribution
}

func (e *AttributedError) Error() string {
	return fmt.Sprintf("store: attribution: expected a deposit and a request id that are new, found entry %d attributed to %s by request %q",
		e.Stored.Entry, e.Stored.Account, e.Stored.RequestID)
}

// PartError says that an attribution asks for more than is left of a deposit.
type PartError struct {
	Entry        uint64
	Left, Wanted canon.Amount
}

func (e *PartError) Error() string {
	return fmt.Sprintf("store: attribution: amount: expected at most the %s that are left of entry %d, found %s", e.Left, e.Entry, e.Wanted)
}

// AmountText is the amount in decimal, empty for none.
func (a Attribution) AmountText() string {
	if len(a.Amount) == 0 {
		return ""
	}
	return a.Amount.String()
}

// Same reports whether two attributions say the same.
func (a Attribution) Same(b Attribution) bool {
	return a.Entry == b.Entry && a.Account == b.Account && a.AmountText() == b.AmountText() && a.RequestID == b.RequestID
}

// What the audit record of an attribution says.
const (
	EventAttribution = "attribution"
	kindAttribution  = canon.Kind("strongroom/attribution/v1")
)

// Record returns the audit record of the attribution: the digest of what it says stands where other records name a withdrawal.
func (a Attribution) Record(organisation canon.Digest) audit.Record {
	digest := kindAttribution.Digest(fmt.Appendf(nil, "entry=%d account=%s amount=%s request=%q", a.Entry, a.Account, a.AmountText(), a.RequestID))
	return audit.Record{Organisation: organisation, Time: canon.TimeOf(a.Time), Actor: a.Actor, Withdrawal: digest, Event: EventAttribution,
		After: recorded, Objects: []audit.Object{{Name: EventAttribution, Digest: digest}}}
}
