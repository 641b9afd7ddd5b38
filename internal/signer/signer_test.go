package signer_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc"
	"github.com/strongroom/strongroom/mpc/mpctest"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/ethereum"
)

// engine stands where the protocol is, so that a test decides what happens around the point of no return.
type engine struct {
	sign   func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error)
	keygen func(c mpc.KeygenConfig) (*share.Share, error)
}

func (e engine) Sign(ctx context.Context, c mpc.SignConfig, _ mpc.Link) ([]mpc.Signature, error) {
	return e.sign(ctx, c)
}

func (e engine) Keygen(_ context.Context, c mpc.KeygenConfig, _ mpc.Link) (*share.Share, error) {
	return e.keygen(c)
}

func same(e mpc.Engine) func(canon.Name) mpc.Engine { return func(canon.Name) mpc.Engine { return e } }

// reaches the point of no return and signs nothing real.
var reaches = engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
	if err := c.BeforeLast(ctx); err != nil {
		return nil, err
	}
	return make([]mpc.Signature, len(c.Inputs)), nil
}}

// refused fails the test unless err is a refusal with this rule and field.
func refused(t *testing.T, err error, rule, field string) {
	t.Helper()
	r := refusal.Of(err)
	if r == nil || !slices.ContainsFunc(r.Failures, func(f refusal.Failure) bool { return f.Rule == rule && f.Field == field }) {
		t.Errorf("expected a refusal under %s of %s, found %v", rule, field, err)
	}
}

func TestEachServiceAnswersItsCallersOnly(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	ctx := t.Context()
	calls := map[string]func(key ed25519.PrivateKey) error{
		"status": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).GetSignerStatus(ctx, &strongroomv1.GetSignerStatusRequest{})
			return err
		},
		"reserve": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).Reserve(ctx, &strongroomv1.ReserveRequest{})
			return err
		},
		"sign": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).Sign(ctx, &strongroomv1.SignRequest{})
			return err
		},
		"cosign": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).Cosign(ctx, &strongroomv1.CosignRequest{})
			return err
		},
		"attest": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).AttestAddress(ctx, &strongroomv1.AttestAddressRequest{})
			return err
		},
		"balances": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).StateBalances(ctx, &strongroomv1.StateBalancesRequest{})
			return err
		},
		"keygen": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).JoinKeygen(ctx, &strongroomv1.JoinKeygenRequest{})
			return err
		},
		"certificate": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewSignerServiceClient(w.dial("node-1", k)).GetCertificate(ctx, &strongroomv1.GetCertificateRequest{})
			return err
		},
		"statement": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", k)).SubmitSignerStatement(ctx, &strongroomv1.SubmitSignerStatementRequest{})
			return err
		},
		"intents": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", k)).ListSeenIntents(ctx, &strongroomv1.ListSeenIntentsRequest{})
			return err
		},
		"statements": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", k)).ListStatements(ctx, &strongroomv1.ListStatementsRequest{})
			return err
		},
		"share": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewPeerServiceClient(w.dial("node-1", k)).ShareStatements(ctx, &strongroomv1.ShareStatementsRequest{})
			return err
		},
		"compare": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewPeerServiceClient(w.dial("node-1", k)).CompareStatements(ctx, &strongroomv1.CompareStatementsRequest{})
			return err
		},
		"fetch": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewPeerServiceClient(w.dial("node-1", k)).FetchStatements(ctx, &strongroomv1.FetchStatementsRequest{})
			return err
		},
		"deliver": func(k ed25519.PrivateKey) error {
			stream, err := strongroomv1.NewPeerServiceClient(w.dial("node-1", k)).Deliver(ctx)
			if err != nil {
				return err
			}
			_, err = stream.CloseAndRecv()
			return err
		},
		"submit": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewCharterServiceClient(w.dial("node-1", k)).SubmitCharterEntry(ctx, &strongroomv1.SubmitCharterEntryRequest{})
			return err
		},
		"chain": func(k ed25519.PrivateKey) error {
			_, err := strongroomv1.NewCharterServiceClient(w.dial("node-1", k)).GetCharterChain(ctx, &strongroomv1.GetCharterChainRequest{})
			return err
		},
		"health": func(k ed25519.PrivateKey) error {
			_, err := grpc_health_v1.NewHealthClient(w.dial("node-1", k)).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			return err
		},
	}
	all := []string{"status", "certificate", "reserve", "sign", "attest", "keygen", "statement", "intents", "deliver", "health", "statements", "share", "compare", "fetch", "submit", "chain", "balances", "cosign"}
	if len(all) != len(calls) {
		t.Fatalf("expected %d calls, found %d", len(all), len(calls))
	}
	for caller, may := range map[string][]string{
		"front":        {"status", "certificate", "reserve", "sign", "attest", "keygen", "health", "submit", "chain", "balances", "cosign"},
		"device alice": {"status", "certificate", "statement", "intents", "health", "statements", "submit", "chain"},
		"node-2":       {"status", "certificate", "deliver", "health", "statements", "share", "compare", "fetch", "submit", "chain"},
		"acme":         {},
		"device acme":  {},
		"stranger":     {},
	} {
		for _, call := range all {
			code := status.Code(calls[call](edKey(caller)))
			denied := code == codes.PermissionDenied || code == codes.Unavailable
			if denied == slices.Contains(may, call) {
				t.Errorf("%s calls %s: expected allowed %t, found %v", caller, call, !denied, code)
			}
		}
	}
}

