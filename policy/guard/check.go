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
	account   canon.Account
	chain     canon.Chain
	key       GroupKey
	chainCode [32]byte
	approvers []canon.Name
	notAfter  canon.Time
}

// freeze asks whether an officer stopped everything.
func (c *checking) freeze() {
	if c.Frozen == nil {
		return
	}
	if by, since, frozen := c.Frozen(); frozen {
		c.Add("freeze", "organisation", "no freeze", fmt.Sprintf("a freeze by officer %s, here since %s", by, since.At()))
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

// addresses asks for every payment whether its address is in the client's book. Each proof is checked once, however many payments there are.
func (c *checking) addresses() {
	if n := len(c.evidence.Addresses); n > len(c.Request.Outputs) {
		c.Add("whitelist", "evidence.addresses", fmt.Sprintf("at most one for each of %d outputs", len(c.Request.Outputs)), fmt.Sprint(n))
		return
	}
	proven := map[string]bool{}
	for i, p := range c.evidence.Addresses {
		address, err := c.entry(i, p)
		c.Join("whitelist", fmt.Sprintf("evidence.addresses[%d]", i), err)
		if err == nil {
			proven[address] = true
		}
	}
	for i, out := range c.Request.Outputs {
		if !proven[string(out.Address)] {
			c.Add("whitelist", fmt.Sprintf("outputs[%d].address", i), "an address in the book of client "+string(c.Request.Client), fmt.Sprintf("%x without a proof", out.Address))
		}
	}
}

// entry verifies a proof and returns its address, which must be one that the request pays to.
func (c *checking) entry(i int, p canon.BookProof) (string, error) {
	field := fmt.Sprintf("evidence.addresses[%d]", i)
	entry, err := c.Charter.CheckBookProof(p)
	if err != nil {
		return "", err
	}
	paid := func(o canon.Output) bool { return string(o.Address) == string(entry.Address) }
	switch {
	case entry.Chain != c.Request.Chain || !slices.ContainsFunc(c.Request.Outputs, paid):
		return "", refusal.New("whitelist", field, "the address of an output of the request", fmt.Sprintf("%x on %s", entry.Address, entry.Chain))
	case entry.Client != c.Request.Client:
		return "", refusal.New("whitelist", field+".client", string(c.Request.Client), string(entry.Client))
	case entry.Account != canon.Any && entry.Account != c.Request.Account:
		return "", refusal.New("whitelist", field+".account", string(c.Request.Account), string(entry.Account))
	}
	return string(entry.Address), nil
}

// source looks up wallet, account, chain and key in the charter.
func (c *checking) source() {
	var ok bool
	if c.wallet, ok = c.Charter.Wallet(c.Request.Wallet); !ok {
		c.Add("source", "request.wallet", "a wallet of the charter", string(c.Request.Wallet))
		return
	}
	if c.account, ok = c.Charter.Account(c.Request.Account); !ok {
		c.Add("source", "request.account", "an account of the charter", string(c.Request.Account))
		return
	}
	if c.chain, ok = c.Charter.Chain(c.wallet.Chain); !ok || c.chain.ID != c.Request.Chain {
		c.Add("source", "request.chain", string(c.wallet.Chain), string(c.Request.Chain))
	}
	if c.wallet.Scheme != canon.SchemeMPC {
		c.Add("source", "wallet.scheme", "mpc, the scheme that this signer signs", fmt.Sprint(c.wallet.Scheme))
	}
	if c.wallet.Tier == canon.Cold && c.Intent.Mode != canon.Exact {
		c.Add("source", "intent.mode", "exact for a cold wallet", "template")
	}
	named, _ := c.Charter.Key(c.wallet.Key)
	if c.key, ok = c.Key(c.wallet.Key); !ok || c.key.Epoch != named.Epoch {
		c.Add("source", "wallet.key", fmt.Sprintf("a share of key %s in epoch %d", c.wallet.Key, named.Epoch), fmt.Sprintf("epoch %d", c.key.Epoch))
		return
	}
	c.chainCode = chainCode(c.Charter.Organisation(), c.key)
}

// transaction parses the raw transaction by the chain's own rules and compares it with the request.
func (c *checking) transaction() (*Signable, error) {
	s := &Signable{
		evidence: c.evidence, intent: c.Intent, request: c.Request, intentID: c.IntentID,
		transaction: canon.TransactionDigest(c.evidence.Transaction), key: c.key,
		charges:   policy.Charges(c.Charter, c.Rule, &c.Request, c.Intent.FeeCap),
		approvers: c.approvers, notAfter: c.notAfter, window: c.Rule.Signing,
	}
	switch c.chain.Kind {
	case canon.Bitcoin:
		c.bitcoin(s)
	case canon.EVM:
		c.evm(s)
	default:
		return nil, errors.New("guard: chain of unknown kind")
	}
	return s, c.Err()
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
