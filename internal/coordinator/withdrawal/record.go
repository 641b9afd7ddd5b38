package withdrawal

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Bounds that no honest withdrawal meets; they keep a row from growing without end.
const (
	maxDecisions   = 256 // approvals, and statements
	maxAcks        = 64
	maxVersions    = 16
	maxTransaction = 1 << 20 // bytes
)

func recordIntent(w *Withdrawal, e Event) error {
	var i canon.Intent
	if err := canon.Decode(e.Intent, &i); err != nil {
		return err
	}
	if i.Withdrawal != w.ID {
		return fmt.Errorf("intent: withdrawal: expected %s, found %s", w.ID, i.Withdrawal)
	}
	if !bytes.Equal(i.Request.Document, w.Request.Document) {
		return errors.New("intent: request: expected the request of this withdrawal, found another")
	}
	if i.Rule != e.Rule {
		return fmt.Errorf("intent: rule: expected %s, found %s", e.Rule, i.Rule)
	}
	if needs := len(i.Quorum.AnyOf) > 0; needs != (e.Kind == EventSubmit) {
		return fmt.Errorf("intent: quorum: expected one for submit and none for allow, found %d alternatives", len(i.Quorum.AnyOf))
	}
	if err := checkExact(i, e.Exact); err != nil {
		return err
	}
	for n, s := range e.SetAside {
		if s.Asset.Check() != nil || s.Amount.Check() != nil {
			return fmt.Errorf("set_aside[%d]: expected an asset and an amount, found %.80q and %d bytes", n, string(s.Asset), len(s.Amount))
		}
	}
	w.Intent, w.IntentDigest, w.Rule, w.NotAfter = bytes.Clone(e.Intent), i.Kind().Digest(e.Intent), i.Rule, i.NotAfter
	w.Addresses, w.SetAside, w.Refusals = slices.Clone(e.Addresses), slices.Clone(e.SetAside), nil
	if e.Exact != nil {
		x := *e.Exact
		w.Exact = &x
	}
	for n := range w.SetAside {
		w.SetAside[n].Balance = nil
	}
	return nil
}

// checkExact asks for the very transaction that an exact intent names, and for none with a template.
func checkExact(i canon.Intent, x *Exact) error {
	if (i.Mode == canon.Exact) != (x != nil) {
		return fmt.Errorf("exact: expected a transaction with an exact intent and none with a template, found mode %d", i.Mode)
	}
	if x == nil {
		return nil
	}
	if len(x.Unsigned) == 0 || len(x.Unsigned) > maxTransaction {
		return fmt.Errorf("exact: transaction: expected 1 to %d bytes, found %d", maxTransaction, len(x.Unsigned))
	}
	if d := canon.TransactionDigest(x.Unsigned); !slices.Equal(i.Transactions, []canon.Digest{d}) {
		return fmt.Errorf("exact: transaction: expected the one that the intent names, found %s", d)
	}
	if !slices.Equal(i.Inputs, x.Inputs) || !slices.Equal(i.Change, x.Change) {
		return errors.New("exact: inputs, change: expected those of the intent, found others")
	}
	return nil
}

func recordApproval(w *Withdrawal, e Event) error {
	if e.Approval == nil {
		return errors.New("approval: expected one, found none")
	}
	var a canon.Approval
	if err := decodeSigned(*e.Approval, &a); err != nil {
		return err
	}
	if a.Object != canon.ObjectIntent || a.Digest != w.IntentDigest {
		return fmt.Errorf("approval: object: expected intent %s, found object %d, %s", w.IntentDigest, a.Object, a.Digest)
	}
	var err error
	w.Approvals, err = include("approval", w.Approvals, *e.Approval)
	return err
}

func recordStatement(w *Withdrawal, e Event) error {
	if e.Statement == nil {
		return errors.New("statement: expected one, found none")
	}
	var s canon.Statement
	if err := decodeSigned(*e.Statement, &s); err != nil {
		return err
	}
	if s.Object != w.IntentDigest && s.Object != w.ID {
		return fmt.Errorf("statement: object: expected intent %s or withdrawal %s, found %s", w.IntentDigest, w.ID, s.Object)
	}
	var err error
	w.Statements, err = include("statement", w.Statements, *e.Statement)
	return err
}

func decodeSigned(s canon.Signed, d canon.Document) error {
	if err := s.Check(); err != nil {
		return err
	}
	return canon.Decode(s.Document, d)
}

