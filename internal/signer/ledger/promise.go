package ledger

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Promise is what a signer is asked to ack, after its guard has passed it.
type Promise struct {
	Reservation []byte       // encoding of canon.Reservation
	Intent      []byte       // encoding of the canon.Intent that the reservation names
	Evidence    canon.Digest // digest of the evidence
	StartNonce  uint64       // of the wallet's accounts, on EVM chains
}

// Ack returns the ack of a reservation that was promised before, or false. A promise without an answer, which a crash or a lost token leaves
// behind, is answered now and without another check: the anchor, the inputs and the charges have counted since it was recorded, a refusal
// would not free them, and would tell the coordinator that nothing is held here. What an officer said since is checked before anything is
// signed.
func (l *Ledger) Ack(rid canon.Digest, sign func(canon.Ack) (canon.Signed, error)) (canon.Signed, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.index.reservations[rid]
	if e == nil || !e.promised {
		return canon.Signed{}, false, nil
	}
	ack, err := l.answer(rid, e, sign)
	return ack, true, err
}

// Reserve records the promise and returns the signed ack; the same reservation gets the same bytes again. check is called under the lock
// before anything is written; sign makes the ack's signature and is called after the promise is durable. If the signer dies in between, the
// next call for the same reservation signs the very same ack.
// The error is a *refusal.Refusal where a rule stands against it.
func (l *Ledger) Reserve(p Promise, check func(*Index) error, sign func(canon.Ack) (canon.Signed, error)) (canon.Signed, error) {
	var doc canon.Reservation
	if err := canon.Decode(p.Reservation, &doc); err != nil {
		return canon.Signed{}, refusal.New("reservation", "reservation", "the encoding of a reservation", err.Error())
	}
	if found := canon.KindIntent.Digest(p.Intent); found != doc.Intent {
		return canon.Signed{}, refusal.New("reservation", "intent", found.String(), doc.Intent.String())
	}
	rid := canon.KindReservation.Digest(p.Reservation)
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.index.reservations[rid]
	if e == nil || !e.promised {
		if err := l.promise(p, rid, &doc, check); err != nil {
			return canon.Signed{}, err
		}
		e = l.index.reservations[rid]
	}
	return l.answer(rid, e, sign)
}

// answer returns the ack of a promise, and makes it if there is none. The lock is held.
func (l *Ledger) answer(rid canon.Digest, e *reservation, sign func(canon.Ack) (canon.Signed, error)) (canon.Signed, error) {
	if e.answer != nil {
		return *e.answer, nil
	}
	ack, err := sign(canon.Ack{
		Organisation: e.document.Organisation, Reservation: rid, Signer: l.index.signer,
		Length: e.length, Head: e.head, Incarnation: l.index.incarnation,
	})
	if err != nil {
		return canon.Signed{}, fmt.Errorf("ledger: sign ack: %w", err)
	}
	if err := l.append(kindAnswer, answerRecord{Reservation: rid, Ack: ack}); err != nil {
		return canon.Signed{}, err
	}
	return ack, nil
}

// promise checks the rules and writes the reservation. The lock is held.
func (l *Ledger) promise(p Promise, rid canon.Digest, doc *canon.Reservation, check func(*Index) error) error {
	if err := check(l.index); err != nil {
		return err
	}
	if err := l.index.mayReserve(rid, doc, p.StartNonce, l.limits); err != nil {
		return err
	}
	return l.append(kindReservation, reservationRecord{Reservation: p.Reservation, Intent: p.Intent, Evidence: p.Evidence})
}

// mayReserve collects every rule that stands against an ack.
func (x *Index) mayReserve(rid canon.Digest, doc *canon.Reservation, startNonce uint64, limits Limits) error {
	var failures refusal.List
	x.sameWithdrawal(doc, &failures)
	// What the withdrawal holds already by a certificate counts already.
	if w := x.withdrawals[doc.Withdrawal]; w != nil && w.count >= MaxReservations && x.reservations[rid] == nil {
		failures.Add("reservations", "withdrawal", fmt.Sprintf("at most %d reservations", MaxReservations), "one more")
	}
	x.free("anchor", doc.Anchor, doc.Withdrawal, &failures)
	for i, input := range doc.Inputs {
		x.free(fmt.Sprintf("inputs[%d]", i), input, doc.Withdrawal, &failures)
	}
	x.nonceGap(doc.Anchor, startNonce, &failures)
	failures.Join("limit", "charges", limits.Check(x.current(), doc, x.spends))
	return failures.Err()
}