func TestReserveGivesTheSameAckAndNamesTheFieldItRefuses(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	front := w.front("node-1")
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	ask := &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation}
	first, err := front.Reserve(t.Context(), ask)
	check(t, err)
	again, err := front.Reserve(t.Context(), ask)
	check(t, err)
	if string(first.GetAck().GetDocument()) != string(again.GetAck().GetDocument()) || string(first.GetAck().GetSignature()) != string(again.GetAck().GetSignature()) {
		t.Error("expected the same ack, found another")
	}
	signature := first.GetAck().GetSignature()
	public := edPublic("node-1")
	if !ed25519.Verify(public[:], canon.KindAck.Message(first.GetAck().GetDocument()), signature) {
		t.Error("expected an ack under the signer's identity, found another signature")
	}

	altered := w.evidence(payment{id: "b", nonce: 8, to: bytes.Repeat([]byte{0xcc}, 20)})
	honest := w.evidence(payment{id: "b", nonce: 8})
	_, err = front.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: altered, Reservation: w.reservation(honest)})
	if r := refusal.Of(err); r == nil || status.Code(err) != codes.FailedPrecondition {
		t.Errorf("altered destination: expected a refusal over the wire, found %v", err)
	}
	other := w.evidence(payment{id: "b", nonce: 7})
	_, err = front.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: other, Reservation: w.reservation(other)})
	refused(t, err, "held", "anchor")
	second := w.evidence(payment{id: "a", nonce: 8})
	_, err = front.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: second, Reservation: w.reservation(second)})
	refused(t, err, "one-anchor", "anchor")
	tooMuch := w.evidence(payment{id: "c", nonce: 8, ether: 6})
	_, err = front.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: tooMuch, Reservation: w.reservation(tooMuch)})
	refused(t, err, "limit eth-day", "amount with fee cap")
	_, err = front.Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: other, Reservation: reservation[1:]})
	refused(t, err, "encoding", "reservation")
}

// signBoth asks both participants at once, as a coordinator does.
func signBoth(t *testing.T, w *world, r *strongroomv1.SignRequest) (map[string]*strongroomv1.SignResponse, map[string]error) {
	t.Helper()
	responses, errs := map[string]*strongroomv1.SignResponse{}, map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, name := range r.GetParticipants() {
		front := w.front(canon.Name(name))
		wg.Go(func() {
			response, err := front.Sign(t.Context(), r)
			mu.Lock()
			defer mu.Unlock()
			responses[name], errs[name] = response, err
		})
	}
	wg.Wait()
	return responses, errs
}