// HasDocument reports whether one of the signed documents is this one, whatever its signature.
func HasDocument(list []canon.Signed, document []byte) bool {
	return slices.ContainsFunc(list, func(s canon.Signed) bool { return bytes.Equal(s.Document, document) })
}

// include adds s to a copy of list.
func include(what string, list []canon.Signed, s canon.Signed) ([]canon.Signed, error) {
	if HasDocument(list, s.Document) {
		return nil, fmt.Errorf("%s: expected a new one, found one that is here already", what)
	}
	if len(list) >= maxDecisions {
		return nil, fmt.Errorf("%s: expected at most %d, found one more", what, maxDecisions)
	}
	return append(slices.Clone(list), s), nil
}

func recordPrepared(w *Withdrawal, e Event) error {
	if e.Prepared == nil {
		return errors.New("prepared: expected a transaction, found none")
	}
	r, err := checkReservation(*w, *e.Prepared)
	if err != nil {
		return err
	}
	if w.Prepared != nil {
		if w.Anchor == nil || !sameAnchor(*w.Anchor, r.Anchor) {
			return errors.New("reservation: anchor: expected that of the version before, found another")
		}
		if len(w.Earlier) >= maxVersions {
			return fmt.Errorf("reservation: expected at most %d versions, found one more", maxVersions)
		}
		w.Earlier = append(slices.Clone(w.Earlier), *w.Prepared)
	}
	p := *e.Prepared
	w.Prepared, w.Rid = &p, r.Kind().Digest(p.Reservation)
	w.Anchor, w.Coins = &r.Anchor, union(w.Coins, r.Inputs)
	w.Acks, w.Certificate, w.Refusals = nil, nil, nil
	w.Cosigns, w.Attempt, w.Participants = nil, 0, nil
	return nil
}

// checkReservation decodes the reservation of p and checks that it is about this withdrawal and this transaction.
func checkReservation(w Withdrawal, p Prepared) (canon.Reservation, error) {
	var r canon.Reservation
	if err := canon.Decode(p.Reservation, &r); err != nil {
		return r, err
	}
	if len(p.Unsigned) == 0 || len(p.Unsigned) > maxTransaction {
		return r, fmt.Errorf("transaction: expected 1 to %d bytes, found %d", maxTransaction, len(p.Unsigned))
	}
	if w.Exact != nil && !bytes.Equal(p.Unsigned, w.Exact.Unsigned) {
		return r, fmt.Errorf("transaction: expected the one that the intent fixed, found %s", canon.TransactionDigest(p.Unsigned))
	}
	if r.Withdrawal != w.ID || r.Intent != w.IntentDigest {
		return r, fmt.Errorf("reservation: expected withdrawal %s and intent %s, found %s and %s", w.ID, w.IntentDigest, r.Withdrawal, r.Intent)
	}
	if want := uint64(len(w.Earlier)) + 1 + btou(w.Prepared != nil); r.Version != want {
		return r, fmt.Errorf("reservation: version: expected %d, found %d", want, r.Version)
	}
	if !slices.Contains(r.Transactions, canon.TransactionDigest(p.Unsigned)) {
		return r, fmt.Errorf("reservation: transactions: expected %s, found others", canon.TransactionDigest(p.Unsigned))
	}
	if r.Anchor.Chain != w.Chain || !slices.ContainsFunc(r.Inputs, func(a canon.Anchor) bool { return sameAnchor(a, r.Anchor) }) {
		return r, fmt.Errorf("reservation: anchor: expected one of the inputs on chain %s, found %s", w.Chain, AnchorText(r.Anchor))
	}
	return r, nil
}