// sameWithdrawal refuses another intent, another anchor, and another transaction under a version that is taken.
func (x *Index) sameWithdrawal(doc *canon.Reservation, failures *refusal.List) {
	if doc.AnchorNumber != 1 {
		failures.Add("one-anchor", "anchor_number", "1: anchors of a withdrawal do not change", fmt.Sprint(doc.AnchorNumber))
	}
	if !slices.ContainsFunc(doc.Inputs, func(a canon.Anchor) bool { return anchorKey(a) == anchorKey(doc.Anchor) }) {
		failures.Add("one-anchor", "inputs", "the anchor among them", fmt.Sprintf("%d others", len(doc.Inputs)))
	}
	w := x.withdrawals[doc.Withdrawal]
	if w == nil {
		return
	}
	if doc.Intent != w.intent {
		failures.Add("one-intent", "intent", w.intent.String(), doc.Intent.String())
	}
	if anchorKey(doc.Anchor) != anchorKey(w.anchor) {
		failures.Add("one-anchor", "anchor", anchorText(w.anchor), anchorText(doc.Anchor))
	}
	if known, ok := w.versions[doc.Version]; ok && !slices.Equal(known, doc.Transactions) {
		failures.Add("version", "transactions", fmt.Sprintf("those acked as version %d: %v", doc.Version, known), fmt.Sprint(doc.Transactions))
	}
}

// free refuses an anchor or input that another withdrawal holds.
func (x *Index) free(field string, a canon.Anchor, wid canon.Digest, failures *refusal.List) {
	if holder, held := x.holders[anchorKey(a)]; held && holder != wid {
		failures.Add("held", field, "one that no other withdrawal holds", anchorText(a)+" held by "+holder.String())
	}
}

// nonceGap refuses a nonce that many others come before: it could not be mined for as long, and would hold its charge and its place.
func (x *Index) nonceGap(a canon.Anchor, start uint64, failures *refusal.List) {
	if !isAccount(a) {
		return
	}
	from, what := start, "the start nonce"
	if highest, ok := x.nonces[accountKey(a)]; ok && highest > start {
		from, what = highest, "the highest held"
	}
	if a.Number > from && a.Number-from > MaxNonceGap {
		failures.Add("nonce-gap", "anchor.number", fmt.Sprintf("at most %d beyond %s, %d", MaxNonceGap, what, from), fmt.Sprint(a.Number))
	}
}

// Hold records a verified certificate over a reservation of this intent before the signer acts upon it, and with it the hold and the charge if
// there was none. It refuses a certificate for another intent or another anchor than this signer's record has for the withdrawal. Limits are not
// asked: q signers asked theirs.
func (l *Ledger) Hold(certificate, intent []byte) error {
	var c canon.Certificate
	if err := canon.Decode(certificate, &c); err != nil {
		return refusal.New("certificate", "certificate", "the encoding of a certificate", err.Error())
	}
	var doc canon.Reservation
	if err := canon.Decode(c.Reservation, &doc); err != nil {
		return refusal.New("certificate", "reservation", "the encoding of a reservation", err.Error())
	}
	if found := canon.KindIntent.Digest(intent); found != doc.Intent {
		return refusal.New("certificate", "intent", found.String(), doc.Intent.String())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.index.reservations[canon.KindReservation.Digest(c.Reservation)]; e != nil && e.certificate != nil {
		return nil
	}
	var failures refusal.List
	l.index.sameWithdrawal(&doc, &failures)
	if err := failures.Err(); err != nil {
		return err
	}
	return l.append(kindHold, holdRecord{Certificate: certificate, Intent: intent})
}

// Certificate returns the certificate that this signer acted upon for the reservation, or false.
func (l *Ledger) Certificate(rid canon.Digest) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.index.reservations[rid]
	if e == nil || e.certificate == nil {
		return nil, false
	}
	return slices.Clone(e.certificate), true
}
