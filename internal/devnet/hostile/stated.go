package hostile

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// facts returns what an honest service gathers about a request that is not signed yet: the groups of its addresses, and what everybody whose key
// there is states of now. Clearances name the signed request; until there is one they name none.
func (b *Builder) facts(i *canon.Intent, r *canon.Request) (policy.Facts, error) {
	f := policy.Facts{Request: r}
	i.Destinations = b.destinations(r)
	f.Destinations = i.Destinations
	if len(b.Stating) == 0 {
		return f, nil
	}
	g, org, now := b.Charter.Genesis(), b.Charter.Organisation(), b.now()
	i.At, i.Prices, i.Clearances, i.Balances = now, nil, nil, nil
	for _, s := range g.Prices {
		by := slices.IndexFunc(s.Authorities, func(n canon.Name) bool { return b.Stating[n] != nil })
		if by < 0 {
			continue
		}
		p := canon.Price{Organisation: org, Authority: s.Authorities[by], Asset: s.Asset, Currency: s.Currency, Value: s.Min, At: now}
		if err := b.state(&i.Prices, p.Authority, p); err != nil {
			return f, err
		}
		f.Prices = append(f.Prices, p)
	}
	for _, a := range g.Authorities {
		if a.Purpose != canon.PurposeScreening && a.Purpose != canon.PurposeTravelRule || b.Stating[a.Name] == nil {
			continue
		}
		c := canon.Clearance{Organisation: org, Authority: a.Name, Request: canon.KindRequest.Digest(i.Request.Document), Cleared: true, At: now, NotAfter: now + requestLife, Data: r.TravelData}
		if err := b.state(&i.Clearances, a.Name, c); err != nil {
			return f, err
		}
		f.Clearances = append(f.Clearances, c)
	}
	for _, s := range g.Signers {
		if b.Stating[s.Name] == nil {
			continue
		}
		held := b.held(s.Name, r, 1)
		if err := b.state(&i.Balances, s.Name, held); err != nil {
			return f, err
		}
		f.Balances = append(f.Balances, held)
	}
	return f, nil
}

// held says that the wallet that pays holds a thousand times what it pays, and every other on the chain so many times.
func (b *Builder) held(signer canon.Name, r *canon.Request, others int64) canon.Balances {
	h := canon.Balances{Organisation: b.Charter.Organisation(), Signer: signer, Chain: r.Chain, Height: 9, Block: canon.Digest{9}, At: b.now()}
	for _, w := range b.Charter.Genesis().Wallets {
		if w.Chain != r.Chain {
			continue
		}
		times := others
		if w.Name == r.Wallet {
			times = 1000
		}
		paid := r.Outputs[0]
		h.Holdings = append(h.Holdings, canon.Holding{Wallet: w.Name, Asset: paid.Asset, Amount: canon.Amount(new(big.Int).Mul(paid.Amount.Int(), big.NewInt(times)).Bytes())})
	}
	slices.SortFunc(h.Holdings, func(a, b canon.Holding) int { return cmp.Compare(a.Wallet, b.Wallet) })
	return h
}

// state has its author sign a statement.
func (b *Builder) state(list *[]canon.Signed, author canon.Name, d canon.Document) error {
	key, ok := b.Stating[author]
	if !ok {
		return fmt.Errorf("stating: expected the key of %s, found none", author)
	}
	document, err := canon.Encode(d)
	if err != nil {
		return err
	}
	*list = append(*list, canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(key, d.Kind().Message(document))})
	return nil
}

// destinations returns the groups of each output's address in the book; nil if none is in any.
func (b *Builder) destinations(r *canon.Request) []canon.Destination {
	all, some := make([]canon.Destination, len(r.Outputs)), false
	for e := range b.Book.All() {
		for i, o := range r.Outputs {
			if o.Own == nil && e.Chain == r.Chain && e.Client == r.Client && string(e.Address) == string(o.Address) && len(e.Groups) > 0 {
				all[i].Groups, some = e.Groups, true
			}
		}
	}
	if !some {
		return nil
	}
	return all
}

