package authority

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// Service answers questions and signs the answers. It is safe for use by several goroutines.
type Service struct {
	pb.UnimplementedAuthorityServiceServer
	name      canon.Name
	purpose   string
	charter   *charter.Charter
	key       ed25519.PrivateKey
	factsFile string
	waits     *list // nil where nothing is decided
	now       func() time.Time
	log       *slog.Logger

	mu   sync.Mutex
	hash string // of the facts that were read last, guarded by mu
}

// facts reads the file; the log says when it has changed.
func (s *Service) facts() (*facts, error) {
	f, hash, err := loadFacts(s.factsFile, s.purpose, s.charter)
	if err != nil {
		return nil, fmt.Errorf("facts: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if hash != s.hash {
		s.log.Info("facts", "sha256", hash)
		s.hash = hash
	}
	return f, nil
}

// only refuses methods that are not for the authority's purpose.
func (s *Service) only(purposes ...string) error {
	for _, p := range purposes {
		if s.purpose == p {
			return nil
		}
	}
	return status.Errorf(codes.Unimplemented, "expected a question about %s, found another", s.purpose)
}

// StatePrice implements AuthorityService.
func (s *Service) StatePrice(_ context.Context, q *pb.StatePriceRequest) (*pb.StatePriceResponse, error) {
	if err := s.only(Prices); err != nil {
		return nil, err
	}
	f, err := s.facts()
	if err != nil {
		return nil, err
	}
	now := s.now()
	key := priceKey{canon.AssetID(q.GetAsset()), canon.Currency(q.GetCurrency())}
	p, ok := f.prices[key]
	if !ok || !p.stated(now) {
		return nil, refusal.New("price", "asset, currency", "one of the table whose price has not ended", fmt.Sprintf("%.120q in %.8q", q.GetAsset(), q.GetCurrency()))
	}
	signed, err := s.sign(canon.KindPrice, canon.Price{Organisation: s.charter.Organisation(), Authority: s.name, Asset: key.asset, Currency: key.currency, Value: p.value, At: canon.TimeOf(now)})
	return &pb.StatePriceResponse{Price: signed}, err
}

// StateAttribute implements AuthorityService.
func (s *Service) StateAttribute(_ context.Context, q *pb.StateAttributeRequest) (*pb.StateAttributeResponse, error) {
	if err := s.only(Attributes); err != nil {
		return nil, err
	}
	f, err := s.facts()
	if err != nil {
		return nil, err
	}
	key := attributeKey{canon.Name(q.GetClient()), canon.Name(q.GetAttribute())}
	a, ok := f.attributes[key]
	if !ok {
		return nil, refusal.New("attribute", "client, attribute", "one of the table", fmt.Sprintf("%.80q of %.80q", q.GetAttribute(), q.GetClient()))
	}
	at := canon.TimeOf(s.now())
	signed, err := s.sign(canon.KindAttribute, canon.Attribute{Organisation: s.charter.Organisation(), Authority: s.name, Client: key.client, Name: key.name, Value: a.value,
		At: at, NotAfter: at + canon.Time(a.valid)})
	return &pb.StateAttributeResponse{Attribute: signed}, err
}

// DecideClearance implements AuthorityService.
func (s *Service) DecideClearance(_ context.Context, q *pb.DecideClearanceRequest) (*pb.DecideClearanceResponse, error) {
	if err := s.only(Screening, TravelRule); err != nil {
		return nil, err
	}
	f, err := s.facts()
	if err != nil {
		return nil, err
	}
	r, err := s.asked(q.GetRequest())
	if err != nil {
		return nil, err
	}
	digest := canon.KindRequest.Digest(q.GetRequest().GetDocument())
	o, err := s.opinion(f, r, q.GetTravelRuleData())
	if err != nil {
		return nil, err
	}
	if o, err = s.waits.settle(digest, o, s.waiting(digest, r, o.reason)); err != nil {
		return nil, err
	}
	s.log.Info("clearance", "request", digest.String(), "client", string(r.Client), "answer", o.answer.String())
	if o.answer == waits {
		return &pb.DecideClearanceResponse{PendingReason: o.reason}, nil
	}
	at := canon.TimeOf(s.now())
	c := canon.Clearance{Organisation: r.Organisation, Authority: s.name, Request: digest, Cleared: o.answer == clears, At: at, NotAfter: at + canon.Time(o.valid)}
	if s.purpose == TravelRule {
		c.Data = r.TravelData
	}
	if !c.Cleared {
		c.Reason = canon.Text(o.reason)
	}
	signed, err := s.sign(canon.KindClearance, c)
	return &pb.DecideClearanceResponse{Clearance: signed}, err
}

// asked verifies that a client, or a desk for it, signed the request: nobody else puts anything before people. By the charter at hand, so a key, an
// account or a wallet that an amendment brought is refused until charter_entries has it.
func (s *Service) asked(q *pb.Signed) (*canon.Request, error) {
	signed := canon.Signed{Document: q.GetDocument(), Signature: q.GetSignature()}
	if scheme := q.GetScheme(); scheme <= math.MaxUint8 {
		signed.Scheme = canon.Scheme(scheme)
	}
	r, err := approval.VerifyRequest(s.charter, signed)
	if err != nil {
		var l refusal.List
		l.Join("request", "request", err)
		l.Add("request", "charter", "one that knows the request's client, account and wallet", fmt.Sprintf("number %d, as charter_entries has it", s.charter.Number()))
		return nil, l.Err()
	}
	return r, nil
}

// waiting describes a request for people.
func (s *Service) waiting(request canon.Digest, r *canon.Request, reason string) Waiting {
	w := Waiting{Request: request.String(), Client: r.Client, Account: r.Account, RequestID: r.RequestID, Chain: r.Chain, Reason: reason, Since: s.now().UTC(),
		NotAfter: r.NotAfter.At(), Payments: []WaitingPayment{}}
	chain, _ := s.charter.Chain(r.Chain)
	address := func(b []byte) string {
		if text, err := wallets.AddressText(chain, b); err == nil {
			return text
		}
		return fmt.Sprintf("%x", b)
	}
	amount := func(id canon.AssetID, a canon.Amount) string {
		if asset, ok := s.charter.Asset(id); ok {
			return wallets.FormatAmount(a, asset)
		}
		return a.String()
	}
	for _, o := range r.Outputs {
		w.Payments = append(w.Payments, WaitingPayment{address(o.Address), string(o.Asset), amount(o.Asset, o.Amount)})
	}
	if r.Call != nil {
		coin, _ := s.charter.NativeAsset(r.Chain)
		w.Payments = append(w.Payments, WaitingPayment{address(r.Call.To), "contract call", amount(coin.ID, r.Call.Value)})
	}
	return w
}

// sign encodes and signs a statement.
func (s *Service) sign(kind canon.Kind, d canon.Document) (*pb.Signed, error) {
	document, err := canon.Encode(d)
	if err != nil {
		return nil, fmt.Errorf("statement: %w", err)
	}
	return &pb.Signed{Document: document, Scheme: uint32(canon.Ed25519), Signature: ed25519.Sign(s.key, kind.Message(document))}, nil
}
