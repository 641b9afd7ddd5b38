package hostile

import (
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// misstated changes, leaves out and invents what the rules of a payment read. Officers approve it as it then is: they see what the intent says.
func (b *Builder) misstated(p Papers) ([]Case, error) {
	if p.Stated == nil {
		return nil, nil
	}
	var out []Case
	for _, c := range []struct {
		name, field string
		change      func(*Paper) error
	}{
		{"price that its authority did not state", "signature", b.forgePrice},
		{"price that is stale", "not_after", func(q *Paper) error {
			return b.restate(&q.Intent.Prices[0], func(v *canon.Price) canon.Name {
				source, _ := b.Charter.PriceSource(v.Asset, v.Currency)
				v.At -= canon.Time(source.MaxAge) + 60
				return v.Authority
			})
		}},
		{"price by an authority that nobody asked", "authority", func(q *Paper) error {
			return b.restate(&q.Intent.Prices[0], func(v *canon.Price) canon.Name {
				v.Authority = b.rival(*v)
				return v.Authority
			})
		}},
		{"clearance of another request", "request", func(q *Paper) error {
			return b.restateClearance(&q.Intent.Clearances[0], func(v *canon.Clearance) { v.Request[0] ^= 1 })
		}},
		{"clearance that refuses", "clearance", func(q *Paper) error {
			return b.restateClearance(&q.Intent.Clearances[0], func(v *canon.Clearance) { v.Cleared, v.Reason = false, "sanctions" })
		}},
		{"clearance left out", "clearance", func(q *Paper) error { q.Intent.Clearances = nil; return nil }},
		{"prices left out", "value", func(q *Paper) error { q.Intent.Prices = nil; return nil }},
		{"group that the proof has not", "intent.destinations[0].groups", func(q *Paper) error {
			q.Intent.Destinations = []canon.Destination{{Groups: append([]canon.Name{"invented"}, q.Intent.Destinations[0].Groups...)}}
			return nil
		}},
		{"group that every version of the book has, said of some", "to", func(q *Paper) error {
			q.Intent.Destinations = []canon.Destination{{Recent: q.Intent.Destinations[0].Groups}}
			return nil
		}},
		{"intent completed before it was asked for", "intent.at", func(q *Paper) error { q.Intent.At = q.Request.NotBefore - 1; return nil }},
		{"intent completed in the future", "intent.at", func(q *Paper) error {
			q.Intent.At = b.now() + canon.Time(b.Charter.Genesis().Delays.ClockSkew) + 60
			return nil
		}},
		{"nothing stated at all", "", func(q *Paper) error {
			q.Intent.At, q.Intent.Prices, q.Intent.Clearances, q.Intent.Balances = 0, nil, nil, nil
			return nil
		}},
	} {
		q := p.Stated.Clone()
		if err := c.change(q); err != nil {
			return nil, err
		}
		if err := b.carryOut(q); err != nil {
			return nil, err
		}
		out = append(out, Case{Name: "statements: " + c.name, Field: c.field, Paper: q})
	}
	moved, err := b.misplaced(p)
	return append(out, moved...), err
}

// forgePrice changes a price and leaves the signature.
func (b *Builder) forgePrice(q *Paper) error {
	var v canon.Price
	if err := canon.Decode(q.Intent.Prices[0].Document, &v); err != nil {
		return err
	}
	v.Value = canon.AmountOf(v.Value.Int().Uint64() + 1)
	document, err := canon.Encode(v)
	q.Intent.Prices[0].Document = document
	return err
}

// rival returns an authority that states prices and is not asked for this one.
func (b *Builder) rival(v canon.Price) canon.Name {
	for _, a := range b.Charter.Genesis().Authorities {
		if a.Purpose == canon.PurposePrice && a.Name != v.Authority && b.Stating[a.Name] != nil {
			return a.Name
		}
	}
	return v.Authority
}

// restate has a price stated again, by whom change returns.
func (b *Builder) restate(s *canon.Signed, change func(*canon.Price) canon.Name) error {
	var v canon.Price
	if err := canon.Decode(s.Document, &v); err != nil {
		return err
	}
	var list []canon.Signed
	if err := b.state(&list, change(&v), &v); err != nil {
		return err
	}
	*s = list[0]
	return nil
}

func (b *Builder) restateClearance(s *canon.Signed, change func(*canon.Clearance)) error {
	var v canon.Clearance
	if err := canon.Decode(s.Document, &v); err != nil {
		return err
	}
	change(&v)
	var list []canon.Signed
	if err := b.state(&list, v.Authority, v); err != nil {
		return err
	}
	*s = list[0]
	return nil
}

// misplaced has assets move where they must not: to what is called the account's own and is not, by a desk to an outside address, and out of a
// colder tier on the word of too few signers.
func (b *Builder) misplaced(p Papers) ([]Case, error) {
	if p.Moved == nil {
		return nil, nil
	}
	stranger, err := strangerAddress()
	if err != nil {
		return nil, err
	}
	own := p.Moved.Request.Outputs[0].Own
	wallet, _ := b.Charter.Wallet(own.Wallet)
	asked := p.Moved.Request
	asked.Wallet = own.Wallet
	_, other, err := b.otherAccount(asked)
	if err != nil {
		return nil, err
	}
	spot, err := b.spot(wallet, other, wallets.BranchReceive, 0)
	if err != nil {
		return nil, err
	}
	others := spot.Address
	var out []Case
	for _, c := range []struct {
		name, field string
		to          []byte
		change      func(*Paper) error
	}{
		{"to a stranger's address, said to be the account's own", "outputs[0].address", stranger[:], nil},
		{"to another account's address, said to be the account's own", "outputs[0].address", others, nil},
		{"on the word of one signer", "balances", nil, func(q *Paper) error { q.Intent.Balances = q.Intent.Balances[:1]; return nil }},
		{"on the word of nobody", "balances", nil, func(q *Paper) error { q.Intent.Balances = nil; return nil }},
		{"which one signer says is too hot already", "hot wallets", nil, b.liar},
	} {
		q := p.Moved.Clone()
		if c.to != nil {
			q.Request.Outputs[0].Address = c.to
		}
		if err := b.settle(q); err != nil {
			return nil, err
		}
		if c.change != nil {
			if err := c.change(q); err != nil {
				return nil, err
			}
		}
		out = append(out, Case{Name: "move " + c.name, Field: c.field, Paper: q})
	}
	desk, err := b.deskPays(p.Stated)
	return append(out, desk...), err
}

// liar has one signer say that everything lies in the other wallets.
func (b *Builder) liar(q *Paper) error {
	var v canon.Balances
	last := len(q.Intent.Balances) - 1
	if err := canon.Decode(q.Intent.Balances[last].Document, &v); err != nil {
		return err
	}
	var list []canon.Signed
	if err := b.state(&list, v.Signer, b.held(v.Signer, &q.Request, 1_000_000)); err != nil {
		return err
	}
	q.Intent.Balances[last] = list[0]
	return nil
}

// deskPays has a treasury desk ask for a payment to an address of the client's book.
func (b *Builder) deskPays(base *Paper) ([]Case, error) {
	if b.Desk == nil {
		return nil, nil
	}
	desk := Builder{Charter: b.Charter, Client: b.Desk}
	_, key, err := desk.owner()
	if err != nil {
		return nil, err
	}
	q := base.Clone()
	q.Request.Requester = key
	if q.Intent.Request, err = Sign(q.Request, b.Desk); err != nil {
		return nil, err
	}
	q.Intent.Withdrawal = q.Request.WithdrawalID()
	if _, err := b.facts(&q.Intent, &q.Request); err != nil {
		return nil, err
	}
	return []Case{{Name: "payment to an outside address by a treasury desk", Field: "outputs[0].own", Paper: q}}, b.carryOut(q)
}
