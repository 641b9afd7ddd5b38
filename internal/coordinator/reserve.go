package coordinator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// round is what came of asking signers for a reservation once.
type round struct {
	refusals []refusal.Failure
	refused  int // signers that answered no
	mendable int // of those, signers that go by another charter, or lack a pool of keys that it names
	silent   []error
}

// stepReserve asks the roster for acks until there are q, and stores each as it comes. The question is the stored one, byte for byte, so
// that asking again after a crash gets the same acks.
func (s *Service) stepReserve(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	if over, err := s.ended(ctx, w); over || err != nil {
		return over, turn{stuck: true}, err
	}
	c := s.charter()
	if old, err := outdated(w, c); err != nil || old {
		if err != nil {
			return false, turn{}, err
		}
		return s.renew(ctx, w)
	}
	quorum := int(c.Genesis().Roster.Quorum)
	if len(w.Acks) >= quorum {
		return s.certify(ctx, c, w, quorum)
	}
	lapsed, err := s.lapsed(w)
	if err != nil {
		return false, turn{}, err
	}
	if t, waits := s.mustWait(w, quorum, lapsed); waits {
		return false, t, nil
	}
	if lapsed {
		return s.renew(ctx, w)
	}
	if err := s.unpayable(ctx, c, w); err != nil {
		return false, turn{stuck: true}, err
	}
	before := len(w.Acks)
	w, r, err := s.askInTurn(ctx, c, w, quorum)
	if err != nil {
		return false, turn{stuck: true}, err
	}
	if len(w.Acks) >= quorum {
		return true, turn{}, nil
	}
	return s.shortOfAcks(ctx, w, r, quorum, len(w.Acks) > before)
}

// askInTurn asks for acks, and once more if a signer refused because of the address book and there are other proofs by now. Only once:
// whoever names another version every time could otherwise keep this service asking.
func (s *Service) askInTurn(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, quorum int) (withdrawal.Withdrawal, round, error) {
	before, err := s.evidence(w)
	if err != nil {
		return w, round{}, err
	}
	w, r, err := s.askReservation(ctx, w, quorum)
	if err != nil || len(w.Acks) >= quorum || !slices.ContainsFunc(r.refusals, aboutBook) {
		return w, r, err
	}
	s.learnBooks(ctx)
	if err := s.unpayable(ctx, c, w); err != nil {
		return w, r, err
	}
	after, err := s.evidence(w)
	if err != nil || bytes.Equal(before, after) {
		return w, r, err
	}
	return s.askReservation(ctx, w, quorum)
}

// unpayable says why no signer needs to be asked yet: an address is not payable yet, or the entries that signers ask for are not here.
// What they refuse for good is theirs to refuse, for they say then what they hold; they are told first what was taken out of the book.
func (s *Service) unpayable(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal) error {
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return err
	}
	_, err := s.payable(c, r)
	if refusal.Of(err) != nil {
		s.learnBooks(ctx)
		return nil
	}
	return err
}

// shortOfAcks decides what follows when a round did not bring q acks. What is not refused may come later. Once too many have refused
// and all have answered, nothing will: the withdrawal fails, and its anchor is free only if nobody acked. Signers that go by another
// charter refuse what they may ack once they, or this service, have followed, and those that lack a pool once its file is there.
func (s *Service) shortOfAcks(ctx context.Context, w withdrawal.Withdrawal, r round, quorum int, progress bool) (bool, turn, error) {
	n := len(s.roster())
	if r.refused > 0 && s.learnCharters(ctx) {
		return false, turn{}, errMoved
	}
	after := w
	after.Refusals = r.refusals
	if t, waits := s.mustWait(after, quorum, false); waits {
		w, err := s.noted(ctx, w, r.refusals)
		if err != nil {
			return false, turn{}, err
		}
		s.Log.Info("withdrawal waits for its signers' time", "withdrawal", w.ID.String(), "acks", len(w.Acks))
		return false, t, nil
	}
	if n-r.refused >= quorum || len(r.silent) > 0 || r.mendable > 0 {
		w, err := s.noted(ctx, w, r.refusals)
		if err != nil {
			return false, turn{}, err
		}
		err = fmt.Errorf("reservation: expected %d acks, found %d and %d refusals: %w", quorum, len(w.Acks), r.refused, errors.Join(r.silent...))
		return false, turn{stuck: !progress}, err
	}
	if lapsed, err := s.lapsed(w); err != nil || lapsed {
		return err == nil, turn{}, err // while they were asked: another version may do
	}
	event := withdrawal.Event{Kind: withdrawal.EventFail, Refusals: r.refusals}
	if len(w.Acks) == 0 && len(w.Earlier) == 0 {
		event.Fate = withdrawal.FateFree
	}
	_, err := s.apply(ctx, w, event)
	return err == nil, turn{}, err
}

// noted writes refusals into the row, unless they are there.
func (s *Service) noted(ctx context.Context, w withdrawal.Withdrawal, refusals []refusal.Failure) (withdrawal.Withdrawal, error) {
	if len(refusals) == 0 || sameFailures(refusals, w.Refusals) {
		return w, nil
	}
	return s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventRefuse, Refusals: refusals})
}

