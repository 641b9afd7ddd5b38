package withdrawal

import (
	"slices"

	"github.com/strongroom/strongroom/audit"
	"github.com/strongroom/strongroom/proto/canon"
)

// Kinds of what an event brings that has no type string elsewhere.
const (
	kindRefusals          = canon.Kind("strongroom/refusals/v1")
	kindSignedTransaction = canon.Kind("strongroom/signed-transaction/v1")
	kindBlock             = canon.Kind("strongroom/block/v1")
	kindOrigin            = canon.Kind("strongroom/origin/v1")
)

// RecordOf returns the audit record of the event that led from before to after. For the first event before is the zero Withdrawal.
func RecordOf(organisation canon.Digest, before, after Withdrawal, e Event) (audit.Record, error) {
	objects, err := objectsOf(after, e)
	if err != nil {
		return audit.Record{}, err
	}
	return audit.Record{
		Organisation: organisation, Time: canon.TimeOf(after.Updated), Actor: e.Actor, Withdrawal: after.ID,
		Event: string(e.Kind), Before: string(before.State), After: string(after.State), Objects: objects,
	}, nil
}

// objects collects digests of documents for a record.
type objects []audit.Object

func (o *objects) add(name string, k canon.Kind, b []byte) {
	if len(b) > 0 {
		*o = append(*o, audit.Object{Name: name, Digest: k.Digest(b)})
	}
}

func (o *objects) addPrepared(p Prepared) {
	*o = append(*o, audit.Object{Name: "transaction", Digest: canon.TransactionDigest(p.Unsigned)})
	o.add("reservation", canon.KindReservation, p.Reservation)
}

func (o *objects) addExact(x *Exact) {
	if x != nil {
		*o = append(*o, audit.Object{Name: "transaction", Digest: canon.TransactionDigest(x.Unsigned)})
	}
}

// sorted returns what was collected as a record lists it.
func (o *objects) sorted() []audit.Object {
	slices.SortFunc(*o, audit.CompareObjects)
	return slices.CompactFunc(*o, func(a, b audit.Object) bool { return a == b })
}

// objectsOf lists the documents that e brought.
func objectsOf(after Withdrawal, e Event) ([]audit.Object, error) {
	var list objects
	if e.Kind == EventRequest {
		list.add("request", canon.KindRequest, after.Request.Document)
		list.add("origin", kindOrigin, []byte(after.Origin))
	}
	list.add("intent", canon.KindIntent, e.Intent)
	list.addExact(e.Exact)
	if e.Approval != nil {
		list.add("approval", canon.KindApproval, e.Approval.Document)
	}
	if e.Statement != nil {
		list.add("statement", canon.KindStatement, e.Statement.Document)
	}
	if e.Prepared != nil {
		list.addPrepared(*e.Prepared)
	}
	if e.Ack != nil {
		list.add("ack", canon.KindAck, e.Ack.Signed.Document)
	}
	list.add("certificate", canon.KindCertificate, e.Certificate)
	if e.Transaction != nil {
		list.add("signed-transaction", kindSignedTransaction, e.Transaction.Raw)
	}
	if e.Block != nil {
		list.add("block", kindBlock, e.Block.Hash[:])
	}
	reasons, err := EncodeRefusals(e.Refusals)
	list.add("refusals", kindRefusals, reasons)
	return list.sorted(), err
}

// Objects lists the documents that w holds. Each of them was named in the audit record of some event of w, so a row that holds another
// was altered.
func Objects(w Withdrawal) []audit.Object {
	var list objects
	list.add("request", canon.KindRequest, w.Request.Document)
	list.add("origin", kindOrigin, []byte(w.Origin))
	list.add("intent", canon.KindIntent, w.Intent)
	list.addExact(w.Exact)
	for _, s := range w.Approvals {
		list.add("approval", canon.KindApproval, s.Document)
	}
	for _, s := range w.Statements {
		list.add("statement", canon.KindStatement, s.Document)
	}
	for _, p := range w.Earlier {
		list.addPrepared(p)
	}
	if w.Prepared != nil {
		list.addPrepared(*w.Prepared)
	}
	for _, a := range w.Acks {
		list.add("ack", canon.KindAck, a.Signed.Document)
	}
	list.add("certificate", canon.KindCertificate, w.Certificate)
	for _, t := range w.Replaced {
		list.add("signed-transaction", kindSignedTransaction, t.Raw)
	}
	if w.Transaction != nil {
		list.add("signed-transaction", kindSignedTransaction, w.Transaction.Raw)
	}
	if w.Block != nil {
		list.add("block", kindBlock, w.Block.Hash[:])
	}
	return list.sorted()
}

// RefusalsObject is how a record names reasons that EncodeRefusals wrote.
func RefusalsObject(encoded []byte) audit.Object {
	return audit.Object{Name: "refusals", Digest: kindRefusals.Digest(encoded)}
}
