package withdrawal

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Kind is what happened.
type Kind string

// Kinds of event. Beside each: who causes it, and the fields of Event that it must bring.
const (
	EventRequest    Kind = "request"    // a client, by New alone
	EventDeny       Kind = "deny"       // the policy: Refusals
	EventHold       Kind = "hold"       // facts that only the coordinator has: Refusals, which say what it waits for
	EventSubmit     Kind = "submit"     // the policy wants approvals: Intent, Rule, and Exact with an exact intent
	EventAllow      Kind = "allow"      // the policy wants none: as submit
	EventApproval   Kind = "approval"   // an officer decided: Approval
	EventStatement  Kind = "statement"  // an officer stated something about the intent: Statement
	EventApprove    Kind = "approve"    // the quorum is met
	EventReject     Kind = "reject"     // approvals or statements say no, or the charter in force: Refusals
	EventExpire     Kind = "expire"     // the clock
	EventPrepare    Kind = "prepare"    // the transaction is built, its anchor taken: Prepared
	EventRefuse     Kind = "refuse"     // a signer refused, or it has to wait for another: Refusals; the state stays
	EventAck        Kind = "ack"        // a signer recorded the reservation: Ack
	EventCertify    Kind = "certify"    // q acks: Certificate
	EventExport     Kind = "export"     // evidence and certificate left as a bundle
	EventCosign     Kind = "cosign"     // devices are about to be asked: Participants, the signers whose tokens they are
	EventAttempt    Kind = "attempt"    // a signing session is about to begin: Participants
	EventSign       Kind = "sign"       // the signed transaction was verified: Transaction
	EventBroadcast  Kind = "broadcast"  // a chain node took the transaction
	EventReplace    Kind = "replace"    // a version with a higher fee was broadcast: Transaction
	EventInclude    Kind = "include"    // the transaction is in a block: Block, Confirmations
	EventReorganise Kind = "reorganise" // it no longer is
	EventConfirm    Kind = "confirm"    // it is as deep as the charter asks: Block, Confirmations
	EventBurn       Kind = "burn"       // the burn of the anchor is final: Block
	EventClose      Kind = "close"      // no signer will ever sign anything for it again
	EventFail       Kind = "fail"       // it cannot be carried out: Refusals, and Block if it reverted in one
)

var kinds = []Kind{EventRequest, EventDeny, EventHold, EventSubmit, EventAllow, EventApproval, EventStatement, EventApprove, EventReject,
	EventExpire, EventPrepare, EventRefuse, EventAck, EventCertify, EventExport, EventCosign, EventAttempt, EventSign, EventBroadcast,
	EventReplace, EventInclude, EventReorganise, EventConfirm, EventBurn, EventClose, EventFail}

// Kinds returns all kinds of event.
func Kinds() []Kind { return slices.Clone(kinds) }

// Fate is what became of the anchor of a withdrawal that ends without payment.
type Fate uint8

const (
	// FateUnknown: some signer may hold the anchor. The withdrawal must be burnt.
	FateUnknown Fate = 0
	// FateFree: every signer that was asked answered, and none acked. The anchor and the coins return.
	FateFree Fate = 1
	// FateSpent: the chain shows the anchor spent, at the charter's depth, by something that pays nobody of this withdrawal (an EVM
	// transaction that reverted, for example).
	FateSpent Fate = 2
)

// Event is something that happened to a withdrawal. Kind says which of the other fields it must bring; the rest stay zero.
type Event struct {
	Kind  Kind
	Time  time.Time
	Actor audit.Actor // who caused it

	Refusals     []refusal.Failure
	Intent       []byte            // encoding of canon.Intent
	Rule         canon.Name        // of the policy
	Addresses    []canon.BookProof // submit, allow: one for each outside address and version of the book that signers asked for then
	SetAside     []SetAside        // submit, allow: what the account must keep for it
	Exact        *Exact            // submit, allow: the transaction of an exact intent
	Approval     *canon.Signed
	Statement    *canon.Signed
	Prepared     *Prepared
	Ack          *Ack
	Certificate  []byte // encoding of canon.Certificate
	Participants []canon.Name
	Transaction  *Transaction
	Block        *Block
	// Confirmations is 1 in the tip.
	Confirmations uint64
	// Fee that was paid in the end, base units of the chain's coin; include and confirm may bring it.
	Fee canon.Amount
	// Fate of the anchor; reject, expire, fail and close may bring it.
	Fate Fate
	// Depth is how many blocks deep a deposit must be to cover what an omnibus account sets aside, at allow, prepare, cosign and attempt; 0: any. It is
	// not kept.
	Depth uint64
}

