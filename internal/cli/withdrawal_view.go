package cli

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets"
)

// WithdrawalView is a withdrawal. What it pays comes from the client's signed request; the state and what follows it is what the
// coordinator reports.
type WithdrawalView struct {
	ID string `json:"id"`
	// Unverified says why nothing of the request is shown: it is not the one that the id names, or its signature is wrong.
	Unverified string        `json:"unverified,omitempty"`
	RequestID  string        `json:"request_id,omitempty"`
	Client     string        `json:"client,omitempty"`
	Account    string        `json:"account,omitempty"`
	Wallet     string        `json:"wallet,omitempty"`
	Chain      string        `json:"chain,omitempty"`
	Payments   []PaymentView `json:"payments,omitempty"`
	// Call is the contract call that the client asks for instead of payments, allowed or not.
	Call *CallView `json:"call,omitempty"`
	// Totals are what the charter counts of the call as paid.
	Totals []AmountView `json:"totals,omitempty"`
	FeeCap *AmountView  `json:"fee_cap,omitempty"`

	State         string        `json:"state"`
	Rule          string        `json:"rule,omitempty"`
	Refusals      []RefusalView `json:"refusals,omitempty"`
	IntentDigest  string        `json:"intent_digest,omitempty"`
	SignedBy      []string      `json:"signed_by,omitempty"`
	TxID          string        `json:"txid,omitempty"`
	Confirmations uint64        `json:"confirmations"`
	Fee           string        `json:"fee,omitempty"`
	CreateTime    string        `json:"create_time,omitempty"`
	UpdateTime    string        `json:"update_time,omitempty"`
}

// withdrawalView verifies the request within w and renders it.
func (s *Session) withdrawalView(w *pb.Withdrawal, id canon.Digest) WithdrawalView {
	v := WithdrawalView{ID: id.String(), State: w.GetState(), Rule: w.GetRule(), SignedBy: w.GetSignedBy(), TxID: w.GetTxid(),
		Confirmations: w.GetConfirmations(), CreateTime: wireTime(w.GetCreateTime()), UpdateTime: wireTime(w.GetUpdateTime())}
	if len(w.GetIntent()) > 0 {
		v.IntentDigest = canon.KindIntent.Digest(w.GetIntent()).String()
	}
	for _, r := range w.GetRefusals() {
		v.Refusals = append(v.Refusals, RefusalView{Rule: r.GetRule(), Field: r.GetField(), Expected: r.GetExpected(), Found: r.GetFound()})
	}
	r, err := s.verifiedRequest(w, id)
	if err != nil {
		v.Unverified = err.Error()
		return v
	}
	v.RequestID, v.Client, v.Account = r.RequestID, string(r.Client), string(r.Account)
	v.Wallet, v.Chain, v.Payments = string(r.Wallet), string(r.Chain), payments(s.Charter, *r, nil)
	if r.Call != nil {
		v.Call, v.Totals = s.askedCall(*r)
	}
	coin, known := s.Charter.NativeAsset(r.Chain)
	feeCap := amountView(s.Charter, coin.ID, r.FeeCap)
	v.FeeCap = &feeCap
	if fee, err := wallets.ParseAmount(w.GetFee(), canon.Asset{}); err == nil && known {
		v.Fee = wallets.FormatAmount(fee, coin)
	}
	return v
}

// askedCall renders the call that a client asked for, and what it counts as. Nobody was asked how addresses stand in the book.
func (s *Session) askedCall(r canon.Request) (*CallView, []AmountView) {
	v := callView(s.Charter, r, nil)
	for i := range v.Arguments {
		v.Arguments[i].Book = nil
	}
	sums, err := totals(s.Charter, r)
	if err != nil {
		return v, nil // no entry of the charter lets it through, as the view says
	}
	var counts []AmountView
	for _, t := range sums {
		counts = append(counts, amountView(s.Charter, t.id, t.sum))
	}
	return v, counts
}

func (s *Session) verifiedRequest(w *pb.Withdrawal, id canon.Digest) (*canon.Request, error) {
	signed, err := signedOf(w.GetRequest())
	if err != nil {
		return nil, err
	}
	r, err := approval.VerifyRequest(s.Charter, signed)
	if err != nil {
		return nil, err
	}
	if found := r.WithdrawalID(); found != id {
		return nil, fmt.Errorf("expected the request of %s, found that of %s", id, found)
	}
	return r, nil
}

