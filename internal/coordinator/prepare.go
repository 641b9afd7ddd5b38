package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy/amendment"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// payment holds what the steps of one withdrawal read again and again.
type payment struct {
	withdrawal.Withdrawal
	request canon.Request
	intent  canon.Intent
	wallet  canon.Wallet
	holder  canon.Account // on whose addresses in the wallet the account's assets lie
	chain   canon.Chain
	rule    canon.Rule

	charters *amendment.Chain // as it was when the step began
	charter  *charter.Charter // in force then
}

func (s *Service) payment(w withdrawal.Withdrawal) (*payment, error) {
	p := &payment{charters: s.inForce()}
	p.charter = p.charters.Current()
	p.Withdrawal = s.proven(s.heeded(w, p.charter))
	if err := canon.Decode(w.Request.Document, &p.request); err != nil {
		return nil, err
	}
	if err := canon.Decode(w.Intent, &p.intent); err != nil {
		return nil, err
	}
	var okWallet, okHolder, okChain, okRule bool
	p.wallet, okWallet = p.charter.Wallet(w.Wallet)
	p.holder, okHolder = p.charter.Holder(p.wallet, w.Account)
	p.chain, okChain = p.charter.Chain(w.Chain)
	p.rule, okRule = p.charter.Rule(w.Rule)
	if !okWallet || !okHolder || !okChain || !okRule {
		return nil, fmt.Errorf("withdrawal %s: expected wallet, account in it, chain and rule in the charter, found %s, %s, %s, %s", w.ID, w.Wallet, w.Account, w.Chain, w.Rule)
	}
	return p, nil
}

// stepPrepare builds the transaction and stores it with its anchor, its coins and the reservation to ask for, before the first signer
// hears of it: after a crash the same question is asked again.
func (s *Service) stepPrepare(ctx context.Context, w withdrawal.Withdrawal) (bool, turn, error) {
	if over, err := s.ended(ctx, w); over || err != nil {
		return over, turn{stuck: true}, err
	}
	p, err := s.payment(w)
	if err != nil {
		return false, turn{}, err
	}
	f, ok := s.chains[p.chain.ID]
	if !ok {
		return false, turn{stuck: true}, fmt.Errorf("chain %s: expected a node in the configuration, found none", p.chain.ID)
	}
	f.preparing.Lock()
	defer f.preparing.Unlock()
	if fresh, err := s.Store.Withdrawal(ctx, w.ID); err != nil || fresh.Version != w.Version {
		return err == nil, turn{}, err
	}
	prepared, err := s.build(ctx, p)
	if err != nil {
		return s.notBuilt(ctx, w, err)
	}
	if prepared.Reservation, err = s.reservation(ctx, p, *prepared, 1); err != nil {
		return s.notBuilt(ctx, w, err)
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventPrepare, Prepared: prepared})
	var taken *store.TakenError
	var short *store.InsufficientError // a reorganisation took away what covered it
	if errors.As(err, &taken) || errors.As(err, &short) {
		return false, turn{stuck: true}, err
	}
	return err == nil, turn{}, err
}

// build returns the transaction to sign: the one that an exact intent fixed, or one of now.
func (s *Service) build(ctx context.Context, p *payment) (*withdrawal.Prepared, error) {
	switch {
	case p.Exact != nil:
		return s.asFixed(ctx, p)
	case p.chain.Kind == canon.Bitcoin:
		return s.buildBitcoin(ctx, p)
	}
	return s.buildEVM(ctx, p)
}