// SetAside is an amount of one asset that an account keeps for a withdrawal: its payments, and in the chain's coin the fee cap.
type SetAside struct {
	Asset  canon.AssetID
	Amount canon.Amount
	Holder canon.Name // account on whose addresses it lies: the pool's for an omnibus account; empty means the withdrawal's own
	// Balance is what those addresses hold, with everything set aside so far. A store refuses the event if all that is set
	// aside on them would exceed it. Nil means unchecked. It is not kept.
	Balance *canon.Amount `cbor:"-"`
	// Owed says that the book must cover it too: what it owes the account in the wallet for deposits of the event's depth, less what is set
	// aside already. It is not kept.
	Owed bool `cbor:"-"`
}

// Exact is the one transaction that an exact intent names, as it was built with the intent. It is signed as it is, or not at all.
type Exact struct {
	Unsigned []byte // as in canon.Evidence; its digest is the intent's
	Inputs   []canon.OwnPath
	Change   []canon.OwnPath
	Fee      canon.Amount // EVM: the most that it can pay
}

// Prepared is a transaction to be signed, with its evidence and reservation.
type Prepared struct {
	Unsigned    []byte // as in canon.Evidence
	Reservation []byte // encoding of canon.Reservation: version, anchor, inputs, charges, stamp, until
	Previous    [][]byte
	Inputs      []canon.OwnPath
	Change      []canon.OwnPath
	Fee         canon.Amount // Bitcoin: paid by the transaction; EVM: the most it can pay
}

// Ack is a signer's signed canon.Ack.
type Ack struct {
	Signer canon.Name
	Signed canon.Signed
}

// RuleDevice names what a withdrawal waits for while devices are missing. It is gone from the row once they are asked.
const RuleDevice = "device"

// Cosign counts the questions to a signer whose token signs for the wallet. What it answered is not kept: a signature without the others is worth
// nothing, and the next attempt asks again.
type Cosign struct {
	Signer  canon.Name
	Attempt uint64 // questions so far, the last included
	Latest  bool   // was asked the last time
}

// Transaction is a transaction that its chain would accept.
type Transaction struct {
	Raw  []byte
	TxID string // as explorers show it
	Fee  canon.Amount
}

// Block is a block of the withdrawal's chain.
type Block struct {
	Height uint64
	Hash   [32]byte // as the chain's own encoding has it (Bitcoin: internal order)
}

// brings lists the fields of Event that a kind may bring; one that brings another is refused, so that nothing enters the audit
// record that the withdrawal did not take up.
var brings = map[Kind]string{
	EventDeny: "refusals", EventHold: "refusals", EventRefuse: "refusals", EventReject: "refusals fate", EventExpire: "fate",
	EventFail: "refusals fate block", EventClose: "fate", EventSubmit: "intent", EventAllow: "intent",
	EventApproval: "approval", EventStatement: "statement", EventPrepare: "prepared", EventAck: "ack", EventCertify: "certificate",
	EventCosign: "participants", EventAttempt: "participants", EventSign: "transaction", EventReplace: "transaction",
	EventInclude: "block", EventConfirm: "block", EventBurn: "block",
}

// stray returns the name of a field that is set and that the event's kind does not bring, or nothing.
func (e Event) stray() string {
	set := map[string]bool{
		"refusals": len(e.Refusals) > 0, "fate": e.Fate != FateUnknown, "approval": e.Approval != nil, "statement": e.Statement != nil,
		"intent":   len(e.Intent) > 0 || e.Rule != "" || len(e.Addresses) > 0 || len(e.SetAside) > 0 || e.Exact != nil,
		"prepared": e.Prepared != nil, "ack": e.Ack != nil, "certificate": len(e.Certificate) > 0,
		"participants": len(e.Participants) > 0, "transaction": e.Transaction != nil,
		"block": e.Block != nil || e.Confirmations != 0 || len(e.Fee) > 0,
	}
	may := strings.Fields(brings[e.Kind])
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if set[name] && !slices.Contains(may, name) {
			return name
		}
	}
	return ""
}
