package guard

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Check decides on the encoding of canon.Evidence. The error is a *refusal.Refusal with the checks that failed: all of them where one
// does not depend on another.
func Check(evidence []byte, v View) (*Signable, error) {
	var e canon.Evidence
	if err := canon.Decode(evidence, &e); err != nil {
		return nil, refusal.New("encoding", "evidence", "a canonical document", err.Error())
	}
	if e.Organisation != v.Charter.Organisation() {
		return nil, refusal.New("organisation", "evidence.organisation", v.Charter.Organisation().String(), e.Organisation.String())
	}
	c := &checking{View: v, evidence: e}
	c.freeze()
	var err error
	if c.Review, err = Examine(e.Intent, v); err != nil {
		c.Join("intent", "evidence.intent", err)
		return nil, c.Err()
	}
	c.approvals()
	c.addresses()
	c.source()
	c.ownOutputs()
	if err := c.Err(); err != nil {
		return nil, err
	}
	s, err := c.transaction()
	if err != nil {
		return nil, err
	}
	c.exactness(s)
	if err := c.Err(); err != nil {
		return nil, err
	}
	return s, nil
}

// checking is one run of Check.
type checking struct {
	View
	refusal.List
	*Review
	evidence canon.Evidence

	wallet    canon.Wallet
	holder    canon.Account // on whose addresses in the wallet the account's assets lie
	chain     canon.Chain
	keys      keyset.Set // of wallet
	own       []Kept     // the request's own outputs
	approvers []canon.Name
	notAfter  canon.Time
}

// freeze asks whether an officer stopped everything.
func (c *checking) freeze() {
	if c.Frozen == nil {
		return
	}
	if f, frozen := c.Frozen(); frozen {
		by := "by officer " + string(f.Officer)
		if f.Officer == "" {
			by = "that the charter confirms and that is not known here"
		}
		c.AddUntil(uint64(f.Until), "freeze", "organisation", "no freeze", fmt.Sprintf("a freeze %s, here since %s", by, f.Since.At()))
	}
}

// approvals asks whether the rule's quorum is met, and whether an officer rejected the intent.
func (c *checking) approvals() {
	statements := append([]canon.Signed(nil), c.evidence.Statements...)
	if c.View.Statements != nil {
		statements = append(statements, c.View.Statements(c.IntentID)...)
		statements = append(statements, c.View.Statements(c.Intent.Withdrawal)...)
	}
	tally, err := approval.Count{
		Charter: c.Charter, About: approval.Subject{Intent: c.IntentID, Withdrawal: c.Intent.Withdrawal}, Quorum: c.Rule.Quorum, Requester: c.Request.Requester,
		Approvals: c.evidence.Approvals, Statements: statements, Revoked: c.Revoked, Now: canon.TimeOf(c.Now),
	}.Tally()
	if err != nil {
		c.Join("approvals", "evidence.approvals", err)
		return
	}
	c.notAfter = min(c.Intent.NotAfter, c.Request.NotAfter, c.Charter.Genesis().NotAfter)
	for _, name := range tally.RejectedBy {
		c.Add("approvals", "evidence.statements", "no rejection", "a rejection by officer "+string(name))
	}
	if c.Rule.Action != canon.ActionApprove {
		return
	}
	if !tally.Met && len(tally.RejectedBy) == 0 {
		c.Add("approvals", "evidence.approvals", "a quorum of "+c.Rule.Quorum.String(), fmt.Sprintf("valid approvals of %v", tally.Approvers))
		for _, i := range tally.Ignored {
			c.Add("approvals", "evidence.approvals", "approvals by keys that were not revoked", fmt.Sprintf("one of officer %s by key %s: %s", i.Officer, i.Key, i.Reason))
		}
	}
	c.approvers = tally.Approvers
	c.notAfter = min(c.notAfter, tally.NotAfter)
}

// source looks up wallet, account, chain and keys.
func (c *checking) source() {
	var ok bool
	if c.wallet, ok = c.Charter.Wallet(c.Request.Wallet); !ok {
		c.Add("source", "request.wallet", "a wallet of the charter", string(c.Request.Wallet))
		return
	}
	if c.holder, ok = c.Charter.Holder(c.wallet, c.Request.Account); !ok {
		c.Add("source", "request.account", "an account of wallet "+string(c.wallet.Name)+", with addresses there", string(c.Request.Account))
		return
	}
	if c.chain, ok = c.Charter.Chain(c.wallet.Chain); !ok || c.chain.ID != c.Request.Chain {
		c.Add("source", "request.chain", string(c.wallet.Chain), string(c.Request.Chain))
	}
	if c.wallet.Tier == canon.Cold && c.Intent.Mode != canon.Exact {
		c.Add("source", "intent.mode", "exact for a cold wallet", "template")
	}
	c.keys, _ = c.keysOf("source", "wallet", c.wallet)
}

