package signer

import (
	"context"
	"encoding/hex"
	"errors"
	"log/slog"
	"slices"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// GetSignerStatus says which keys this signer has and where its ledger stands.
func (s *Signer) GetSignerStatus(ctx context.Context, _ *strongroomv1.GetSignerStatusRequest) (*strongroomv1.GetSignerStatusResponse, error) {
	if err := s.config.Ledger.Failed(); err != nil {
		return nil, s.noted(err)
	}
	state := s.config.Ledger.State()
	status := &strongroomv1.SignerStatus{
		Signer: string(s.config.Self), Reachable: true, Error: s.hindrance(), LedgerLength: state.Length, LedgerHead: hex.EncodeToString(state.Head[:]),
	}
	for _, k := range s.charter().Genesis().Keys {
		if st, ok := s.keyStatus(k.ID); ok {
			status.Keys = append(status.Keys, st)
			s.askedBy(ctx, k, st)
		}
	}
	freezes, err := s.freezes()
	if err != nil {
		return nil, err
	}
	devices, err := s.devices()
	if err != nil {
		return nil, err
	}
	return &strongroomv1.GetSignerStatusResponse{
		Status: status, ParametersReady: s.parameters.ready(), Freezes: freezes, Build: s.config.Build[:], Devices: devices,
	}, nil
}

// Reserve acks a reservation whose evidence the guard accepts, after it is recorded.
func (s *Signer) Reserve(ctx context.Context, r *strongroomv1.ReserveRequest) (*strongroomv1.ReserveResponse, error) {
	rid, evidence := canon.KindReservation.Digest(r.GetReservation()), canon.KindEvidence.Digest(r.GetEvidence())
	sign := func(a canon.Ack) (canon.Signed, error) { return s.sign(a) }
	if err := s.mayPromise(s.chain()); err != nil {
		return nil, err
	}
	// Before the evidence: a refusal of what was promised would read as if nothing were held here.
	if ack, ok, err := s.config.Ledger.Ack(rid, sign); ok || err != nil {
		if err != nil {
			return nil, s.noted(err)
		}
		return &strongroomv1.ReserveResponse{Ack: wireSigned(ack)}, nil
	}
	checked, err := s.examine(r.GetEvidence(), r.GetReservation(), s.config.Ledger)
	if outside := s.outside(); outside != nil && !guard.OnlyDelayed(err) {
		return nil, outside
	}
	if err != nil {
		return nil, s.delayed(ctx, r.GetEvidence(), r.GetReservation(), s.config.Ledger.Delay, err)
	}
	promise := ledger.Promise{Reservation: r.GetReservation(), Intent: checked.intent, Evidence: evidence,
		StartNonce: startNonce(checked.chain, checked.Request().Wallet)} // the guard found the wallet there
	ack, err := s.config.Ledger.Reserve(promise, func(x *ledger.Index) error {
		// The share may be about to be set aside, and then nothing may rest on it.
		if key, ok := s.groupKey(x, checked.Key().ID); checked.Key() != (guard.GroupKey{}) && (!ok || key != checked.Key()) {
			return refusal.New("key", "key", "a share of key "+string(checked.Key().ID), "none")
		}
		// Otherwise only what an officer said since, the charter, and the address book, here and at others, can have changed.
		if x.Recorded() == checked.statements && x.Chain() == checked.chain && x.Book() == checked.book &&
			slices.Equal(s.missed.required(x.Chain(), x.Book()), checked.missed) {
			return nil
		}
		_, err := s.examine(r.GetEvidence(), r.GetReservation(), x)
		return err
	}, sign)
	if err != nil {
		return nil, s.noted(err)
	}
	if err := s.see(checked.Addresses()); err != nil {
		return nil, s.noted(err)
	}
	s.waiting.end(checked.IntentDigest())
	s.config.Log.InfoContext(ctx, "acked", slog.String("withdrawal", checked.Withdrawal().String()), slog.String("reservation", rid.String()))
	return &strongroomv1.ReserveResponse{Ack: wireSigned(ack)}, nil
}

// outside refuses an ack by a signer whose acks no certificate counts. It is asked all the same what stands against the evidence, so that a rule's delay
// counts at a signer with a token too from when the others were asked, and not from the certificate on.
func (s *Signer) outside() error {
	if self, ok := s.charter().Signer(s.config.Self); !ok || !self.Ledger {
		return refusal.New("roster", "signer", "a member of the roster", string(s.config.Self)+", whose acks do not count")
	}
	return nil
}

// checked is evidence that the guard accepted, for a reservation that fits it.
type checked struct {
	*guard.Signable
	intent     []byte           // encoding
	statements int              // that were recorded before the guard looked
	chain      *amendment.Chain // under which it looked
	book       *book.Versions   // that it asked for
	missed     []book.Requirement
}

// examine runs the guard on the evidence and holds the reservation against it.
func (s *Signer) examine(evidence, reservation []byte, f facts) (checked, error) {
	var doc canon.Reservation
	if err := canon.Decode(reservation, &doc); err != nil {
		return checked{}, refusal.New("encoding", "reservation", "a canonical document", err.Error())
	}
	statements, chain, versions := f.Recorded(), f.Chain(), f.Book()
	if err := s.mayPromise(chain); err != nil {
		return checked{}, err
	}
	missed := s.missed.required(chain, versions) // before the view: more since then means that it is looked at again
	view := s.view(f, chain, versions)
	var signable *guard.Signable
	if err := checkWith(view, func(v guard.View) (err error) { signable, err = guard.Check(evidence, v); return err }); err != nil {
		return checked{}, err
	}
	if err := signable.CheckReservation(doc, view); err != nil {
		return checked{}, err
	}
	var e canon.Evidence
	if err := canon.Decode(evidence, &e); err != nil {
		return checked{}, refusal.New("encoding", "evidence", "a canonical document", err.Error())
	}
	return checked{Signable: signable, intent: e.Intent, statements: statements, chain: chain, book: versions, missed: missed}, nil
}

// beginDelay is ledger.Delay, or DelayCertified for what a certificate is over.
type beginDelay func(p ledger.Promise, clock func() canon.Time, check func(*ledger.Index) error) (canon.Time, error)

// startNonce is that of a wallet of the charter in force.
func startNonce(chain *amendment.Chain, wallet canon.Name) uint64 {
	w, _ := chain.Current().Wallet(wallet)
	return w.StartNonce
}

// delayed lets a rule's delay begin to count if err, which it returns, is that and nothing else: the intent is recorded with the second on this
// signer's clock, once. Everything is looked at again under the lock, and the ledger asks what it asks of a reservation; what stands against it
// then is returned.
func (s *Signer) delayed(ctx context.Context, evidence, reservation []byte, begin beginDelay, err error) error {
	var e canon.Evidence
	var i canon.Intent
	var r canon.Reservation
	if !guard.OnlyDelayed(err) || canon.Decode(evidence, &e) != nil || canon.Decode(e.Intent, &i) != nil || canon.Decode(reservation, &r) != nil {
		return err
	}
	id := canon.KindIntent.Digest(e.Intent)
	if _, known := s.config.Ledger.IntentSeen(id); known {
		s.waiting.add(id, e.Intent, i.NotAfter, s.now())
		return err
	}
	promise := ledger.Promise{Reservation: reservation, Intent: e.Intent, StartNonce: startNonce(s.chain(), r.Wallet)}
	seen, failed := begin(promise, s.now, func(x *ledger.Index) error {
		if _, err := s.examine(evidence, reservation, x); err != nil && !guard.OnlyDelayed(err) {
			return err
		}
		return nil
	})
	if failed != nil {
		return s.noted(failed)
	}
	s.waiting.add(id, e.Intent, i.NotAfter, s.now())
	s.config.Log.InfoContext(ctx, "delay begins", slog.String("intent", id.String()), slog.Time("seen", seen.At()))
	return err
}

// see records the addresses of ours that a transaction touches. Signers that ack and do not sign record them too, or the service's
// change addresses would run away from theirs.
func (s *Signer) see(used []guard.AddressUse) error {
	for _, a := range used {
		if err := s.config.Ledger.See(a.Wallet, a.Account, a.Branch, a.Index); err != nil {
			return err
		}
	}
	return nil
}

// noted reports a signer whose ledger failed as not serving; its err goes on.
func (s *Signer) noted(err error) error {
	if errors.Is(err, ledger.ErrPoisoned) {
		s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	}
	return err
}