// Stated returns a transfer of the base's coin, approved by officers, under a rule that asks authorities to clear it. It is nil where the charter has
// no such rule for the client, or nobody's keys to state what it reads are there.
func (b *Builder) Stated(base *Paper) (*Paper, error) {
	for _, rule := range b.Charter.Genesis().Rules {
		if len(rule.Clearances) == 0 || len(b.Stating) == 0 || len(rule.Wallets) == 0 {
			continue
		}
		wallet, ok := b.Charter.Wallet(rule.Wallets[0])
		if !ok || wallet.Chain != base.Request.Chain || !slices.Contains(wallet.Accounts, base.Request.Account) {
			continue
		}
		p := base.Clone()
		p.Request.Wallet = wallet.Name
		for n := big.NewInt(10_000); n.BitLen() <= 128; n.Lsh(n, 1) {
			p.Request.Outputs[0].Amount = canon.Amount(n.Bytes())
			f, err := b.facts(&p.Intent, &p.Request)
			if err != nil {
				return nil, err
			}
			if v := policy.Decide(b.Charter, f); v.Action == canon.ActionApprove && v.Rule.Name == rule.Name {
				return p, b.settle(p)
			}
		}
	}
	return nil, nil
}

// Moved returns the base as a move to the account's own address in another wallet of the chain, or nil where no rule lets that happen.
func (b *Builder) Moved(base *Paper) (*Paper, error) {
	if base == nil {
		return nil, nil
	}
	account, _ := b.Charter.Account(base.Request.Account)
	for _, w := range b.Charter.Genesis().Wallets {
		if w.Chain != base.Request.Chain || w.Name == base.Request.Wallet || !slices.Contains(w.Accounts, account.Name) {
			continue
		}
		spot, err := b.spot(w, account, wallets.BranchReceive, 0)
		if err != nil {
			return nil, err
		}
		to := spot.Address
		p := base.Clone()
		p.Request.Outputs[0].Address, p.Request.Outputs[0].Own = to, &canon.OwnAddress{Wallet: w.Name}
		f, err := b.facts(&p.Intent, &p.Request)
		if err != nil {
			return nil, err
		}
		if v := policy.Decide(b.Charter, f); v.Action == canon.ActionAllow || v.Action == canon.ActionApprove {
			return p, b.settle(p)
		}
	}
	return nil, nil
}

// settle gives the paper, whose request is new, signatures, statements, an intent and an EVM transaction that fit it.
func (b *Builder) settle(p *Paper) error {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	p.Request.RequestID = "hostile-" + hex.EncodeToString(id)
	signed, err := Sign(p.Request, b.Client)
	if err != nil {
		return err
	}
	p.Intent.Request, p.Intent.Withdrawal = signed, p.Request.WithdrawalID()
	f, err := b.facts(&p.Intent, &p.Request)
	if err != nil {
		return err
	}
	if v := policy.Decide(b.Charter, f); v.Rule != nil && v.Action != canon.ActionDeny {
		p.Intent.Rule, p.Intent.Quorum = v.Rule.Name, v.Rule.Quorum
	}
	return b.carryOut(p)
}

// carryOut gives the paper the transfer that its request asks for, from the account's address in the request's wallet, and has the intent approved.
func (b *Builder) carryOut(p *Paper) error {
	wallet, _ := b.Charter.Wallet(p.Request.Wallet)
	account, _ := b.Charter.Account(p.Request.Account)
	spot, err := b.spot(wallet, account, wallets.BranchReceive, 0)
	if err != nil {
		return err
	}
	out := p.Request.Outputs[0]
	p.EVM.To, p.EVM.Value, p.EVM.Nonce = [20]byte(out.Address), out.Amount.Int(), wallet.StartNonce
	p.Sender, p.Inputs, p.Addresses = [20]byte(spot.Address), []canon.OwnPath{{Account: account.Name}}, nil
	if proof, ok := b.Book.Prove(p.Request.Chain, out.Address, p.Request.Client); ok && out.Own == nil {
		p.Addresses = []canon.BookProof{proof}
	}
	if p.Approvals = nil; len(p.Intent.Quorum.AnyOf) == 0 {
		return nil
	}
	return b.Approve(p)
}
