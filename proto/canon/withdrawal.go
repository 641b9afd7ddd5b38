package canon

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Output is one payment.
type Output struct {
	Address []byte  `cbor:"1,keyasint"` // Bitcoin: scriptPubKey; EVM: 20 bytes
	Asset   AssetID `cbor:"2,keyasint"`
	Amount  Amount  `cbor:"3,keyasint"`
	// Own says that the address is the account's own, in that wallet; the address book is not asked then.
	Own *OwnAddress `cbor:"4,keyasint,omitempty"`
}

// OwnAddress places an output on a receive address (branch 0) of the request's account in a wallet of the charter.
type OwnAddress struct {
	Wallet Name   `cbor:"1,keyasint"`
	Index  uint64 `cbor:"2,keyasint"`
}

// Check refuses indices that no path can hold.
func (a OwnAddress) Check() error {
	if a.Index >= 1<<31 {
		return fmt.Errorf("index: expected below 2^31, found %d", a.Index)
	}
	return nil
}

// Check refuses impossible addresses and payments of nothing.
func (o Output) Check() error {
	if len(o.Amount) == 0 {
		return errors.New("amount: expected above 0, found 0")
	}
	return sized("address", o.Address, 1, 128)
}

// Call is a contract call.
type Call struct {
	To    []byte `cbor:"1,keyasint"` // 20 bytes
	Value Amount `cbor:"2,keyasint"`
	Data  []byte `cbor:"3,keyasint"`
}

// Check refuses impossible addresses and oversized data.
func (c Call) Check() error {
	if err := sized("to", c.To, 20, 20); err != nil {
		return err
	}
	return sized("data", c.Data, 0, 16*kib)
}

// Request is what a client asks for, signed by one of the client's keys.
type Request struct {
	Organisation Digest    `cbor:"1,keyasint"`
	Requester    PublicKey `cbor:"2,keyasint"`
	Client       Name      `cbor:"3,keyasint"`
	Account      Name      `cbor:"4,keyasint"`
	RequestID    string    `cbor:"5,keyasint"` // the client's own; the same id is the same withdrawal
	Chain        ChainID   `cbor:"6,keyasint"`
	Wallet       Name      `cbor:"7,keyasint"`
	Outputs      []Output  `cbor:"8,keyasint"`
	Call         *Call     `cbor:"9,keyasint,omitempty"`
	FeeCap       Amount    `cbor:"10,keyasint"` // largest fee the client pays, base units of the chain's coin
	NotBefore    Time      `cbor:"11,keyasint"`
	NotAfter     Time      `cbor:"12,keyasint"`
	Memo         []byte    `cbor:"13,keyasint,omitempty"` // SHA-256 of a memo kept elsewhere
	TravelRule   Text      `cbor:"14,keyasint,omitempty"` // reference of travel-rule data
	TravelData   []byte    `cbor:"15,keyasint,omitempty"` // SHA-256 of travel-rule data that came with the request
}

// KindRequest is the type string of Request.
const KindRequest = Kind("strongroom/request/v1")

// Kind implements Document.
func (Request) Kind() Kind { return KindRequest }
func (Request) limit() int { return 64 * kib }

// maxOutputs bounds the payments of one withdrawal.
const maxOutputs = 256

var requestIDForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$`)

// Check refuses requests without payment, with both payments and a call, and impossible ids and times.
func (r Request) Check() error {
	if !requestIDForm.MatchString(r.RequestID) {
		return fmt.Errorf("request_id: expected 1 to 64 of letters, digits, dot, underscore, colon, hyphen, found %q", clip(r.RequestID))
	}
	if (len(r.Outputs) == 0) == (r.Call == nil) || len(r.Outputs) > maxOutputs {
		return fmt.Errorf("outputs: expected 1 to %d outputs or a call, found %d outputs", maxOutputs, len(r.Outputs))
	}
	if len(r.Memo) != 0 && len(r.Memo) != 32 {
		return fmt.Errorf("memo: expected 32 bytes, found %d", len(r.Memo))
	}
	if len(r.TravelData) != 0 && len(r.TravelData) != 32 {
		return fmt.Errorf("travel_data: expected 32 bytes, found %d", len(r.TravelData))
	}
	if r.NotAfter <= r.NotBefore {
		return errors.New("not_after: expected a time after not_before")
	}
	return nil
}

// WithdrawalID returns the id of the withdrawal that r asks for. It depends on organisation, requester and request id only: a
// second request under the same id is the same withdrawal, whatever it says.
func (r Request) WithdrawalID() Digest {
	b := make([]byte, 0, 128)
	b = append(b, r.Organisation[:]...)
	b = append(b, r.Requester[:]...)
	b = append(b, r.RequestID...)
	return Kind("strongroom/withdrawal-id/v1").Digest(b)
}

// Mode says whether an intent fixes payments or whole transactions.
type Mode uint8

// Modes of an intent.
const (
	Template Mode = 1 // outputs, amounts, fee cap; the transaction may be rebuilt under it
	Exact    Mode = 2 // one of the named transactions and no other
)

// OwnPath places an input or an output of a transaction on an address of ours: account, branch 0 receive or 1 change, index.
type OwnPath struct {
	Position uint64 `cbor:"1,keyasint"` // index of the input or output within the transaction
	Account  Name   `cbor:"2,keyasint"`
	Branch   uint64 `cbor:"3,keyasint"`
	Index    uint64 `cbor:"4,keyasint"`
}

// Check refuses branches other than 0 and 1 and indices that no path can hold.
func (p OwnPath) Check() error {
	if p.Branch > 1 || p.Index >= 1<<31 {
		return fmt.Errorf("branch, index: expected branch 0 or 1 and index below 2^31, found %d and %d", p.Branch, p.Index)
	}
	return nil
}

// Intent is the request completed by the service; it is what officers approve.
type Intent struct {
	Organisation  Digest    `cbor:"1,keyasint"`
	Withdrawal    Digest    `cbor:"2,keyasint"` // wid
	Request       Signed    `cbor:"3,keyasint"`
	Rule          Name      `cbor:"4,keyasint"`
	Quorum        Quorum    `cbor:"5,keyasint"` // empty when the rule allows by itself
	CharterNumber uint64    `cbor:"6,keyasint"`
	Charter       Digest    `cbor:"7,keyasint"`
	Mode          Mode      `cbor:"8,keyasint"`
	FeeCap        Amount    `cbor:"9,keyasint"` // at most the request's and the rule's
	NotAfter      Time      `cbor:"10,keyasint"`
	Transactions  []Digest  `cbor:"11,keyasint,omitempty"` // exact: digests of mutually exclusive unsigned transactions
	Inputs        []OwnPath `cbor:"12,keyasint,omitempty"` // exact
	Change        []OwnPath `cbor:"13,keyasint,omitempty"` // exact

	// Facts that the rule was decided by; officers approve them with the rest. Statements are of the kinds of fact.go.
	At           Time          `cbor:"14,keyasint,omitempty"` // when the service completed the request; statements are judged by it
	Destinations []Destination `cbor:"15,keyasint,omitempty"` // one for each output of the request, or none if none is in a group
	Prices       []Signed      `cbor:"16,keyasint,omitempty"`
	Attributes   []Signed      `cbor:"17,keyasint,omitempty"`
	Clearances   []Signed      `cbor:"18,keyasint,omitempty"`
	Balances     []Signed      `cbor:"19,keyasint,omitempty"`
}

// Destination says in which groups of the address book an output's address is. Signers hold it against the proofs.
type Destination struct {
	Groups []Name `cbor:"1,keyasint"`           // in every version of the book that is asked for: what allows goes by these
	Recent []Name `cbor:"2,keyasint,omitempty"` // in some of them only: what denies goes by these too, and what allows cannot tell
}

// Check refuses more groups than an entry of each version of the book that may be asked for can have.
func (d Destination) Check() error {
	if len(d.Groups) > maxGroups || len(d.Recent) > 4*maxGroups {
		return fmt.Errorf("groups, recent: expected at most %d and %d, found %d and %d", maxGroups, 4*maxGroups, len(d.Groups), len(d.Recent))
	}
	return nil
}

// maxGroups bounds the groups of an entry of the book.
const maxGroups = 8

// KindIntent is the type string of Intent.
const KindIntent = Kind("strongroom/intent/v1")

// Kind implements Document.
func (Intent) Kind() Kind { return KindIntent }
func (Intent) limit() int { return 256 * kib }

// Check refuses unknown modes and transactions where the mode has none.
func (i Intent) Check() error {
	if err := oneOf("mode", i.Mode, Exact); err != nil {
		return err
	}
	if i.Mode == Template && len(i.Transactions)+len(i.Inputs)+len(i.Change) != 0 {
		return errors.New("transactions: expected none in a template intent")
	}
	if i.Mode == Exact && (len(i.Transactions) < 1 || len(i.Transactions) > 8) {
		return fmt.Errorf("transactions: expected 1 to 8 in an exact intent, found %d", len(i.Transactions))
	}
	return nil
}

// Object is what an approval or a statement is about.
type Object uint8

// Objects of approvals.
const (
	ObjectIntent    Object = 1
	ObjectAmendment Object = 2
	ObjectBookRoot  Object = 3
)

// Decision is an officer's answer.
type Decision uint8

// Decisions.
const (
	Approve  Decision = 1
	Reject   Decision = 2
	Withdraw Decision = 3
)

// Approval is an officer's decision on one object.
type Approval struct {
	Organisation Digest   `cbor:"1,keyasint"`
	Object       Object   `cbor:"2,keyasint"`
	Digest       Digest   `cbor:"3,keyasint"`
	Decision     Decision `cbor:"4,keyasint"`
	Officer      Name     `cbor:"5,keyasint"`
	NotAfter     Time     `cbor:"6,keyasint"`
	Reason       Text     `cbor:"7,keyasint,omitempty"`
}

// KindApproval is the type string of Approval.
const KindApproval = Kind("strongroom/approval/v1")

// Kind implements Document.
func (Approval) Kind() Kind { return KindApproval }
func (Approval) limit() int { return kib }

// Check refuses unknown objects and decisions.
func (a Approval) Check() error {
	if err := oneOf("object", a.Object, ObjectBookRoot); err != nil {
		return err
	}
	return oneOf("decision", a.Decision, Withdraw)
}

// Verb is what a statement does.
type Verb uint8

// Verbs of statements.
const (
	StateFreeze   Verb = 1 // stops all signing; its object is the organisation
	StateVeto     Verb = 2 // stops an amendment that loosens
	StateReject   Verb = 3 // stops a withdrawal, or one intent for it
	StateWithdraw Verb = 4 // takes the officer's approvals of an intent or amendment back
	StateRevoke   Verb = 5 // ends one of the officer's own keys; its object is approval.KeyDigest of it
)

// Statement is what one officer may say alone and at once. Statements form a grow-only set and can only stop things.
type Statement struct {
	Organisation Digest `cbor:"1,keyasint"`
	Officer      Name   `cbor:"2,keyasint"`
	Serial       uint64 `cbor:"3,keyasint"` // the officer's own count
	Verb         Verb   `cbor:"4,keyasint"`
	Object       Digest `cbor:"5,keyasint"` // reject, withdraw: the withdrawal (wid) or the intent; else digest of the amendment or key
	NotAfter     Time   `cbor:"6,keyasint,omitempty"`
	Reason       Text   `cbor:"7,keyasint,omitempty"`
}

// KindStatement is the type string of Statement.
const KindStatement = Kind("strongroom/statement/v1")

// Kind implements Document.
func (Statement) Kind() Kind { return KindStatement }
func (Statement) limit() int { return kib }

// Check refuses unknown verbs.
func (s Statement) Check() error { return oneOf("verb", s.Verb, StateRevoke) }

// BookEntry says that an address belongs to a client. It is bound to the organisation by the root of the book that contains it.
type BookEntry struct {
	Chain    ChainID `cbor:"1,keyasint"`
	Address  []byte  `cbor:"2,keyasint"` // as in Output
	Client   Name    `cbor:"3,keyasint"`
	Account  Name    `cbor:"4,keyasint"`           // Any, or one of the client's accounts
	Proof    uint64  `cbor:"5,keyasint"`           // kind of evidence of ownership: 0 none, 1 signed message, 2 micro-deposit
	Evidence []byte  `cbor:"6,keyasint,omitempty"` // SHA-256 of that evidence
	Label    Text    `cbor:"7,keyasint"`
	Groups   []Name  `cbor:"8,keyasint,omitempty"` // for rules to name, sorted; at most 8
}

// KindBookEntry is the type string of BookEntry.
const KindBookEntry = Kind("strongroom/book-entry/v1")

// Kind implements Document.
func (BookEntry) Kind() Kind { return KindBookEntry }
func (BookEntry) limit() int { return kib }

// Check refuses impossible addresses and unknown kinds of evidence.
func (e BookEntry) Check() error {
	if e.Proof > 2 || (e.Proof == 0) != (len(e.Evidence) == 0) || (len(e.Evidence) != 0 && len(e.Evidence) != 32) {
		return fmt.Errorf("proof, evidence: expected 0 without or 1 or 2 with 32 bytes of evidence, found %d and %d bytes", e.Proof, len(e.Evidence))
	}
	if len(e.Groups) > maxGroups || !slices.IsSortedFunc(e.Groups, ascending) {
		return fmt.Errorf("groups: expected at most %d, sorted, each once, found %v", maxGroups, e.Groups)
	}
	return sized("address", e.Address, 1, 128)
}

// ascending orders a name after the one before it; equal ones are out of order.
func ascending(a, before Name) int {
	if a == before {
		return -1
	}
	return strings.Compare(string(a), string(before))
}

// BookProof shows that an entry is in one version of the book: an RFC 6962 inclusion proof for that version's size.
type BookProof struct {
	Entry []byte   `cbor:"1,keyasint"` // encoding of BookEntry
	Index uint64   `cbor:"2,keyasint"`
	Path  []Digest `cbor:"3,keyasint"`
	Root  Digest   `cbor:"4,keyasint"` // of the version
}

// Check refuses proofs longer than any tree's.
func (p BookProof) Check() error {
	if len(p.Path) > 63 {
		return fmt.Errorf("path: expected at most 63 hashes, found %d", len(p.Path))
	}
	return sized("entry", p.Entry, 1, kib)
}
