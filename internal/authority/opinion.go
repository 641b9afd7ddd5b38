package authority

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/ivms101"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// answer is what is said about a request. The zero answer is none.
type answer uint8

const (
	clears  answer = 1
	waits   answer = 2 // for a person
	refuses answer = 3
)

// String returns the answer for the log.
func (a answer) String() string {
	return [...]string{"none", "cleared", "pending", "refused"}[min(a, 3)]
}

// opinion is what the files alone say about a request.
type opinion struct {
	answer answer
	reason string // why it waits or is refused; at most as long as canon.Text
	valid  uint64 // seconds for which the decision counts
	final  bool   // no person may decide otherwise
	unseen bool   // the data that the request binds is not at hand: no person's clear counts
}

func (s *Service) opinion(f *facts, r *canon.Request, data []byte) (opinion, error) {
	if s.purpose == Screening {
		return f.screening.opinion(r), nil
	}
	// The question is wrong, whoever asks: it is no ground for a decision.
	if digest := sha256.Sum256(data); len(data) > 0 && !bytes.Equal(digest[:], r.TravelData) {
		return opinion{}, refusal.New("travel-rule data", "travel_rule_data", "data of which the request has the SHA-256", "other data")
	}
	return s.travels(f, r, data)
}

// opinion holds every address that a request pays or calls against the lists.
func (s *screening) opinion(r *canon.Request) opinion {
	for _, address := range touched(r) {
		if reason, ok := s.refuse[addressKey{r.Chain, address}]; ok {
			return opinion{answer: refuses, reason: string(reason), valid: s.valid, final: true}
		}
	}
	for _, address := range touched(r) {
		if reason, ok := s.hold[addressKey{r.Chain, address}]; ok {
			return opinion{answer: waits, reason: string(reason), valid: s.valid}
		}
	}
	return opinion{answer: clears, valid: s.valid}
}

// word is the size of an argument of a contract call.
const word = 32

// touched returns the addresses that a request may have to do with: of outputs, of the contract that is called, and of every word of the call's
// data that could be one, whatever the contract takes it for.
func touched(r *canon.Request) []string {
	var out []string
	for _, o := range r.Outputs {
		out = append(out, string(o.Address))
	}
	if r.Call == nil {
		return out
	}
	out = append(out, string(r.Call.To))
	for at := 4; at+word <= len(r.Call.Data); at += word {
		if w := r.Call.Data[at : at+word]; !slices.ContainsFunc(w[:12], func(b byte) bool { return b != 0 }) {
			out = append(out, string(w[12:]))
		}
	}
	return out
}

// travels decides by the travel rule. A request that binds data is cleared only with the data at hand: the clearance says that it rests on it.
func (s *Service) travels(f *facts, r *canon.Request, data []byte) (opinion, error) {
	t := f.travelRule
	why := ""
	switch {
	case len(data) > 0:
		if err := s.names(t, r, data); err != nil {
			why = err.Error()
		}
	case len(r.TravelData) > 0:
		why = "the travel-rule data that the request binds did not come with the question"
	case t.needed(s, f, r):
		why = "travel-rule data is needed for this amount, and there is none"
	}
	if why == "" {
		return opinion{answer: clears, valid: t.valid}, nil
	}
	o := opinion{answer: waits, reason: clip(why), valid: t.valid, unseen: len(data) == 0 && len(r.TravelData) > 0}
	if t.refuses {
		o.answer = refuses
	}
	return o, nil
}

// needed reports whether a request pays others as much as a threshold says, or what none can be held against.
func (t *travelRule) needed(s *Service, f *facts, r *canon.Request) bool {
	sums, err := outside(s, r)
	if err != nil {
		return true
	}
	prices := f.of(s.now())
	covered := map[canon.AssetID]bool{}
	for _, limit := range t.thresholds {
		if limit.asset != "" {
			if sum, paid := sums[limit.asset]; paid && sum.Cmp(limit.amount) >= 0 {
				return true
			}
			covered[limit.asset] = true
			continue
		}
		worth := new(big.Int)
		for asset, sum := range sums {
			value, ok := money.Worth(s.charter, prices, limit.currency, asset, sum)
			if !ok {
				return true
			}
			worth.Add(worth, value)
			covered[asset] = true
		}
		if len(sums) > 0 && worth.Cmp(limit.amount) >= 0 {
			return true
		}
	}
	for asset := range sums {
		if !covered[asset] {
			return true
		}
	}
	return false
}