func TestTwoSignersSignOverTheWire(t *testing.T) {
	w := newWorld(t, setUp{keyed: true})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	certificate := w.reserve(evidence, w.reservation(evidence), "node-1", "node-2", "node-3")
	// node-4 acked nothing: the certificate gives it the hold.
	responses, errs := signBoth(t, w, &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: certificate, Participants: []string{"node-2", "node-4"}, Attempt: 1,
	})
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	child := w.sender()
	for name, err := range errs {
		check(t, err)
		r := responses[name]
		if len(r.GetSignatures()) != 1 || string(r.GetPublicKeys()[0]) != string(child.Public[:]) {
			t.Fatalf("%s: expected a signature under the sender's key, found %v", name, r)
		}
		raw, err := ethereum.Finalise(e.Transaction, [65]byte(r.GetSignatures()[0]), child.Public)
		check(t, err)
		_, err = ethereum.VerifySigned(raw, ethereum.AddressOf(child.Public))
		check(t, err)
	}
	_, err := w.front("node-2").Sign(t.Context(), &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: certificate, Participants: []string{"node-2", "node-3"}, Attempt: 1,
	})
	refused(t, err, "attempt", "attempt")
	certificateIsHandedOut(t, w, certificate)
}

// certificateIsHandedOut asks those that acted upon the certificate, and one that did not.
func certificateIsHandedOut(t *testing.T, w *world, certificate []byte) {
	t.Helper()
	var c canon.Certificate
	check(t, canon.Decode(certificate, &c))
	name := "reservations/" + canon.KindReservation.Digest(c.Reservation).String()
	for _, signer := range []canon.Name{"node-2", "node-4"} {
		got, err := w.front(signer).GetCertificate(t.Context(), &strongroomv1.GetCertificateRequest{Name: name})
		if err != nil || string(got.GetCertificate()) != string(certificate) {
			t.Errorf("%s: expected the certificate, found %x and %v", signer, got.GetCertificate(), err)
		}
	}
	if _, err := w.front("node-1").GetCertificate(t.Context(), &strongroomv1.GetCertificateRequest{Name: name}); status.Code(err) != codes.NotFound {
		t.Errorf("node-1: expected NotFound, found %v", err)
	}
	_, err := w.front("node-1").GetCertificate(t.Context(), &strongroomv1.GetCertificateRequest{Name: "reservations/xyz"})
	refused(t, err, "encoding", "name")
}

func TestCommittedIsOnDiskBeforeTheLastMessageAndNothingIsResumed(t *testing.T) {
	crash := errors.New("crashed before the last message left")
	var node *node
	var current *ledger.Ledger
	var rid canon.Digest
	e := engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
		if err := c.BeforeLast(ctx); err != nil {
			return nil, err
		}
		// What another process would find on the disk now.
		report, err := ledger.Verify(node.dir)
		if state := current.State(); err != nil || report.Length != state.Length || report.Head != state.Head {
			t.Errorf("expected everything on disk, found %+v, %v", report, err)
		}
		if !committed(t, current, rid) {
			t.Error("expected COMMITTED before the last message, found none")
		}
		return nil, crash
	}}
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(e)})
	node = w.signers["node-1"]
	current = node.ledger
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	rid = canon.KindReservation.Digest(reservation)
	request := &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: w.certify(evidence, reservation, "node-1", "node-2", "node-3"),
		Participants: []string{"node-1", "node-2"}, Attempt: 1,
	}
	if _, err := w.front("node-1").Sign(t.Context(), request); status.Code(err) != codes.Aborted {
		t.Errorf("expected Aborted, found %v", err)
	}
	node.stop()
	reopened, err := signer.OpenLedger(t.Context(), node.dir, w.charter, "node-1", node.shares)
	check(t, err)
	current = reopened
	defer func() { check(t, reopened.Close()) }()
	if !committed(t, reopened, rid) {
		t.Error("expected COMMITTED after a restart, found none")
	}
	config := node.config
	config.Ledger = reopened
	restarted, err := signer.New(t.Context(), config)
	check(t, err)
	defer func() { check(t, restarted.Close()) }()
	_, err = restarted.Sign(t.Context(), request)
	refused(t, err, "attempt", "attempt")
	// The same transaction again is always allowed.
	request.Attempt = 2
	if _, err = restarted.Sign(t.Context(), request); status.Code(err) != codes.Aborted {
		t.Errorf("second attempt: expected another session, found %v", err)
	}
}

func committed(t *testing.T, l *ledger.Ledger, rid canon.Digest) (yes bool) {
	t.Helper()
	check(t, l.Read(func(x *ledger.Index) error { yes = x.Committed(rid); return nil }))
	return yes
}