// opens reports whether a second lies ahead and before the intent's end: it is worth waiting for.
func (s *Service) opens(until uint64, w withdrawal.Withdrawal) bool {
	return until > uint64(s.now()) && until <= uint64(w.NotAfter)
}

// waitsUntil notes in the row what it waits for and looks again then.
func (s *Service) waitsUntil(ctx context.Context, w withdrawal.Withdrawal, why []refusal.Failure, until canon.Time) (turn, error) {
	_, err := s.noted(ctx, w, why)
	return turn{after: s.until(until), stuck: true}, err
}

// askUnheard is how often signers are asked that said nothing yet, while others let it wait: their time counts from when they were first asked.
const askUnheard = 30 * time.Second

// mustWait reports whether a quorum can be had later and not now, since signers refused with a second from which on they will not, and when to look
// again. It goes by the refusals in the row, so that a restart changes nothing: while it waits no reservation is renewed, for versions are few.
func (s *Service) mustWait(w withdrawal.Withdrawal, quorum int, lapsed bool) (turn, bool) {
	refused, waiting := s.verdicts(w)
	unheard := len(s.roster()) - len(w.Acks) - refused - len(waiting)
	short := quorum - len(w.Acks) - unheard
	if short <= 0 || short > len(waiting) {
		return turn{}, false // more may be had now, or never
	}
	slices.Sort(waiting)
	after := s.until(canon.Time(waiting[short-1]))
	if unheard > 0 && !lapsed {
		after = min(after, askUnheard)
	}
	return turn{after: after, stuck: true}, true // also a signer that always says "in a second" is asked ever less often
}

// verdicts counts the signers whose refusals in the row stand, and returns the seconds at which those pass that will.
func (s *Service) verdicts(w withdrawal.Withdrawal) (refused int, waiting []uint64) {
	for _, name := range s.roster() {
		var own refusal.Refusal
		for _, f := range w.Refusals {
			if strings.HasPrefix(f.Rule, string(name)+": ") {
				own.Failures = append(own.Failures, f)
			}
		}
		acked := slices.ContainsFunc(w.Acks, func(a withdrawal.Ack) bool { return a.Signer == name })
		if len(own.Failures) == 0 || acked {
			continue
		}
		until, waits := own.Until()
		switch {
		case waits && until <= uint64(s.now()): // it may say otherwise now
		case waits && s.opens(until, w):
			waiting = append(waiting, until)
		default:
			refused++
		}
	}
	return refused, waiting
}

// sameFailures compares without regard to order.
func sameFailures(a, b []refusal.Failure) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(f refusal.Failure) bool { return !slices.Contains(b, f) })
}

// askReservation asks every member of the roster that has not acked, and stops when there are enough acks. It returns the row with
// the acks that came.
func (s *Service) askReservation(ctx context.Context, w withdrawal.Withdrawal, enough int) (withdrawal.Withdrawal, round, error) {
	var r round
	evidence, err := s.evidence(w)
	if err != nil {
		return w, r, err
	}
	var names []canon.Name
	for _, name := range s.roster() {
		if !slices.ContainsFunc(w.Acks, func(a withdrawal.Ack) bool { return a.Signer == name }) {
			names = append(names, name)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.showDevices(ctx, w, evidence)
	asked := w // w goes on while signers are asked
	request := &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.Prepared.Reservation}
	answers := ask(ctx, s.signers, names, reserveTimeout, func(ctx context.Context, signer Signer) (*strongroomv1.ReserveResponse, error) {
		return reserveFrom(ctx, signer.Client, asked, request)
	})
	for a := range answers {
		if a.err != nil {
			r.note(a.signer, a.err)
			continue
		}
		signed := fromSigned(a.value.GetAck())
		if err := s.checkAck(signed, w.Rid, a.signer); err != nil {
			r.silent = append(r.silent, fmt.Errorf("%s: %w", a.signer, err))
			continue
		}
		after, err := s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventAck, Ack: &withdrawal.Ack{Signer: a.signer, Signed: signed}})
		if err != nil {
			return w, r, err
		}
		if w = after; len(w.Acks) >= enough {
			break
		}
	}
	return w, r, nil
}

// note sorts an answer that is no ack: a refusal is a result, everything else may pass.
func (r *round) note(signer canon.Name, err error) {
	refused := refusal.Of(err)
	if refused == nil {
		r.silent = append(r.silent, fmt.Errorf("%s: %w", signer, err))
		return
	}
	r.refused++
	if slices.ContainsFunc(refused.Failures, aboutCharter) || slices.ContainsFunc(refused.Failures, aboutPool) {
		r.mendable++
	}
	for _, f := range refused.Failures {
		f.Rule = string(signer) + ": " + f.Rule
		r.refusals = append(r.refusals, f)
	}
	slices.SortFunc(r.refusals, func(a, b refusal.Failure) int { return slices.Compare([]byte(a.Rule+a.Field), []byte(b.Rule+b.Field)) })
}

