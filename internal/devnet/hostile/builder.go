package hostile

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Builder puts papers together. The people in it are honest: the client signs requests, the officers approve intents.
type Builder struct {
	Charter  *charter.Charter
	Book     *book.Tree
	Client   approval.Signer
	Officers map[canon.Name]approval.Signer
	Key      func(canon.Name) (guard.GroupKey, bool)
	// Pool finds the lists of keys in tokens; nil where no wallet has one.
	Pool func(canon.Digest) (*keyset.Pool, error)
	Now  func() time.Time
	// Scheme is that of the wallets that papers spend from; zero stands for mpc.
	Scheme canon.WalletScheme
	// Balances and Prices are what signers and authorities truly state, for papers about which the charter's allocation is asked; may be empty.
	Balances, Prices []canon.Signed
	// Stating holds the keys of authorities and signers that state facts, each honestly; nil where nobody does.
	Stating map[canon.Name]ed25519.PrivateKey
	// Desk is a treasury desk; nil where there is none.
	Desk approval.Signer
}

// How long what people sign is valid, in seconds. Until is within the signing time of the rule as well.
const (
	requestLife  = 1800
	approvalLife = 1200
	signingLife  = 300
)

// errUnmet says that the officers given cannot meet the quorum of a rule.
var errUnmet = errors.New("officers: expected enough to meet the rule's quorum, found fewer")

func (b *Builder) now() canon.Time { return canon.TimeOf(b.Now()) }

// owner returns the client that the client's key belongs to, and that key.
func (b *Builder) owner() (canon.Client, canon.PublicKey, error) {
	wire, err := ssh.ParsePublicKey(b.Client.Public())
	if err != nil {
		return canon.Client{}, canon.PublicKey{}, fmt.Errorf("client key: %w", err)
	}
	inner, ok := wire.(ssh.CryptoPublicKey)
	if !ok {
		return canon.Client{}, canon.PublicKey{}, fmt.Errorf("client key: expected Ed25519, found %s", wire.Type())
	}
	public, ok := inner.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return canon.Client{}, canon.PublicKey{}, fmt.Errorf("client key: expected Ed25519, found %s", wire.Type())
	}
	key := canon.PublicKey(public)
	client, ok := b.Charter.ClientByKey(key)
	if !ok {
		return canon.Client{}, key, fmt.Errorf("client key: expected a key of the charter, found %s", key)
	}
	return client, key, nil
}

// source returns the first wallet of that chain and the builder's scheme, hot or warm, that holds an account of the client, and the account.
func (b *Builder) source(chain canon.ChainID) (canon.Wallet, canon.Account, error) {
	client, _, err := b.owner()
	if err != nil {
		return canon.Wallet{}, canon.Account{}, err
	}
	for _, w := range b.Charter.Genesis().Wallets {
		if w.Chain != chain || w.Scheme != cmp.Or(b.Scheme, canon.SchemeMPC) || w.Tier == canon.Cold {
			continue
		}
		for _, name := range w.Accounts {
			if a, ok := b.Charter.Holder(w, name); ok && a.Name == name && a.Client == client.Name {
				return w, a, nil
			}
		}
	}
	return canon.Wallet{}, canon.Account{}, fmt.Errorf("wallet: expected one on %s with an account of client %s, found none", chain, client.Name)
}

// payee returns an address of the client's book that the account may pay to.
func (b *Builder) payee(chain canon.ChainID, account canon.Account) ([]byte, error) {
	for e := range b.Book.All() {
		if e.Chain == chain && e.Client == account.Client && (e.Account == canon.Any || e.Account == account.Name) {
			return e.Address, nil
		}
	}
	return nil, fmt.Errorf("address book: expected an address of client %s on %s, found none", account.Client, chain)
}

// Request returns a request with a new id, for an amount of the asset that is large enough to need officers, and the rule for it.
func (b *Builder) Request(asset canon.AssetID) (canon.Request, *canon.Rule, error) {
	none := canon.Request{}
	client, key, err := b.owner()
	if err != nil {
		return none, nil, err
	}
	wallet, account, err := b.source(asset.Chain())
	if err != nil {
		return none, nil, err
	}
	address, err := b.payee(wallet.Chain, account)
	if err != nil {
		return none, nil, err
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return none, nil, err
	}
	r := canon.Request{
		Organisation: b.Charter.Organisation(), Requester: key, Client: client.Name, Account: account.Name, RequestID: "hostile-" + hex.EncodeToString(id),
		Chain: wallet.Chain, Wallet: wallet.Name, Outputs: []canon.Output{{Address: address, Asset: asset}},
		NotBefore: b.now() - 10, NotAfter: b.now() + requestLife,
	}
	rule, err := b.raise(&r)
	if err != nil {
		return none, nil, err
	}
	coin, ok := b.Charter.NativeAsset(r.Chain)
	i := slices.IndexFunc(rule.FeeCaps, func(c canon.AssetAmount) bool { return c.Asset == coin.ID })
	if !ok || i < 0 {
		return none, nil, fmt.Errorf("rule %s: expected a fee cap for %s, found none", rule.Name, r.Chain)
	}
	r.FeeCap = rule.FeeCaps[i].Amount
	return r, rule, nil
}

