package guard

import (
	"crypto/ed25519"
	"fmt"
	"reflect"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// CheckReservation compares a reservation with what the guard worked out, field by field. Stamp and until are held against the view's
// clock, the charter's clock skew and the rule's signing time: a stamp in the past only widens the time in which the reservation counts,
// one in the future would narrow it. Last comes the rule's delay: if OnlyDelayed says of the refusal that everything else is in order, a signer
// that has not seen the intent before records that it has now. The error is a *refusal.Refusal.
func (s *Signable) CheckReservation(r canon.Reservation, v View) error {
	var l refusal.List
	compare := func(field string, want, got any) {
		if !reflect.DeepEqual(want, got) {
			l.Add("reservation", "reservation."+field, orNone(want), orNone(got))
		}
	}
	compare("organisation", v.Charter.Organisation(), r.Organisation)
	compare("withdrawal", s.intent.Withdrawal, r.Withdrawal)
	compare("intent", s.intentID, r.Intent)
	compare("sort", canon.Write, r.Sort)
	compare("transactions", []canon.Digest{s.transaction}, r.Transactions)
	compare("wallet", s.request.Wallet, r.Wallet)
	compare("asset", s.Asset(), r.Asset)
	compare("anchor", s.anchor, r.Anchor)
	compare("anchor_number", uint64(1), r.AnchorNumber)
	compare("inputs", s.inputs, r.Inputs)
	compare("charter_number", v.Charter.Number(), r.CharterNumber)
	compare("charter", v.Charter.Digest(), r.Charter)
	compare("key", s.key.ID, r.Key)
	compare("key_epoch", s.key.Epoch, r.KeyEpoch)
	s.compareCharges(&l, r.Charges)
	s.checkTimes(&l, r, v)
	s.checkDelay(&l, v)
	return l.Err()
}

// orNone returns a value in words; names may be empty, the key's where tokens alone sign.
func orNone(v any) string {
	if text := fmt.Sprint(v); text != "" {
		return text
	}
	return "none"
}

// RuleDelay names the check of a rule's delay in refusals.
const RuleDelay = "delay"

// checkDelay asks whether the rule's delay has passed since this signer first saw the intent with everything in order.
func (s *Signable) checkDelay(l *refusal.List, v View) {
	if s.delay == 0 {
		return
	}
	now, found := canon.TimeOf(v.Now), "not seen before"
	since := now
	if v.FirstSeen != nil {
		if t, seen := v.FirstSeen(s.intentID); seen {
			since, found = t, "seen since "+t.At().String()
		}
	}
	until := uint64(since) + s.delay
	if until < s.delay { // only a charter that nobody linted gets here
		until = 0
	}
	if until == 0 || uint64(now) < until {
		l.AddUntil(until, RuleDelay, "intent", fmt.Sprintf("an intent that this signer has seen for %d seconds", s.delay), found)
	}
}

// OnlyDelayed reports whether err is a refusal by nothing but a rule's delay.
func OnlyDelayed(err error) bool {
	r := refusal.Of(err)
	return r != nil && !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule != RuleDelay })
}

// Asset returns the asset of the first payment, for a contract call the chain's coin, by which reservations are listed.
func (s *Signable) Asset() canon.AssetID { return s.asset }

func (s *Signable) compareCharges(l *refusal.List, got []canon.Charge) {
	if len(got) != len(s.charges) {
		l.Add("reservation", "reservation.charges", fmt.Sprintf("%d charges", len(s.charges)), fmt.Sprint(len(got)))
		return
	}
	for i, want := range s.charges {
		if want.Limit != got[i].Limit || want.Counter != got[i].Counter || want.Amount.Int().Cmp(got[i].Amount.Int()) != 0 {
			l.Add("reservation", fmt.Sprintf("reservation.charges[%d]", i), chargeText(want), chargeText(got[i]))
		}
	}
}

func chargeText(c canon.Charge) string {
	if c.Counter == "" {
		return fmt.Sprintf("%s %s", c.Limit, c.Amount)
	}
	return fmt.Sprintf("%s %s of %q", c.Limit, c.Amount, c.Counter)
}