// keysOf returns the keys of a wallet on the request's chain, and notes what keeps this signer from deriving its addresses.
func (c *checking) keysOf(rule, field string, w canon.Wallet) (keyset.Set, bool) {
	set := keyset.Set{Organisation: c.Charter.Organisation(), Chain: c.chain, Wallet: w}
	if w.Scheme != canon.SchemeHSM {
		named, _ := c.Charter.Key(w.Key)
		key, ok := c.Key(w.Key)
		if !ok || key.Epoch != named.Epoch {
			c.Add(rule, field+".key", fmt.Sprintf("the public key of %s in epoch %d, known to this signer", w.Key, named.Epoch), fmt.Sprintf("epoch %d", key.Epoch))
			return set, false
		}
		set.Group = key
	}
	if len(w.Pool) == 0 {
		return set, true
	}
	digest, found := canon.Digest(w.Pool), "none"
	if c.Pool != nil {
		pool, err := c.Pool(digest)
		if err == nil && pool != nil && pool.Digest() == digest {
			set.Pool = pool
			return set, true
		}
		if err != nil {
			found = err.Error()
		}
	}
	c.Add("pool", field+".pool", fmt.Sprintf("the key pool of wallet %s with digest %s, known to this signer", w.Name, digest), found)
	return set, false
}

// transaction parses the raw transaction by the chain's own rules and compares it with the request.
func (c *checking) transaction() (*Signable, error) {
	charges, err := policy.Charges(c.Charter, c.Rule, c.Facts, c.Intent.FeeCap)
	c.Join("limit", "intent", err)
	s := &Signable{
		evidence: c.evidence, intent: c.Intent, request: c.Request, intentID: c.IntentID,
		transaction: canon.TransactionDigest(c.evidence.Transaction), wallet: c.wallet, key: c.keys.Group,
		charges:   charges,
		approvers: c.approvers, notAfter: c.notAfter, window: c.Rule.Signing, delay: c.Rule.Delay, asset: c.asset(),
	}
	switch c.chain.Kind {
	case canon.Bitcoin:
		c.bitcoin(s)
	case canon.EVM:
		c.evm(s)
	default:
		return nil, errors.New("guard: chain of unknown kind")
	}
	for _, own := range c.own {
		s.used, s.kept = append(s.used, own.AddressUse), append(s.kept, own)
	}
	return s, c.Err()
}

// asset returns that of the first payment, and for a contract call the chain's coin.
func (c *checking) asset() canon.AssetID {
	if len(c.Request.Outputs) > 0 {
		return c.Request.Outputs[0].Asset
	}
	coin, _ := c.Charter.NativeAsset(c.chain.ID)
	return coin.ID
}

// exactness holds the transaction against the digests and paths of an exact intent.
func (c *checking) exactness(s *Signable) {
	if c.Intent.Mode != canon.Exact {
		return
	}
	found := false
	for _, d := range c.Intent.Transactions {
		found = found || d == s.transaction
	}
	if !found {
		c.Add("exact", "evidence.transaction", "one of the intent's transactions", s.transaction.String())
	}
	if !slices.Equal(c.Intent.Inputs, c.evidence.Inputs) {
		c.Add("exact", "evidence.inputs", fmt.Sprint(c.Intent.Inputs), fmt.Sprint(c.evidence.Inputs))
	}
	if !slices.Equal(c.Intent.Change, c.evidence.Change) {
		c.Add("exact", "evidence.change", fmt.Sprint(c.Intent.Change), fmt.Sprint(c.evidence.Change))
	}
}

// fee asks whether the fee keeps to the cap that was approved.
func (c *checking) fee(fee *big.Int) {
	if fee.Cmp(c.Intent.FeeCap.Int()) > 0 {
		c.Add("fee-cap", "transaction.fee", "at most "+c.Intent.FeeCap.String(), fee.String())
	}
}