func TestAnOfficersRejectionStopsEveryStep(t *testing.T) {
	var w *world
	var evidence []byte
	e := engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
		// The rejection arrives while the session runs.
		if err := w.reject("node-1", "alice", evidence); err != nil {
			t.Error(err)
		}
		return nil, c.BeforeLast(ctx)
	}}
	w = newWorld(t, setUp{count: 2, keyed: true, engine: same(e)})
	evidence = w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	request := &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: w.certify(evidence, reservation, "node-1", "node-3", "node-4"),
		Participants: []string{"node-1", "node-2"}, Attempt: 1,
	}
	_, err := w.front("node-1").Sign(t.Context(), request)
	refused(t, err, "approvals", "evidence.statements")
	if committed(t, w.signers["node-1"].ledger, canon.KindReservation.Digest(reservation)) {
		t.Error("expected nothing committed after a rejection, found COMMITTED")
	}
	request.Attempt = 2
	_, err = w.front("node-1").Sign(t.Context(), request)
	refused(t, err, "approvals", "evidence.statements")
	check(t, w.reject("node-2", "bob", evidence))
	_, err = w.front("node-2").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	refused(t, err, "approvals", "evidence.statements")
	// The ack that was given stays the answer to the same question.
	_, err = w.front("node-1").Reserve(t.Context(), &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: reservation})
	check(t, err)
}

func TestAReservationThatRanOutIsNotCommitted(t *testing.T) {
	var w *world
	e := engine{sign: func(ctx context.Context, c mpc.SignConfig) ([]mpc.Signature, error) {
		w.advance(301 * time.Second) // until is 300 s after the stamp
		return nil, c.BeforeLast(ctx)
	}}
	w = newWorld(t, setUp{count: 1, keyed: true, engine: same(e)})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	_, err := w.front("node-1").Sign(t.Context(), &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: w.certify(evidence, reservation, "node-1", "node-2", "node-3"),
		Participants: []string{"node-1", "node-2"}, Attempt: 1,
	})
	refused(t, err, "expiry", "reservation.until")
	if committed(t, w.signers["node-1"].ledger, canon.KindReservation.Digest(reservation)) {
		t.Error("expected nothing committed after the end, found COMMITTED")
	}
}

func TestSignRefusesWhatTheCertificateDoesNotCover(t *testing.T) {
	w := newWorld(t, setUp{count: 2, keyed: true, engine: same(reaches)})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	reservation := w.reservation(evidence)
	short := w.certify(evidence, reservation, "node-1", "node-3")
	full := w.certify(evidence, reservation, "node-1", "node-3", "node-4")
	other := w.evidence(payment{id: "b", nonce: 9})
	split := w.evidence(payment{id: "a", nonce: 8})
	// node-2 was made to ack another anchor of the same withdrawal.
	w.reserve(split, w.reservation(split), "node-2")
	for name, c := range map[string]struct {
		to          canon.Name
		ask         *strongroomv1.SignRequest
		rule, field string
	}{
		"two acks": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: short, Participants: []string{"node-1", "node-2"}, Attempt: 1},
			"certificate", "certificate.acks"},
		"other evidence": {"node-1", &strongroomv1.SignRequest{Evidence: other, Certificate: full, Participants: []string{"node-1", "node-2"}, Attempt: 1},
			"reservation", "reservation.withdrawal"},
		"split anchors": {"node-2", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-2"}, Attempt: 1},
			"one-anchor", "anchor"},
		"without this signer": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-2", "node-3"}, Attempt: 1},
			"participants", "participants"},
		"too many": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-2", "node-3"}, Attempt: 1},
			"participants", "participants"},
		"not sorted": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-2", "node-1"}, Attempt: 1},
			"participants", "participants[1]"},
		"twice": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-1"}, Attempt: 1},
			"participants", "participants[1]"},
		"a stranger": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-9"}, Attempt: 1},
			"participants", "participants[1]"},
		"attempt 0": {"node-1", &strongroomv1.SignRequest{Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-2"}},
			"attempt", "attempt"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.front(c.to).Sign(t.Context(), c.ask)
			refused(t, err, c.rule, c.field)
		})
	}
	_, err := w.front("node-1").Sign(t.Context(), &strongroomv1.SignRequest{
		Evidence: evidence, Certificate: full, Participants: []string{"node-1", "node-2"}, Attempt: 1,
	})
	check(t, err)
}

