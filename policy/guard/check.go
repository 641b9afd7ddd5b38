package guard

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
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

// maxProofs bounds the proofs for one address: signers may ask for different versions of the book while a new one cools down.
const maxProofs = 4

// recipient is an address that must be in the client's book.
type recipient struct {
	field   string
	address []byte
}

// payees returns the addresses that the request lets assets go to: those of the outputs, or of a contract call's arguments that must be in
// the book.
func (c *checking) payees() []recipient {
	if c.Call != nil {
		var out []recipient
		for _, a := range c.Call.Book {
			out = append(out, recipient{field: a.Field, address: a.Address[:]})
		}
		return out
	}
	out := make([]recipient, len(c.Request.Outputs))
	for i, o := range c.Request.Outputs {
		out[i] = recipient{field: fmt.Sprintf("outputs[%d].address", i), address: o.Address}
	}
	return out
}

// addresses asks for every payee whether its address is in the client's book: in each version that this signer asks for. Each proof is
// checked once, however many payments there are; one under another version is for other signers. No two proofs are the same, and none is
// without a version: it would be for nobody.
func (c *checking) addresses() {
	payees := c.payees()
	if n := len(c.evidence.Addresses); n > maxProofs*len(payees) {
		c.Add("whitelist", "evidence.addresses", fmt.Sprintf("at most %d for each of %d addresses", maxProofs, len(payees)), fmt.Sprint(n))
		return
	}
	if len(c.Book) == 0 {
		c.Add("whitelist", "book", "a version of the address book", "none")
		return
	}
	type shown struct {
		root  canon.Digest
		entry string
	}
	seen := map[shown]bool{}
	for i, p := range c.evidence.Addresses {
		field := fmt.Sprintf("evidence.addresses[%d]", i)
		if p.Root.IsZero() {
			c.Add("whitelist", field+".root", "the root of a version of the address book", "none")
		}
		if seen[shown{p.Root, string(p.Entry)}] {
			c.Add("whitelist", field, "one proof for each address and version", "the second of one entry")
		}
		seen[shown{p.Root, string(p.Entry)}] = true
	}
	newest := map[string]bool{} // proven in every newest version
	for _, p := range payees {
		newest[string(p.address)] = true
	}
	var until canon.Time // when the last of the newest versions is payable
	for _, version := range c.Book {
		proven := map[string]bool{}
		for i, p := range c.evidence.Addresses {
			if p.Root != version.Hash {
				continue
			}
			address, err := c.entry(i, version.Root, p, payees)
			c.Join("whitelist", fmt.Sprintf("evidence.addresses[%d]", i), err)
			if err == nil {
				proven[address] = true
			}
		}
		if version.Newest {
			until = max(until, version.PayableAt)
		}
		for _, p := range payees {
			address := string(p.address)
			if version.Newest && !proven[address] {
				newest[address] = false
			}
			if !proven[address] {
				var waits canon.Time // an address of the newest versions waits for its cool-down, every other in vain
				if !version.Newest && newest[address] {
					waits = until
				}
				c.AddUntil(uint64(waits), "whitelist", p.field, fmt.Sprintf("an address of client %s in %s", c.Request.Client, version), fmt.Sprintf("%x without a proof", p.address))
			}
		}
	}
}

// entry verifies a proof and returns its address, which must be one of the payees.
func (c *checking) entry(i int, version book.Root, p canon.BookProof, payees []recipient) (string, error) {
	field := fmt.Sprintf("evidence.addresses[%d]", i)
	entry, err := version.Check(c.Charter, p)
	if err != nil {
		return "", err
	}
	paid := func(p recipient) bool { return string(p.address) == string(entry.Address) }
	switch {
	case entry.Chain != c.Request.Chain || !slices.ContainsFunc(payees, paid):
		return "", refusal.New("whitelist", field, "an address that the request lets assets go to", fmt.Sprintf("%x on %s", entry.Address, entry.Chain))
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
	if c.wallet.Tier == canon.Cold && c.Request.Call != nil {
		c.Add(charter.RuleContractCall, "wallet.tier", "hot or warm: a cold wallet takes no contract calls but token transfers, which are payments", "cold")
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
		approvers: c.approvers, notAfter: c.notAfter, window: c.Rule.Signing, asset: c.asset(),
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
