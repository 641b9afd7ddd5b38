// Package withdrawaltest makes withdrawals and events that are well formed, for tests of the life cycle and of stores. Documents are
// canonical; signatures are 64 zero bytes, which nobody who verifies would take.
package withdrawaltest

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Chains and assets of the withdrawals.
const (
	Bitcoin   canon.ChainID = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	BTC       canon.AssetID = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328/slip44:0"
	EVM       canon.ChainID = "eip155:31337"
	Ether     canon.AssetID = "eip155:31337/slip44:60"
	Client    canon.Name    = "acme"
	Account   canon.Name    = "acme-main"
	BTCWallet canon.Name    = "btc-hot"
	EVMWallet canon.Name    = "evm-hot"
)

// Organisation is the organisation of all of them.
var Organisation = canon.Digest{0: 0x5e, 31: 1}

// Start is when the first event happens.
var Start = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// Sender is the EVM account that pays.
var Sender = append(make([]byte, 19), 0xee)

// Signed wraps a document with an empty signature.
func Signed(t testing.TB, d canon.Document) canon.Signed {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: make([]byte, 64)}
}

// Request returns the request of that id, for 1,000 base units of the chain's coin.
func Request(chain canon.ChainID, id string) canon.Request {
	r := canon.Request{
		Organisation: Organisation, Requester: canon.PublicKey{7}, Client: Client, Account: Account, RequestID: id, Chain: chain,
		FeeCap: canon.AmountOf(100), NotBefore: canon.TimeOf(Start), NotAfter: canon.TimeOf(Start.Add(time.Hour)),
	}
	r.Wallet, r.Outputs = BTCWallet, []canon.Output{{Address: append([]byte{0, 20}, make([]byte, 20)...), Asset: BTC, Amount: canon.AmountOf(1000)}}
	if chain == EVM {
		r.Wallet, r.Outputs = EVMWallet, []canon.Output{{Address: make([]byte, 20), Asset: Ether, Amount: canon.AmountOf(1000)}}
	}
	return r
}