func TestStatementsOfferedByNobodyAreRefused(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	_, err := strongroomv1.NewOfficerServiceClient(w.dial("node-1", edKey("device alice"))).SubmitSignerStatement(t.Context(),
		&strongroomv1.SubmitSignerStatementRequest{Statement: &strongroomv1.Signed{Document: randomBytes(t, 40), Scheme: 258, Signature: make([]byte, 64)}})
	if refusal.Of(err) == nil {
		t.Errorf("random bytes: expected a refusal, found %v", err)
	}
	if got := w.signers["node-1"].ledger.State().Length; got != 1 {
		t.Errorf("ledger: expected the opening record alone, found %d records", got)
	}
}

func TestOfficersSeeTheIntentsThatAreOpen(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	evidence := w.evidence(payment{id: "a", nonce: 7})
	w.reserve(evidence, w.reservation(evidence), "node-1")
	officer := strongroomv1.NewOfficerServiceClient(w.dial("node-1", edKey("device carol")))
	list := func() [][]byte {
		r, err := officer.ListSeenIntents(t.Context(), &strongroomv1.ListSeenIntentsRequest{})
		check(t, err)
		return r.GetIntents()
	}
	var e canon.Evidence
	check(t, canon.Decode(evidence, &e))
	if got := list(); len(got) != 1 || string(got[0]) != string(e.Intent) {
		t.Errorf("expected the intent that was acked, found %d", len(got))
	}
	w.advance(time.Hour)
	if got := list(); len(got) != 0 {
		t.Errorf("after expiry: expected none, found %d", len(got))
	}
}

func TestEverySignerDerivesTheSameAddress(t *testing.T) {
	w := newWorld(t, setUp{keyed: true, engine: same(reaches)})
	var address []byte
	for _, name := range nodes {
		r, err := w.front(name).AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one", Index: 99})
		check(t, err)
		var a canon.Address
		check(t, canon.Decode(r.GetAttestation().GetDocument(), &a))
		public := edPublic(string(name))
		if a.Signer != name || !slices.Equal(a.Path, []uint64{1, 1, 1, 0, 99}) ||
			!ed25519.Verify(public[:], canon.KindAddress.Message(r.GetAttestation().GetDocument()), r.GetAttestation().GetSignature()) {
			t.Errorf("%s: expected its own attestation of 1/1/1/0/99, found %+v", name, a)
		}
		if address != nil && string(address) != string(a.Address) {
			t.Errorf("%s: expected %x, found %x", name, address, a.Address)
		}
		address = a.Address
	}
	evm, err := w.front("node-1").AttestAddress(t.Context(), &strongroomv1.AttestAddressRequest{Wallet: "evm-hot", Account: "acme-one"})
	check(t, err)
	var a canon.Address
	check(t, canon.Decode(evm.GetAttestation().GetDocument(), &a))
	if want := ethereum.AddressOf(w.sender().Public); string(a.Address) != string(want[:]) {
		t.Errorf("EVM: expected %x, found %x", want, a.Address)
	}
	for _, c := range []struct {
		ask   *strongroomv1.AttestAddressRequest
		field string
	}{
		{&strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one", Index: 200}, "index"}, // 99 was seen
		{&strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "acme-one", Branch: 2}, "branch"},
		{&strongroomv1.AttestAddressRequest{Wallet: "evm-hot", Account: "acme-one", Branch: 1}, "branch"},
		{&strongroomv1.AttestAddressRequest{Wallet: "evm-hot", Account: "acme-one", Index: 1}, "index"},
		{&strongroomv1.AttestAddressRequest{Wallet: "btc-hot", Account: "globex"}, "account"},
		{&strongroomv1.AttestAddressRequest{Wallet: "nowhere", Account: "acme-one"}, "wallet"},
	} {
		_, err := w.front("node-1").AttestAddress(t.Context(), c.ask)
		refused(t, err, "address", c.field)
	}
}