// notBuilt ends a withdrawal that its own guard refuses; everything else that keeps a transaction from being built may pass. For which other
// withdrawal it waits is noted in the row.
func (s *Service) notBuilt(ctx context.Context, w withdrawal.Withdrawal, err error) (bool, turn, error) {
	var wait *waitError
	if errors.As(err, &wait) && wait.Rule == ruleExact && !sameFailures([]refusal.Failure{wait.Failure}, w.Refusals) {
		_, noted := s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventRefuse, Refusals: []refusal.Failure{wait.Failure}})
		return false, turn{stuck: true}, errors.Join(err, noted)
	}
	r := refusal.Of(err)
	if r == nil {
		return false, turn{stuck: true}, err
	}
	if until, waits := r.Until(); waits && s.opens(until, w) {
		t, err := s.waitsUntil(ctx, w, r.Failures, canon.Time(until))
		return false, t, err
	}
	_, err = s.apply(ctx, w, withdrawal.Event{Kind: withdrawal.EventFail, Refusals: r.Failures})
	return err == nil, turn{}, err
}

// reservation has this service's own guard check the evidence, as every signer will, and writes down what it found: no signer is
// asked about a transaction that it must refuse.
func (s *Service) reservation(ctx context.Context, p *payment, prepared withdrawal.Prepared, version uint64) ([]byte, error) {
	w := p.Withdrawal
	w.Prepared = &prepared
	evidence, err := w.Evidence(p.charter.Organisation())
	if err != nil {
		return nil, err
	}
	encoded, err := canon.Encode(evidence)
	if err != nil {
		return nil, err
	}
	required, err := s.payable(p.charter, p.request)
	if err != nil {
		return nil, err
	}
	view, err := s.view(ctx, p, required)
	if err != nil {
		return nil, err
	}
	signable, err := guard.Check(encoded, view)
	if err != nil {
		return nil, err
	}
	stamp := s.now()
	r := canon.Reservation{
		Organisation: p.charter.Organisation(), Withdrawal: w.ID, Version: version, Intent: w.IntentDigest, Sort: canon.Write,
		Transactions: []canon.Digest{signable.Transaction()}, Wallet: w.Wallet, Asset: signable.Asset(), Charges: signable.Charges(),
		Anchor: signable.Anchor(), AnchorNumber: 1, Inputs: signable.Anchors(),
		Stamp: stamp, Until: min(stamp+canon.Time(p.rule.Signing), signable.NotAfter()),
		CharterNumber: p.charter.Number(), Charter: p.charter.Digest(), Key: signable.Key().ID, KeyEpoch: signable.Key().Epoch,
	}
	if err := signable.CheckReservation(r, view); err != nil {
		return nil, err
	}
	return canon.Encode(r)
}

// view is what this service knows, in the form that the guard asks for, with the versions of the address book that enough signers ask
// for. It has seen change as far as it has stored addresses.
func (s *Service) view(ctx context.Context, p *payment, required []book.Requirement) (guard.View, error) {
	highest := map[branch]int64{}
	look := func(wallet, account canon.Name, number uint64) error {
		next, err := s.Store.NextIndex(ctx, wallet, account, number)
		highest[branch{wallet, account, number}] = int64(next) - 1
		return err
	}
	if _, err := s.keys.pool(p.wallet); err != nil {
		return guard.View{}, err
	}
	for number := range uint64(2) {
		if err := look(p.Wallet, p.holder.Name, number); err != nil {
			return guard.View{}, err
		}
	}
	for _, o := range p.request.Outputs {
		if o.Own == nil {
			continue
		}
		to, _ := p.charter.Wallet(o.Own.Wallet)
		if holder, ok := p.charter.Holder(to, p.Account); ok {
			if err := look(to.Name, holder.Name, wallets.BranchReceive); err != nil {
				return guard.View{}, err
			}
			if _, err := s.keys.pool(to); err != nil {
				return guard.View{}, err
			}
		}
	}
	return guard.View{
		Book: required, Revoked: s.revocations.Revoked,
		Charter: p.charter, Valid: p.charters.CheckValid, Now: s.Now(), Key: s.keys.key, Pool: s.Pools,
		HighestIndex: func(wallet, account canon.Name, number uint64) int64 {
			if index, ok := highest[branch{wallet, account, number}]; ok {
				return index
			}
			return -1
		},
		// A rule's delay counts from when each signer first saw the intent, which each knows by itself.
		FirstSeen: func(canon.Digest) (canon.Time, bool) { return 0, true },
	}, nil
}