// doubt is an error if the request did not verify.
func (v WithdrawalView) doubt() error {
	if v.Unverified == "" {
		return nil
	}
	return fmt.Errorf("%w: withdrawal %s: what the coordinator sent does not verify", ErrRefused, v.ID[:16])
}

func (v WithdrawalView) writeText(t *text) {
	t.field("Withdrawal", v.ID)
	t.field("State", v.State+" (the coordinator says)")
	writeRefusals(t, 2, v.Refusals)
	if v.Unverified != "" {
		t.say("NOT VERIFIED: %s", v.Unverified)
	} else {
		t.field("Request id", v.RequestID)
		t.field("Client", v.Client+", account "+v.Account)
		t.field("Wallet", v.Wallet+" on "+v.Chain)
		for _, p := range v.Payments {
			t.field("Pays", p.Amount)
			t.field("  to", p.Address)
			if p.Own != nil {
				t.field("  which is", fmt.Sprintf("own wallet %s, %s, index %d", labelled(canon.Name(p.Own.Wallet), canon.Text(p.Own.Label)), p.Own.Tier, p.Own.Index))
			}
		}
		if v.Call != nil {
			writeCall(t, v.Call, v.Totals, true)
		}
		t.field("Fee", "at most "+v.FeeCap.Amount)
	}
	t.gap()
	t.say("The coordinator reports:")
	for _, f := range []struct{ label, value string }{
		{"  rule", v.Rule}, {"  intent", v.IntentDigest}, {"  signed by", strings.Join(v.SignedBy, ", ")}, {"  txid", v.TxID}, {"  fee", v.Fee},
		{"  created", v.CreateTime}, {"  updated", v.UpdateTime},
	} {
		if f.value != "" {
			t.field(f.label, f.value)
		}
	}
	if v.TxID != "" {
		t.field("  confirmed", fmt.Sprintf("%d times", v.Confirmations))
	}
}

// WithdrawalsView is a list.
type WithdrawalsView struct {
	Withdrawals []WithdrawalView `json:"withdrawals"`
}

func (v WithdrawalsView) writeText(t *text) {
	if len(v.Withdrawals) == 0 {
		t.say("No withdrawals.")
	}
	for _, w := range v.Withdrawals {
		if w.Unverified != "" {
			t.say("%s  %s  NOT VERIFIED: %s", w.ID, w.State, w.Unverified)
			continue
		}
		t.say("%s  %s", w.ID, w.State)
		for _, p := range w.Payments {
			t.say("  %s to %s", p.Amount, p.Address)
		}
		if w.Call != nil {
			t.say("  %s; contract %s", headline(w.Call, w.Totals), w.Call.Contract)
		}
		t.say("  for %s, account %s, from %s, request %s", w.Client, w.Account, w.Wallet, w.RequestID)
	}
}

// EventView is one event, as the coordinator reports it.
type EventView struct {
	Sequence   uint64        `json:"sequence"`
	Time       string        `json:"time"`
	Withdrawal string        `json:"withdrawal"`
	Event      string        `json:"event"`
	State      string        `json:"state"`
	Refusals   []RefusalView `json:"refusals,omitempty"`
}

func eventView(e *pb.WithdrawalEvent) EventView {
	v := EventView{Sequence: e.GetSequence(), Time: wireTime(e.GetCreateTime()), Event: e.GetEvent(), State: e.GetState(),
		Withdrawal: strings.TrimPrefix(e.GetWithdrawal(), "withdrawals/")}
	for _, r := range e.GetRefusals() {
		v.Refusals = append(v.Refusals, RefusalView{Rule: r.GetRule(), Field: r.GetField(), Expected: r.GetExpected(), Found: r.GetFound()})
	}
	return v
}

func (v EventView) writeText(t *text) {
	t.say("%s  %s  %s  %s -> %s", v.Sequence, v.Time, v.Withdrawal[:min(16, len(v.Withdrawal))], v.Event, v.State)
	writeRefusals(t, 2, v.Refusals)
}
