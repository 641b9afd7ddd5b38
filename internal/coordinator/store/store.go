package store

import (
	"context"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Store is everything together. All methods are safe for concurrent use; those that change something are durable when they return.
type Store interface {
	Withdrawals
	Events
	AuditLog
	Anchors
	Coins
	Addresses
	Charters
	Books
	Statements
	Accounts
	Habits
	TravelData
	// Verify checks that rows, events and audit log agree: the root recomputed from all leaves is the root of the stored hashes and
	// extends the latest checkpoint, every event, charter entry, book change, statement and attribution has its leaf, every row is in the state that its last event left, events count
	// from 1 without gaps, and the balances of the double-entry book are those that its entries give. It reads everything.
	Verify(ctx context.Context) error
	// Close waits for calls in progress and releases the database.
	Close() error
}

// Withdrawals holds one row for each wid.
type Withdrawals interface {
	// Create stores a withdrawal made by withdrawal.New with its first event and leaf. If the wid exists already, it returns the row
	// that is there and created false; with an *ExistsError if that row came from another request document.
	Create(ctx context.Context, w withdrawal.Withdrawal, actor audit.Actor) (row withdrawal.Withdrawal, created bool, err error)

	// Apply applies events, in order and all or none, to the withdrawal whose row is at version, and returns the row after them.
	// With the row it takes, keeps or returns the anchor, the coins and what is set aside, as the events say: prepare takes anchor and
	// coins, and stores the addresses of the transaction's change; an end without anchor held or with withdrawal.FateFree returns them; submit and allow set aside.
	//
	// Errors, all without any effect: *NotFoundError; *ConflictError when the row is at another version (load it and decide again);
	// *withdrawal.TransitionError; *TakenError when the anchor or a coin is another withdrawal's, or a change address another's (choose others); *InsufficientError
	// when an account would set aside more than it holds.
	Apply(ctx context.Context, id canon.Digest, version uint64, events ...withdrawal.Event) (withdrawal.Withdrawal, error)

	// Withdrawal returns the row of that wid, or a *NotFoundError.
	Withdrawal(ctx context.Context, id canon.Digest) (withdrawal.Withdrawal, error)
	// WithdrawalByIntent returns the row with the intent of that digest, or a *NotFoundError.
	WithdrawalByIntent(ctx context.Context, intent canon.Digest) (withdrawal.Withdrawal, error)
	// List returns a page of withdrawals in the order of their creation, and the token of the next page, empty after the last one.
	// A token that this query did not give is refused with ErrPageToken.
	List(ctx context.Context, q Query) (page []withdrawal.Withdrawal, next string, err error)
	// Pending sums up what is set aside from each account of a wallet for withdrawals in flight.
	Pending(ctx context.Context, wallet canon.Name) ([]AccountAmount, error)
}

// Query selects withdrawals. The zero Query is all of them.
type Query struct {
	States []withdrawal.State // any of these; nil for all
	Client canon.Name         // whose account it is, or whose desk asked for it; empty for all
	Wallet canon.Name         // empty for all
	Newest bool               // newest first instead of oldest first
	Size   int                // 1 to 1000; 0 means 50
	Page   string             // from the page before; empty for the first
	// Unreadable, if there is one, is handed each row that cannot be read, which then belongs to no page. Without it such a row fails the query.
	Unreadable func(id canon.Digest, err error)
}

// AccountAmount is an amount of one asset in one account.
type AccountAmount struct {
	Account canon.Name
	Asset   canon.AssetID
	Amount  canon.Amount
}

// Event is an event as it was committed.
type Event struct {
	Sequence   uint64 // from 1, without gaps
	Withdrawal canon.Digest
	Kind       withdrawal.Kind
	Actor      audit.Actor
	State      withdrawal.State // after it
	Time       time.Time
	Refusals   []refusal.Failure
	Leaf       int64 // index in the audit log
}

// Events tells what happened, in the order in which it was committed.
type Events interface {
	// EventsFrom returns up to limit (1 to 1000) events from a sequence number on; 0 and 1 both mean from the beginning. With a wid
	// only that withdrawal's.
	EventsFrom(ctx context.Context, from uint64, id *canon.Digest, limit int) ([]Event, error)
	// Changed returns a channel that is closed when the next event is committed. Take the channel, read what there is, then wait:
	// nothing is missed. It may also be closed without an event.
	Changed() <-chan struct{}
}

// AuditLog reads the Merkle log. Create and Apply write it.
type AuditLog interface {
	// Tree returns the size and root of the log now.
	Tree(ctx context.Context) (audit.Tree, error)
	// Leaves returns up to limit (1 to 1000) leaves from an index on.
	Leaves(ctx context.Context, from int64, limit int) ([]Leaf, error)
	// InclusionProof and ConsistencyProof are those of package audit.
	InclusionProof(ctx context.Context, size, index int64) ([][32]byte, error)
	ConsistencyProof(ctx context.Context, from, to int64) ([][32]byte, error)
	// SaveCheckpoint keeps a signed checkpoint. It refuses a tree that is not a prefix of the log. A second one of the same tree is
	// ignored.
	SaveCheckpoint(ctx context.Context, t audit.Tree, signed []byte, at time.Time) error
	// LatestCheckpoint returns the largest checkpoint kept, or a *NotFoundError.
	LatestCheckpoint(ctx context.Context) (audit.Tree, []byte, error)
}

// Leaf is a leaf of the audit log.
type Leaf struct {
	Index int64
	Data  []byte
}

// Anchors are unique on (chain, account, number), and a withdrawal holds at most one: LIMITS rule "unique keys on wid and on anchor".
// Apply takes and returns them.
type Anchors interface {
	// AnchorHolder returns the wid that holds or has spent the anchor, false if it is free.
	AnchorHolder(ctx context.Context, a canon.Anchor) (canon.Digest, bool, error)
	// NextNonce returns the smallest nonce from start on that no withdrawal holds or has spent at this address. It reserves nothing:
	// Apply refuses it with a *TakenError if another withdrawal was faster.
	NextNonce(ctx context.Context, chain canon.ChainID, address []byte, start uint64) (uint64, error)
}

// Outpoint is an output of a Bitcoin transaction.
type Outpoint struct {
	TxID  [32]byte // internal order
	Index uint32
}

// Place is where an address lies in its wallet.
type Place struct {
	Wallet  canon.Name
	Account canon.Name
	Branch  uint64
	Index   uint64
}

// Coin is an output that pays one of our addresses.
type Coin struct {
	Outpoint
	Place
	// Owner is the account that the address was given to, empty for none: to it ConnectBlock books the coin. It is not kept.
	Owner    canon.Name
	Asset    canon.AssetID // the chain's own coin
	Value    uint64        // satoshi
	Script   []byte
	Height   uint64 // of the block that holds it
	Coinbase bool
	Previous []byte // the whole transaction that made it
	// Holder is the wid of the withdrawal that reserved it, nil if none did.
	Holder *canon.Digest
}

// Spend is an input of a block: the output that it spends, and by which transaction.
type Spend struct {
	Outpoint
	By [32]byte
}

// BlockRef is a block of a chain by height and hash (Bitcoin: internal order). The zero hash stands for "start at this height".
type BlockRef struct {
	Height uint64
	Hash   [32]byte
}

// CoinQuery selects unspent coins.
type CoinQuery struct {
	Chain     canon.ChainID
	Wallet    canon.Name
	Account   canon.Name // empty for all
	MaxHeight uint64     // only coins of blocks up to this height; 0 for all
	Free      bool       // only coins that no withdrawal reserved
}

// Coins follows the Bitcoin chains, block by block.
type Coins interface {
	// Cursor returns the last block connected, false if none was.
	Cursor(ctx context.Context, chain canon.ChainID) (BlockRef, bool, error)
	// BlockHash returns the hash of the block connected at that height, false if the record does not reach back so far.
	BlockHash(ctx context.Context, chain canon.ChainID, height uint64) (hash [32]byte, ok bool, err error)
	// ConnectBlock applies a block on top of the cursor: first all credits, then all spends (those of outputs that are not ours have no
	// effect), and moves the cursor. It refuses with a *CursorError a block whose parent is not the cursor.
	ConnectBlock(ctx context.Context, chain canon.ChainID, b BlockRef, parent [32]byte, credits []Coin, spends []Spend) error
	// DisconnectBlock undoes the block b, which must be the cursor: what it credited is gone, what it spent is unspent. Reservations
	// stay. The cursor moves to parent.
	DisconnectBlock(ctx context.Context, chain canon.ChainID, b, parent BlockRef) error
	// UnspentCoins returns coins, the largest first.
	UnspentCoins(ctx context.Context, q CoinQuery) ([]Coin, error)
	// CoinBalances sums up the unspent coins of each account of a wallet, reserved ones included.
	CoinBalances(ctx context.Context, chain canon.ChainID, wallet canon.Name) ([]AccountAmount, error)
}

// Address is an address that was issued, or, on branch 1, used for change.
type Address struct {
	Place
	Owner        canon.Name // account that it was given to: Account, or one whose assets lie on the addresses of that pool; empty means Account
	Chain        canon.ChainID
	Bytes        []byte         // as in canon.Output
	Attestations []canon.Signed // of canon.Address
	RequestID    string         // the caller's own id, unique for each owner in a wallet; empty on branch 1
	Created      time.Time
}

// Addresses holds the addresses that are ours.
type Addresses interface {
	// AddAddress stores an address. If the request id was used before in this account, or the very same address was stored before, it
	// returns the address of then and added false; a place or an address that another request took gives a *TakenError.
	AddAddress(ctx context.Context, a Address) (stored Address, added bool, err error)
	// AddressByRequest returns the address issued to an account under a request id, or a *NotFoundError.
	AddressByRequest(ctx context.Context, wallet, account canon.Name, requestID string) (Address, error)
	// AddressAt returns the address at a place, or a *NotFoundError.
	AddressAt(ctx context.Context, p Place) (Address, error)
	// NextIndex returns the first index of a branch that no address has.
	NextIndex(ctx context.Context, wallet, account canon.Name, branch uint64) (uint64, error)
	// ListAddresses returns a page of the receive addresses that were given to an account, by index.
	ListAddresses(ctx context.Context, wallet, account canon.Name, size int, token string) (page []Address, next string, err error)
	// Watched returns all addresses on a chain.
	Watched(ctx context.Context, chain canon.ChainID) ([]Address, error)
}
