package guard

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// GroupKey is the public key of an MPC key: of one that this signer holds a share of, or that all holders told it.
type GroupKey = keyset.GroupKey

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
	// Key returns the group key of that name, false if this signer knows none.
	Key func(canon.Name) (GroupKey, bool)
	// Pool returns the verified pool of that digest. A nil Pool has none: wallets whose addresses depend on keys in tokens are refused then.
	Pool func(digest canon.Digest) (*keyset.Pool, error)
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

// Input is one thing to sign: the digest, and whose keys must sign it.
type Input struct {
	Digest Digest
	// MPC says whether the MPC key signs, with the key that lies at Tweak under the group key.
	MPC    bool
	Tweak  [32]byte // scalar to add to the group key; zero if the MPC key does not sign
	Public [33]byte // compressed child public key; zero if the MPC key does not sign
	// Witness is the script behind a P2WSH input, nil for every other.
	Witness []byte
	// Devices are the keys in tokens that may sign, in the order of the wallet's devices, and Needed how many devices must: sign if there are Devices,
	// attest if there are none. 0 for scheme mpc.
	Devices []keyset.DeviceKey
	Needed  int
}

// Signable is a transaction whose evidence passed every check. Only Check makes one.
type Signable struct {
	evidence    canon.Evidence
	intent      canon.Intent
	request     canon.Request
	intentID    canon.Digest
	transaction canon.Digest
	wallet      canon.Wallet
	key         GroupKey
	asset       canon.AssetID
	charges     []canon.Charge
	anchor      canon.Anchor
	inputs      []canon.Anchor
	signing     []Input
	used        []AddressUse
	kept        []Kept
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

// Kept is an address of ours that the transaction pays, as change or as an own output: whoever has its keys in a token must have them still.
type Kept struct {
	AddressUse
	// Devices are the keys in tokens that may sign for it, in the order of the devices of the wallet; empty if no key of a token is in the address.
	Devices []keyset.DeviceKey
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

// Wallet returns the wallet that is paid from; its scheme and devices say who must sign and who must attest. Read only.
func (s *Signable) Wallet() canon.Wallet { return s.wallet }

// Key returns the group key under which all inputs are signed, the zero GroupKey if tokens alone sign.
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

// Kept returns the addresses of ours that the transaction pays.
func (s *Signable) Kept() []Kept { return slices.Clone(s.kept) }

// Approvers returns the officers whose approvals count.
func (s *Signable) Approvers() []canon.Name { return slices.Clone(s.approvers) }

// NotAfter returns the last second at which everything that the verdict rests on is valid: request, intent, approvals, charter.
func (s *Signable) NotAfter() canon.Time { return s.notAfter }