// raise doubles the amount until the rules ask officers. It starts above what any node takes for dust.
func (b *Builder) raise(r *canon.Request) (*canon.Rule, error) {
	facts := policy.Facts{Request: r}
	var err, last error
	if facts.Balances, err = decoded[canon.Balances](b.Balances); err != nil {
		return nil, err
	}
	if facts.Prices, err = decoded[canon.Price](b.Prices); err != nil {
		return nil, err
	}
	for n := big.NewInt(10_000); n.BitLen() <= 128; n.Lsh(n, 1) {
		r.Outputs[0].Amount = canon.Amount(n.Bytes())
		facts.Destinations = b.destinations(r)
		v := policy.Decide(b.Charter, facts)
		if v.Action == canon.ActionApprove {
			return v.Rule, nil
		}
		last = v.Explanation
	}
	return nil, fmt.Errorf("rules: expected one that asks officers about %s, found none: %w", r.Outputs[0].Asset, last)
}

// decoded reads the documents of statements.
func decoded[D any, P interface {
	*D
	canon.Document
}](list []canon.Signed) ([]D, error) {
	out := make([]D, len(list))
	for i, s := range list {
		if err := canon.Decode(s.Document, P(&out[i])); err != nil {
			return nil, fmt.Errorf("statements: %w", err)
		}
	}
	return out, nil
}

// Sign has a client's key sign the request.
func Sign(r canon.Request, client approval.Signer) (canon.Signed, error) {
	document, err := canon.Encode(r)
	if err != nil {
		return canon.Signed{}, err
	}
	return client.Sign(canon.KindRequest, document, approval.NamespaceRequest)
}

// Paper returns a withdrawal of the asset that the client asked for and enough officers approved; it has no transaction yet.
func (b *Builder) Paper(asset canon.AssetID) (*Paper, error) {
	r, rule, err := b.Request(asset)
	if err != nil {
		return nil, err
	}
	signed, err := Sign(r, b.Client)
	if err != nil {
		return nil, err
	}
	proof, ok := b.Book.Prove(r.Chain, r.Outputs[0].Address, r.Client)
	if !ok {
		return nil, fmt.Errorf("address book: expected %x of client %s, found none", r.Outputs[0].Address, r.Client)
	}
	p := &Paper{
		Request: r, Addresses: []canon.BookProof{proof}, Version: 1, Stamp: b.now(), Until: b.now() + canon.Time(min(rule.Signing, signingLife)),
		Intent: canon.Intent{
			Organisation: r.Organisation, Withdrawal: r.WithdrawalID(), Request: signed, Rule: rule.Name, Quorum: rule.Quorum,
			CharterNumber: b.Charter.Number(), Charter: b.Charter.Digest(), Mode: canon.Template, FeeCap: r.FeeCap,
			NotAfter: min(r.NotAfter, r.NotBefore+canon.Time(rule.Expiry), b.Charter.Genesis().NotAfter), Destinations: b.destinations(&r),
			Balances: b.Balances, Prices: b.Prices,
		},
	}
	if len(b.Balances)+len(b.Prices) > 0 {
		p.Intent.At = b.now()
	}
	return p, b.Approve(p)
}

// Approve lets one officer after the other approve the paper's intent until its quorum is met.
func (b *Builder) Approve(p *Paper) error {
	digest, err := p.IntentDigest()
	if err != nil {
		return err
	}
	p.Approvals = nil
	for _, name := range slices.Sorted(maps.Keys(b.Officers)) {
		signed, err := b.Approval(name, digest, "")
		if err != nil {
			return err
		}
		p.Approvals = append(p.Approvals, signed)
		tally, err := approval.Tally(b.Charter, approval.Subject{Intent: digest, Withdrawal: p.Intent.Withdrawal}, p.Intent.Quorum, p.Request.Requester, p.Approvals, nil, b.now())
		if err != nil || tally.Met {
			return err
		}
	}
	return errUnmet
}

// Approval has an officer approve an intent.
func (b *Builder) Approval(officer canon.Name, intent canon.Digest, reason canon.Text) (canon.Signed, error) {
	document, err := canon.Encode(canon.Approval{
		Organisation: b.Charter.Organisation(), Object: canon.ObjectIntent, Digest: intent, Decision: canon.Approve, Officer: officer,
		NotAfter: b.now() + approvalLife, Reason: reason,
	})
	if err != nil {
		return canon.Signed{}, err
	}
	return b.officerSigns(officer, canon.KindApproval, document)
}

// Rejection has an officer reject an intent, by a statement that he takes to the signers himself.
func (b *Builder) Rejection(officer canon.Name, intent canon.Digest) (canon.Signed, error) {
	document, err := canon.Encode(canon.Statement{
		Organisation: b.Charter.Organisation(), Officer: officer, Serial: uint64(b.now()), Verb: canon.StateReject, Object: intent,
	})
	if err != nil {
		return canon.Signed{}, err
	}
	return b.officerSigns(officer, canon.KindStatement, document)
}

func (b *Builder) officerSigns(officer canon.Name, kind canon.Kind, document []byte) (canon.Signed, error) {
	signer, ok := b.Officers[officer]
	if !ok {
		return canon.Signed{}, fmt.Errorf("officers: expected the key of %s, found none", officer)
	}
	return signer.Sign(kind, document, approval.NamespaceApproval)
}