// outside sums what a request pays others. What goes to the account's own wallets changes no hands.
func outside(s *Service, r *canon.Request) (map[canon.AssetID]*big.Int, error) {
	pays := make([]canon.AssetAmount, 0, len(r.Outputs))
	for _, o := range r.Outputs {
		if o.Own == nil {
			pays = append(pays, canon.AssetAmount{Asset: o.Asset, Amount: o.Amount})
		}
	}
	if r.Call != nil {
		var err error
		if pays, err = policy.Paid(s.charter, r); err != nil {
			return nil, err
		}
	}
	sums := map[canon.AssetID]*big.Int{}
	for _, p := range pays {
		if sums[p.Asset] == nil {
			sums[p.Asset] = new(big.Int)
		}
		sums[p.Asset].Add(sums[p.Asset], p.Amount.Int())
	}
	return sums, nil
}

// names asks whether data is IVMS101 data that names originator, beneficiary and an account of each. The error quotes nothing of it.
func (s *Service) names(t *travelRule, r *canon.Request, data []byte) error {
	p, err := ivms101.Decode(data)
	if err != nil {
		return err
	}
	if err := p.BornBefore(s.now()); err != nil {
		return err
	}
	if len(p.Originator.AccountNumber) == 0 || len(p.Beneficiary.AccountNumber) == 0 {
		return errors.New("travel-rule data: accountNumber: expected one of the originator and one of the beneficiary, found none of either or both")
	}
	if !t.matchAddresses {
		return nil
	}
	chain, ok := s.charter.Chain(r.Chain)
	if !ok {
		return fmt.Errorf("travel-rule data: the request's chain: expected one of the charter, found %s", r.Chain)
	}
	paid, err := s.receivers(r)
	if err != nil {
		return err
	}
	for _, to := range paid {
		address, err := wallets.AddressText(chain, to.address)
		if err != nil || !slices.Contains(p.Beneficiary.AccountNumber, address) {
			return fmt.Errorf("travel-rule data: beneficiary.accountNumber: expected the address of %s, found others", to.field)
		}
	}
	return nil
}

// receiver is an address that a request may bring assets to.
type receiver struct {
	field   string // of the request
	address []byte
}

// receivers returns the addresses of others that a request pays: of its outputs, or every address among the arguments of its call but the sender's
// own, and the contract where coin goes with the call or no argument is an address. A call that the charter does not list is an error: nobody knows
// whom it pays.
func (s *Service) receivers(r *canon.Request) ([]receiver, error) {
	var out []receiver
	for i, o := range r.Outputs {
		if o.Own == nil {
			out = append(out, receiver{fmt.Sprintf("outputs[%d]", i), o.Address})
		}
	}
	if r.Call == nil {
		return out, nil
	}
	m, err := policy.CallOf(s.charter, r)
	if err != nil {
		return nil, err
	}
	for i, w := range m.Call.Words {
		address, ok := m.Function.Types[i].Address(w)
		if ok && m.Rule.Arguments[i].Allow != canon.ArgumentSelf {
			out = append(out, receiver{fmt.Sprintf("call.arguments[%d]", i), address[:]})
		}
	}
	if len(out) == 0 || len(r.Call.Value) > 0 {
		out = append(out, receiver{"call.to", r.Call.To})
	}
	return out, nil
}

// maxReason is the length of canon.Text, in bytes.
const maxReason = 140

// clip shortens a reason, which is ASCII, to what a statement holds.
func clip(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	return reason[:maxReason-3] + "..."
}