func (s *Signable) checkTimes(l *refusal.List, r canon.Reservation, v View) {
	now, skew := canon.TimeOf(v.Now), canon.Time(v.Charter.Genesis().Delays.ClockSkew)
	if r.Stamp > now+skew {
		l.Add("expiry", "reservation.stamp", fmt.Sprintf("at most %s", (now+skew).At()), r.Stamp.At().String())
	}
	if r.Until < now {
		l.Add("expiry", "reservation.until", fmt.Sprintf("at least %s", now.At()), r.Until.At().String())
	}
	if r.Until > s.notAfter {
		l.Add("expiry", "reservation.until", fmt.Sprintf("at most %s, the end of intent and approvals", s.notAfter.At()), r.Until.At().String())
	}
	if uint64(r.Until-r.Stamp) > s.window {
		l.Add("expiry", "reservation.until", fmt.Sprintf("at most %d seconds after stamp", s.window), fmt.Sprintf("%d", r.Until-r.Stamp))
	}
}

// CheckCertificate verifies the encoding of canon.Certificate: acks of q distinct members of the roster over one reservation, each signed
// by the member's identity. One bad ack refuses the whole. It returns the reservation, its rid and the members. The error is a
// *refusal.Refusal.
func CheckCertificate(certificate []byte, v View) (*canon.Reservation, canon.Digest, []canon.Name, error) {
	var none canon.Digest
	var cert canon.Certificate
	var r canon.Reservation
	if err := canon.Decode(certificate, &cert); err != nil {
		return nil, none, nil, refusal.New("encoding", "certificate", "a canonical document", err.Error())
	}
	if err := canon.Decode(cert.Reservation, &r); err != nil {
		return nil, none, nil, refusal.New("encoding", "certificate.reservation", "a canonical document", err.Error())
	}
	var l refusal.List
	org := v.Charter.Organisation()
	if cert.Organisation != org || r.Organisation != org {
		l.Add("organisation", "certificate.organisation", org.String(), cert.Organisation.String())
	}
	rid := canon.KindReservation.Digest(cert.Reservation)
	seen := map[canon.Name]bool{}
	var members []canon.Name
	for i, signed := range cert.Acks {
		name, err := checkAck(fmt.Sprintf("certificate.acks[%d]", i), signed, rid, v)
		if err != nil {
			l.Join("certificate", "certificate.acks", err)
			continue
		}
		if seen[name] {
			l.Add("certificate", fmt.Sprintf("certificate.acks[%d].signer", i), "distinct signers", string(name)+" twice")
			continue
		}
		seen[name] = true
		members = append(members, name)
	}
	if q := v.Charter.Genesis().Roster.Quorum; uint64(len(members)) < q {
		l.Add("certificate", "certificate.acks", fmt.Sprintf("acks of %d distinct signers", q), fmt.Sprint(len(members)))
	}
	if err := l.Err(); err != nil {
		return nil, none, nil, err
	}
	return &r, rid, members, nil
}

// CheckAck verifies one ack of a reservation and returns the member of the roster that signed it. It reads the view's charter only.
func CheckAck(signed canon.Signed, rid canon.Digest, v View) (canon.Name, error) {
	return checkAck("ack", signed, rid, v)
}

// checkAck is CheckAck with what refusals call the ack.
func checkAck(field string, signed canon.Signed, rid canon.Digest, v View) (canon.Name, error) {
	var ack canon.Ack
	if err := canon.Decode(signed.Document, &ack); err != nil {
		return "", refusal.New("encoding", field, "a canonical document", err.Error())
	}
	signer, ok := v.Charter.Signer(ack.Signer)
	if !ok || !signer.Ledger {
		return "", refusal.New("certificate", field+".signer", "a member of the roster", string(ack.Signer))
	}
	if ack.Organisation != v.Charter.Organisation() {
		return "", refusal.New("organisation", field+".organisation", v.Charter.Organisation().String(), ack.Organisation.String())
	}
	if ack.Reservation != rid {
		return "", refusal.New("certificate", field+".reservation", rid.String(), ack.Reservation.String())
	}
	if signed.Scheme != canon.Ed25519 || !ed25519.Verify(signer.Identity[:], canon.KindAck.Message(signed.Document), signed.Signature) {
		return "", refusal.New("certificate", field+".signature", "a signature of "+string(ack.Signer), "another")
	}
	return ack.Signer, nil
}