func TestAKeyIsGeneratedOnceAndItsPreParametersUsedOnce(t *testing.T) {
	t.Parallel() // most of its time it waits for signers that do not answer
	dealt := make(map[string]*share.Share)
	fail := true
	var used []*share.PreParams
	e := engine{keygen: func(c mpc.KeygenConfig) (*share.Share, error) {
		used = append(used, c.PreParams)
		if fail {
			return nil, errors.New("a peer went away")
		}
		return dealt[c.Self], nil
	}}
	w := newWorld(t, setUp{count: 1, engine: same(e), params: func(context.Context) (*share.PreParams, error) {
		return mpctest.PreParams(t, 0), nil
	}})
	for _, s := range deal(t, w.charter.Organisation()) {
		dealt[s.Self] = s
	}
	front := w.front("node-1")
	ask := &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: 1}
	if _, err := front.JoinKeygen(t.Context(), ask); status.Code(err) != codes.Aborted {
		t.Errorf("failed session: expected Aborted, found %v", err)
	}
	_, err := front.JoinKeygen(t.Context(), ask)
	refused(t, err, "attempt", "attempt")
	fail = false
	ask.Attempt = 2
	first, err := front.JoinKeygen(t.Context(), ask)
	check(t, err)
	again, err := front.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "main", Attempt: 1})
	check(t, err)
	public := dealt["node-1"].PublicKey
	if string(first.GetKey().GetPublicKey()) != string(public[:]) || string(again.GetKey().GetPublicKey()) != string(public[:]) {
		t.Errorf("expected key %x both times, found %v and %v", public, first, again)
	}
	if len(used) != 2 || used[0] == used[1] {
		t.Errorf("expected two sessions with a set of pre-parameters each, found %d", len(used))
	}
	if _, err := w.signers["node-1"].shares.LoadShare(t.Context(), "main", 1); err != nil {
		t.Errorf("expected the share on disk, found %v", err)
	}
	st, err := front.GetSignerStatus(t.Context(), &strongroomv1.GetSignerStatusRequest{})
	check(t, err)
	if keys := st.GetStatus().GetKeys(); len(keys) != 1 || keys[0].GetKey() != "main" || !st.GetParametersReady() {
		t.Errorf("status: expected key main and nothing to make, found %v", st)
	}
	_, err = front.JoinKeygen(t.Context(), &strongroomv1.JoinKeygenRequest{Key: "other", Attempt: 1})
	refused(t, err, "key", "key")
}

func TestALedgerThatVanishedIsNotReplaced(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	n := w.signers["node-1"]
	n.stop()
	check(t, os.Remove(filepath.Join(n.dir, "records")))
	if _, err := signer.OpenLedger(t.Context(), n.dir, w.charter, "node-1", n.shares); !errors.Is(err, ledger.ErrMissing) {
		t.Errorf("expected ErrMissing, found %v", err)
	}
}

func otherCharter(t *testing.T, w *world) *charter.Charter {
	t.Helper()
	g := w.genesis()
	g.Salt = canon.Digest{2}
	encoded, digest, err := canon.Seal(g)
	check(t, err)
	c, err := charter.Open(encoded, digest)
	check(t, err)
	return c
}

func TestASignerStartsOnlyAsItself(t *testing.T) {
	w := newWorld(t, setUp{count: 1, keyed: true, engine: same(reaches)})
	config := w.signers["node-1"].config
	for name, change := range map[string]func(*signer.Config){
		"another's key": func(c *signer.Config) { c.Identity = edKey("node-2") },
		"no signer":     func(c *signer.Config) { c.Self = "node-9" },
		"itself a peer": func(c *signer.Config) { c.Peers = map[canon.Name]string{"node-1": "127.0.0.1:1"} },
		"a peer without a name": func(c *signer.Config) {
			c.Peers = map[canon.Name]string{"Node 9": "127.0.0.1:1"}
		},
		"another genesis": func(c *signer.Config) { c.Charter = otherCharter(t, w) },
		"no ledger":       func(c *signer.Config) { c.Ledger = nil },
		"negative gossip": func(c *signer.Config) { c.Gossip = -1 },
	} {
		c := config
		change(&c)
		if s, err := signer.New(t.Context(), c); err == nil {
			t.Errorf("%s: expected an error, found none", name)
			_ = s.Close()
		}
	}
}