// aboutCharter reports whether a signer refused because of the charter that it goes by.
func aboutCharter(f refusal.Failure) bool {
	return f.Rule == "charter" || f.Rule == "fork" || strings.HasSuffix(f.Field, ".charter") || strings.HasSuffix(f.Field, ".charter_number")
}

// aboutPool reports whether a signer refused because it cannot read a pool of keys; that a pool has no such key is about the index.
func aboutPool(f refusal.Failure) bool {
	return f.Rule == "pool" && (f.Field == "pool" || strings.HasSuffix(f.Field, ".pool"))
}

// aboutBook reports whether a signer refused because of the address book.
func aboutBook(f refusal.Failure) bool { return strings.HasSuffix(f.Rule, "whitelist") }

func (s *Service) checkAck(signed canon.Signed, rid canon.Digest, signer canon.Name) error {
	name, err := guard.CheckAck(signed, rid, guard.View{Charter: s.charter(), Now: s.Now()})
	if err != nil {
		return fmt.Errorf("ack: %w", errors.New(err.Error())) // a bad ack is no refusal of the withdrawal
	}
	if name != signer {
		return fmt.Errorf("ack: signer: expected %s, found %s", signer, name)
	}
	return nil
}

func (s *Service) evidence(w withdrawal.Withdrawal) ([]byte, error) {
	c := s.charter()
	e, err := s.proven(s.heeded(w, c)).Evidence(c.Organisation())
	if err != nil {
		return nil, err
	}
	return canon.Encode(e)
}

// certify stores the certificate of q acks.
func (s *Service) certify(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, quorum int) (bool, turn, error) {
	certificate := canon.Certificate{Organisation: c.Organisation(), Reservation: w.Prepared.Reservation}
	for _, a := range w.Acks[:quorum] {
		certificate.Acks = append(certificate.Acks, a.Signed)
	}
	encoded, err := canon.Encode(certificate)
	if err != nil {
		return false, turn{}, err
	}
	if _, _, _, err := guard.CheckCertificate(encoded, guard.View{Charter: c, Now: s.Now()}); err != nil {
		return false, turn{}, fmt.Errorf("certificate: %w", err)
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventCertify, Certificate: encoded})
	return err == nil, turn{}, err
}

// lapsed reports whether the reservation in hand is over: no share may leave any more.
func (s *Service) lapsed(w withdrawal.Withdrawal) (bool, error) {
	r, err := w.Reserving()
	return err == nil && s.now() > r.Until, err
}

// renew asks for the same transaction again under a new version of the reservation, and the charter in force: same anchor, same bytes, so whatever exists of the
// version before conflicts with nothing. It waits until enough signers and the devices can be reached, for versions are few.
func (s *Service) renew(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	quorum := int(s.charter().Genesis().Roster.Quorum)
	if found := len(s.signers.probe(ctx, s.roster(), s.keys.learn)); found < quorum {
		return false, turn{stuck: true}, fmt.Errorf("reservation: lapsed; expected %d reachable signers before a new one, found %d", quorum, found)
	}
	p, err := s.payment(w)
	if err != nil {
		return false, turn{}, err
	}
	if _, wait := s.readyDevices(ctx, p.wallet); wait != nil {
		return s.heldUp(ctx, w, wait, wait)
	}
	next := *w.Prepared
	if next.Reservation, err = s.reservation(ctx, p, next, uint64(len(w.Earlier))+2); err != nil {
		return s.notRenewed(ctx, w, p, err)
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventPrepare, Prepared: &next})
	var invalid *withdrawal.TransitionError
	if errors.As(err, &invalid) {
		return false, turn{after: s.until(w.NotAfter)}, nil // no version is left: it ends with the intent
	}
	return err == nil, turn{}, err
}

// notRenewed ends a withdrawal whose transaction the charter in force does not allow any more. What else keeps it may pass.
func (s *Service) notRenewed(ctx context.Context, w withdrawal.Withdrawal, p *payment, err error) (bool, turn, error) {
	r := refusal.Of(err)
	old, failed := outdated(w, p.charter)
	if failed != nil || r == nil || !old {
		return false, turn{stuck: true}, errors.Join(err, failed)
	}
	fate, err := s.fate(ctx, w)
	if err != nil {
		return false, turn{}, err
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventFail, Refusals: r.Failures, Fate: fate})
	return err == nil, turn{}, err
}

// fate says what is known about the anchor of a withdrawal that is about to end. It is free only if every member of the roster says
// now that it does not hold it; a member that does answers with its ack, which is stored.
func (s *Service) fate(ctx context.Context, w withdrawal.Withdrawal) (withdrawal.Fate, error) {
	if w.Prepared == nil || len(w.Acks) > 0 || w.Certificate != nil || len(w.Earlier) > 0 {
		return withdrawal.FateUnknown, nil
	}
	after, r, err := s.askReservation(ctx, w, 1)
	switch {
	case err != nil:
		return withdrawal.FateUnknown, err
	case len(after.Acks) > 0:
		return withdrawal.FateUnknown, errMoved
	case r.refused == len(s.roster()):
		return withdrawal.FateFree, nil
	}
	return withdrawal.FateUnknown, nil
}
