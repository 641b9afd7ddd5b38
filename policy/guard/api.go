package guard

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// GroupKey is a key that this signer holds a share of, or whose public key it knows from its own key generation.
type GroupKey struct {
	ID     canon.Name
	Epoch  uint64
	Public [33]byte // compressed, of the group
}

// View is what a signer knows by itself, without the evidence. A nil Statements, Frozen or Revoked means that nobody said anything; a
// signer sets them all.
type View struct {
	Charter *charter.Charter // in force
	// Book holds the versions of the address book that every address must be in now. None refuses every payment.
	Book []book.Requirement
	// Valid says whether what was approved under an earlier charter still counts: nil if that charter was in force and nothing that came
	// after it loosened. A nil Valid accepts the charter in force only.
	Valid func(number uint64, digest canon.Digest) error
	Now   time.Time
	// Key returns the group key of that name, false if this signer has none.
	Key func(canon.Name) (GroupKey, bool)
	// HighestIndex returns the highest index of an address of this wallet, account and branch that this signer has seen in use, -1 for
	// none. Change and own addresses that are paid may lie at most 100 beyond it. The account is the one whose addresses they are, for an
	// omnibus account the wallet's pool.
	HighestIndex func(wallet, account canon.Name, branch uint64) int64
	// FirstSeen returns the second at which this signer first saw the intent of that digest with everything in order, false if it did not yet.
	// A nil FirstSeen has seen none. Rules with a delay count from it.
	FirstSeen func(intent canon.Digest) (canon.Time, bool)
	// Statements returns what officers told this signer directly about the object.
	Statements func(object canon.Digest) []canon.Signed
	// Frozen returns an officer's freeze that holds now, false for none. It stops everything.
	Frozen func() (approval.Freeze, bool)
	// Revoked reports whether an officer revoked the key of that approval.KeyDigest. Its approvals do not count, whenever they were given.
	Revoked func(key canon.Digest) bool
}

// Input is one thing to sign: the digest, and where the key lies under the group key.
type Input struct {
	Digest Digest
	Tweak  [32]byte // scalar to add to the group key
	Public [33]byte // compressed child public key
}

// Signable is a transaction whose evidence passed every check. Only Check makes one.
type Signable struct {
	evidence    canon.Evidence
	intent      canon.Intent
	request     canon.Request
	intentID    canon.Digest
	transaction canon.Digest
	key         GroupKey
	asset       canon.AssetID
	charges     []canon.Charge
	anchor      canon.Anchor
	inputs      []canon.Anchor
	signing     []Input
	used        []AddressUse
	approvers   []canon.Name
	notAfter    canon.Time
	window      uint64
	delay       uint64
}

// AddressUse is an address of ours that the transaction touches. Account is whose path it is: for an omnibus account the wallet's pool.
type AddressUse struct {
	Wallet  canon.Name
	Account canon.Name
	Branch  uint64
	Index   uint64
}

// Withdrawal returns the wid.
func (s *Signable) Withdrawal() canon.Digest { return s.intent.Withdrawal }

// IntentDigest returns the digest of the intent.
func (s *Signable) IntentDigest() canon.Digest { return s.intentID }

// Intent returns the intent.
func (s *Signable) Intent() canon.Intent { return s.intent }

// Request returns the client's request.
func (s *Signable) Request() canon.Request { return s.request }

// Transaction returns the digest of the unsigned transaction.
func (s *Signable) Transaction() canon.Digest { return s.transaction }

// Key returns the group key under which all inputs are signed.
func (s *Signable) Key() GroupKey { return s.key }

// Charges returns what the withdrawal takes from each limit.
func (s *Signable) Charges() []canon.Charge { return slices.Clone(s.charges) }

// Anchor returns what all versions of the withdrawal share.
func (s *Signable) Anchor() canon.Anchor { return s.anchor }

// Anchors returns every input; for EVM the anchor alone.
func (s *Signable) Anchors() []canon.Anchor { return slices.Clone(s.inputs) }

// Signing returns what to sign, in the order of the inputs.
func (s *Signable) Signing() []Input { return slices.Clone(s.signing) }

// Addresses returns the addresses of ours that the transaction touches.
func (s *Signable) Addresses() []AddressUse { return slices.Clone(s.used) }

// Approvers returns the officers whose approvals count.
func (s *Signable) Approvers() []canon.Name { return slices.Clone(s.approvers) }

// NotAfter returns the last second at which everything that the verdict rests on is valid: request, intent, approvals, charter.
func (s *Signable) NotAfter() canon.Time { return s.notAfter }