func btou(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func sameAnchor(a, b canon.Anchor) bool {
	return a.Chain == b.Chain && a.Number == b.Number && bytes.Equal(a.Account, b.Account)
}

// AnchorText returns an anchor for errors and logs: chain, account in hexadecimal, number.
func AnchorText(a canon.Anchor) string { return fmt.Sprintf("%s/%x/%d", a.Chain, a.Account, a.Number) }

func union(have, more []canon.Anchor) []canon.Anchor {
	out := slices.Clone(have)
	for _, a := range more {
		if !slices.ContainsFunc(out, func(b canon.Anchor) bool { return sameAnchor(a, b) }) {
			out = append(out, a)
		}
	}
	return out
}

func recordAck(w *Withdrawal, e Event) error {
	if e.Ack == nil {
		return errors.New("ack: expected one, found none")
	}
	var a canon.Ack
	if err := decodeSigned(e.Ack.Signed, &a); err != nil {
		return err
	}
	if w.Prepared == nil || a.Reservation != w.Rid || a.Signer != e.Ack.Signer {
		return fmt.Errorf("ack: expected reservation %s by %s, found %s by %s", w.Rid, e.Ack.Signer, a.Reservation, a.Signer)
	}
	if slices.ContainsFunc(w.Acks, func(b Ack) bool { return b.Signer == a.Signer }) {
		return fmt.Errorf("ack: expected a signer that has not acked, found %s again", a.Signer)
	}
	if len(w.Acks) >= maxAcks {
		return fmt.Errorf("ack: expected at most %d, found one more", maxAcks)
	}
	w.Acks = append(slices.Clone(w.Acks), *e.Ack)
	return nil
}

func recordCertificate(w *Withdrawal, e Event) error {
	var c canon.Certificate
	if err := canon.Decode(e.Certificate, &c); err != nil {
		return err
	}
	if w.Prepared == nil || !bytes.Equal(c.Reservation, w.Prepared.Reservation) {
		return fmt.Errorf("certificate: expected one over reservation %s, found another", w.Rid)
	}
	w.Certificate, w.Refusals = bytes.Clone(e.Certificate), nil
	return nil
}

// recordCosign counts one more question to each of the devices.
func recordCosign(w *Withdrawal, e Event) error {
	if len(e.Participants) == 0 || len(e.Participants) > canon.MaxDevices {
		return fmt.Errorf("participants: expected 1 to %d, found %d", canon.MaxDevices, len(e.Participants))
	}
	cosigns := slices.Clone(w.Cosigns)
	for i := range cosigns {
		cosigns[i].Latest = false
	}
	for n, name := range e.Participants {
		if slices.Contains(e.Participants[:n], name) {
			return fmt.Errorf("participants: expected distinct signers, found %s twice", name)
		}
		i := slices.IndexFunc(cosigns, func(c Cosign) bool { return c.Signer == name })
		if i < 0 {
			i, cosigns = len(cosigns), append(cosigns, Cosign{Signer: name})
		}
		cosigns[i].Attempt++
		cosigns[i].Latest = true
	}
	w.Cosigns = cosigns
	w.Refusals = slices.DeleteFunc(slices.Clone(w.Refusals), func(f refusal.Failure) bool { return f.Rule == RuleDevice })
	return nil
}

func recordAttempt(w *Withdrawal, e Event) error {
	if len(e.Participants) == 0 || len(e.Participants) > maxAcks {
		return fmt.Errorf("participants: expected 1 to %d, found %d", maxAcks, len(e.Participants))
	}
	w.Attempt, w.Participants = w.Attempt+1, slices.Clone(e.Participants)
	return nil
}

func recordTransaction(w *Withdrawal, e Event) error {
	if e.Transaction == nil || e.Transaction.TxID == "" {
		return errors.New("transaction: expected one with its id, found none")
	}
	if n := len(e.Transaction.Raw); n == 0 || n > maxTransaction {
		return fmt.Errorf("transaction: expected 1 to %d bytes, found %d", maxTransaction, n)
	}
	if w.Transaction != nil {
		if len(w.Replaced) >= maxVersions {
			return fmt.Errorf("transaction: expected at most %d versions, found one more", maxVersions)
		}
		w.Replaced = append(slices.Clone(w.Replaced), *w.Transaction)
	}
	t := *e.Transaction
	w.Transaction, w.Refusals = &t, nil
	return nil
}

func recordBlock(w *Withdrawal, e Event) error {
	if e.Block == nil || e.Block.Hash == ([32]byte{}) || e.Confirmations == 0 {
		return errors.New("block, confirmations: expected a block with at least 1 confirmation, found none")
	}
	b := *e.Block
	w.Block, w.Confirmations = &b, e.Confirmations
	if len(e.Fee) > 0 && w.Transaction != nil {
		t := *w.Transaction
		t.Fee = e.Fee
		w.Transaction = &t
	}
	if e.Kind != EventBurn && e.Kind != EventFail {
		w.Refusals = nil
	}
	return nil
}