// New returns a new withdrawal for that request.
func New(t testing.TB, r canon.Request) withdrawal.Withdrawal {
	t.Helper()
	w, err := withdrawal.New(Organisation, Signed(t, r), Start, audit.ActorOf("client", r.Client))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Refusals are reasons to give.
var Refusals = []refusal.Failure{{Rule: "whitelist", Field: "outputs[0].address", Expected: "an address in the book", Found: "another"}}

// Event returns an event of that kind with what it must bring, such that the withdrawal takes it wherever its state allows one.
func Event(t testing.TB, w withdrawal.Withdrawal, k withdrawal.Kind) withdrawal.Event {
	t.Helper()
	e := withdrawal.Event{Kind: k, Time: Start.Add(time.Duration(w.Version) * time.Second), Actor: audit.Coordinator}
	switch k {
	case withdrawal.EventDeny, withdrawal.EventHold, withdrawal.EventRefuse, withdrawal.EventReject, withdrawal.EventFail:
		e.Refusals = Refusals
	case withdrawal.EventSubmit, withdrawal.EventAllow:
		intent(t, w, &e)
	case withdrawal.EventApproval:
		d := Signed(t, canon.Approval{Organisation: Organisation, Object: canon.ObjectIntent, Digest: w.IntentDigest, Decision: canon.Approve,
			Officer: numbered("officer", len(w.Approvals)), NotAfter: canon.TimeOf(Start.Add(time.Hour))})
		e.Approval = &d
	case withdrawal.EventStatement:
		d := Signed(t, canon.Statement{Organisation: Organisation, Officer: numbered("officer", len(w.Statements)),
			Serial: uint64(len(w.Statements)), Verb: canon.StateReject, Object: w.IntentDigest})
		e.Statement = &d
	case withdrawal.EventPrepare:
		e.Prepared = Prepared(t, w, AnchorFor(w))
	case withdrawal.EventAck:
		name := numbered("node", len(w.Acks))
		e.Ack = &withdrawal.Ack{Signer: name, Signed: Signed(t, canon.Ack{Organisation: Organisation, Reservation: w.Rid, Signer: name,
			Length: 1, Incarnation: 1})}
	case withdrawal.EventCertify:
		c := canon.Certificate{Organisation: Organisation, Acks: []canon.Signed{}}
		if w.Prepared != nil {
			c.Reservation = w.Prepared.Reservation
		}
		e.Certificate = Signed(t, c).Document
	case withdrawal.EventCosign:
		e.Participants = []canon.Name{"vault-1"}
	case withdrawal.EventAttempt:
		e.Participants = []canon.Name{"node-1", "node-2"}
	case withdrawal.EventSign, withdrawal.EventReplace:
		e.Transaction = &withdrawal.Transaction{Raw: []byte(fmt.Sprint("signed ", w.ID, w.Version)), TxID: fmt.Sprint(w.Version), Fee: canon.AmountOf(10)}
	case withdrawal.EventInclude, withdrawal.EventConfirm, withdrawal.EventBurn:
		e.Block, e.Confirmations = &withdrawal.Block{Height: 100, Hash: [32]byte{1, byte(w.Version)}}, 1
	}
	return e
}

func numbered(what string, n int) canon.Name { return canon.Name(fmt.Sprintf("%s-%d", what, n+1)) }

func intent(t testing.TB, w withdrawal.Withdrawal, e *withdrawal.Event) {
	t.Helper()
	i := canon.Intent{Organisation: Organisation, Withdrawal: w.ID, Request: w.Request, Rule: "small", CharterNumber: 1, Charter: Organisation,
		Mode: canon.Template, FeeCap: canon.AmountOf(100), NotAfter: canon.TimeOf(Start.Add(time.Hour))}
	if e.Kind == withdrawal.EventSubmit {
		i.Quorum = canon.Quorum{AnyOf: [][]canon.Part{{{Group: "treasury", Count: 2}}}}
	}
	e.Intent, e.Rule = Signed(t, i).Document, i.Rule
	coin := BTC
	if w.Chain == EVM {
		coin = Ether
	}
	e.SetAside = []withdrawal.SetAside{{Asset: coin, Amount: canon.AmountOf(1100)}}
}

// AnchorFor returns the withdrawal's own anchor, or one that no other withdrawal has.
func AnchorFor(w withdrawal.Withdrawal) canon.Anchor {
	switch {
	case w.Anchor != nil:
		return *w.Anchor
	case w.Chain == EVM:
		return canon.Anchor{Chain: EVM, Account: Sender, Number: uint64(binary.BigEndian.Uint32(w.ID[:]))}
	}
	return canon.Anchor{Chain: Bitcoin, Account: w.ID[:], Number: 0}
}

// Prepared returns the next version of the withdrawal's transaction, with that anchor and further inputs.
func Prepared(t testing.TB, w withdrawal.Withdrawal, anchor canon.Anchor, more ...canon.Anchor) *withdrawal.Prepared {
	t.Helper()
	version := uint64(len(w.Earlier)) + 1
	if w.Prepared != nil {
		version++
	}
	unsigned := []byte(fmt.Sprint("unsigned ", w.ID, " version ", version))
	r := canon.Reservation{Organisation: Organisation, Withdrawal: w.ID, Version: version, Intent: w.IntentDigest, Sort: canon.Write,
		Transactions: []canon.Digest{canon.TransactionDigest(unsigned)}, Wallet: w.Wallet, Asset: BTC, Charges: []canon.Charge{},
		Anchor: anchor, AnchorNumber: 1, Inputs: append([]canon.Anchor{anchor}, more...), Stamp: canon.TimeOf(Start),
		Until: canon.TimeOf(Start.Add(time.Minute)), CharterNumber: 1, Charter: Organisation, Key: "main", KeyEpoch: 1}
	return &withdrawal.Prepared{Unsigned: unsigned, Reservation: Signed(t, r).Document, Previous: [][]byte{{1, 2, 3}},
		Inputs: []canon.OwnPath{{Account: w.Account}}, Fee: canon.AmountOf(10)}
}

// Paths lists, for each state, kinds of event that lead to it from the request. Events that end a withdrawal with an anchor carry no
// fate, so these paths run through burning.
var Paths = map[withdrawal.State][]withdrawal.Kind{
	withdrawal.Requested:        {},
	withdrawal.Denied:           {withdrawal.EventDeny},
	withdrawal.Held:             {withdrawal.EventHold},
	withdrawal.AwaitingApproval: {withdrawal.EventSubmit},
	withdrawal.Rejected:         {withdrawal.EventSubmit, withdrawal.EventReject},
	withdrawal.Expired:          {withdrawal.EventSubmit, withdrawal.EventExpire},
	withdrawal.Approved:         {withdrawal.EventSubmit, withdrawal.EventApproval, withdrawal.EventApprove},
	withdrawal.Reserved:         {withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventAck, withdrawal.EventCertify},
	withdrawal.Exported:         {withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventCertify, withdrawal.EventExport},
	withdrawal.Signing:          {withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventCertify, withdrawal.EventAttempt},
	withdrawal.Signed:           toSigned,
	withdrawal.Broadcast:        append(toSigned[:len(toSigned):len(toSigned)], withdrawal.EventBroadcast),
	withdrawal.Replaced:         append(toSigned[:len(toSigned):len(toSigned)], withdrawal.EventBroadcast, withdrawal.EventReplace),
	withdrawal.Confirmed:        append(toSigned[:len(toSigned):len(toSigned)], withdrawal.EventBroadcast, withdrawal.EventInclude, withdrawal.EventConfirm),
	withdrawal.Closed: append(toSigned[:len(toSigned):len(toSigned)], withdrawal.EventBroadcast, withdrawal.EventConfirm,
		withdrawal.EventClose),
	withdrawal.Failed:  {withdrawal.EventFail},
	withdrawal.Burning: {withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventExpire},
	withdrawal.Burnt:   {withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventExpire, withdrawal.EventBurn},
}

var toSigned = []withdrawal.Kind{withdrawal.EventAllow, withdrawal.EventPrepare, withdrawal.EventCertify, withdrawal.EventAttempt, withdrawal.EventSign}
