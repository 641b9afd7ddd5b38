package guard

import (
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
)

func TestWithdrawalByStatementsIsSignable(t *testing.T) {
	w := worldOf(t, []canon.BookEntry{exchange()}, withFacts(canon.ActionAllow))
	s, err := Check(w.encode(w.factPaper()), w.view())
	if err != nil {
		t.Fatal(err)
	}
	charges := s.Charges()
	if len(charges) != 2 || charges[1].Limit != "money-day" || charges[1].Counter != "client=acme wallet=btc-warm" || charges[1].Amount.Int().Int64() != 50_020_000_000 {
		t.Errorf("expected a charge of 50,020 dollars on the client's counter, found %+v", charges)
	}
	if err := s.CheckReservation(w.reservation(s), w.view()); err != nil {
		t.Error(err)
	}
	r := w.reservation(s)
	r.Charges[1].Counter = "client=globex wallet=btc-warm"
	refused(t, s.CheckReservation(r, w.view()), "reservation.charges[1]")
}

// A coordinator that leaves out, changes or invents what the rule reads, and is refused by name.
func TestStatementsThatDoNotCountAreRefused(t *testing.T) {
	now := canon.TimeOf(start)
	type change func(w *world, i *canon.Intent)
	price := func(by string, edit func(*canon.Price)) change {
		return func(w *world, i *canon.Intent) {
			p := canon.Price{Organisation: w.charter.Organisation(), Authority: canon.Name(by), Asset: btc, Currency: "USD", Value: dollars(100_000), At: now - 20}
			edit(&p)
			i.Prices = []canon.Signed{w.stated(by, p)}
		}
	}
	cleared := func(edit func(*canon.Clearance)) change {
		return func(w *world, i *canon.Intent) {
			c := canon.Clearance{Organisation: w.charter.Organisation(), Authority: "screening", Request: canon.KindRequest.Digest(i.Request.Document), Cleared: true, At: now - 5, NotAfter: now + 3600}
			edit(&c)
			i.Clearances[0] = w.stated("screening", c)
		}
	}
	kyc := func(edit func(*canon.Attribute)) change {
		return func(w *world, i *canon.Intent) {
			a := canon.Attribute{Organisation: w.charter.Organisation(), Authority: "kyc-desk", Client: "acme", Name: "kyc", Value: "enhanced", At: now - 500, NotAfter: now + 500}
			edit(&a)
			i.Attributes = []canon.Signed{w.stated("kyc-desk", a)}
		}
	}
	held := func(hot, warm uint64, edit func(*canon.Balances)) change {
		return func(w *world, i *canon.Intent) {
			b := canon.Balances{Organisation: w.charter.Organisation(), Signer: "node-2", Chain: btcChain, Height: 100, Block: canon.Digest{7}, At: now - 30,
				Holdings: []canon.Holding{{Wallet: "btc-hot", Asset: btc, Amount: canon.AmountOf(hot)}, {Wallet: "btc-warm", Asset: btc, Amount: canon.AmountOf(warm)}}}
			edit(&b)
			i.Balances[1] = w.stated(string(b.Signer), b)
		}
	}
	for name, c := range map[string]change{
		"price: left out":                      func(_ *world, i *canon.Intent) { i.Prices = nil },
		"price: too high a value":              price("feed", func(p *canon.Price) { p.Value = dollars(300_000) }),
		"price: outside the bounds":            price("feed", func(p *canon.Price) { p.Value = dollars(999) }),
		"price: stale":                         price("feed", func(p *canon.Price) { p.At = now - 301 }),
		"price: to come":                       price("feed", func(p *canon.Price) { p.At = now + 31 }),
		"price: of an authority unasked":       price("rival", func(*canon.Price) {}),
		"price: of somebody":                   price("stranger", func(*canon.Price) {}),
		"price: in another's name":             price("rival", func(p *canon.Price) { p.Authority = "feed" }),
		"price: by an authority for else":      price("screening", func(*canon.Price) {}),
		"price: of another organisation":       price("feed", func(p *canon.Price) { p.Organisation[0] ^= 1 }),
		"price: of another asset":              price("feed", func(p *canon.Price) { p.Asset = eth }),
		"price: in another currency":           price("feed", func(p *canon.Price) { p.Currency = "EUR" }),
		"attribute: left out":                  func(_ *world, i *canon.Intent) { i.Attributes = nil },
		"attribute: another value":             kyc(func(a *canon.Attribute) { a.Value = "basic" }),
		"attribute: of another client":         kyc(func(a *canon.Attribute) { a.Client = "globex" }),
		"attribute: too old":                   kyc(func(a *canon.Attribute) { a.NotAfter = now - 1 }),
		"attribute: another one":               kyc(func(a *canon.Attribute) { a.Name = "risk" }),
		"clearance: all left out":              func(_ *world, i *canon.Intent) { i.Clearances = nil },
		"clearance: one left out":              func(_ *world, i *canon.Intent) { i.Clearances = i.Clearances[:1] },
		"clearance: refused":                   cleared(func(c *canon.Clearance) { c.Cleared = false }),
		"clearance: of another request":        cleared(func(c *canon.Clearance) { c.Request[5] ^= 1 }),
		"clearance: too old":                   cleared(func(c *canon.Clearance) { c.NotAfter = now - 1 }),
		"clearance: over before the intent is": cleared(func(c *canon.Clearance) { c.NotAfter = now + 60 }),
		"clearance: in another's name":         cleared(func(c *canon.Clearance) { c.Authority = "bridge" }),
		"clearance: of other travel data": func(w *world, i *canon.Intent) {
			i.Clearances[1] = w.stated("bridge", canon.Clearance{Organisation: w.charter.Organisation(), Authority: "bridge", Request: canon.KindRequest.Digest(i.Request.Document),
				Cleared: true, At: now, NotAfter: now + 3600, Data: append(make([]byte, 31), 1)})
		},
		"balances: left out":               func(_ *world, i *canon.Intent) { i.Balances = nil },
		"balances: of one signer":          func(_ *world, i *canon.Intent) { i.Balances = i.Balances[:1] },
		"balances: of one signer twice":    func(_ *world, i *canon.Intent) { i.Balances[1] = i.Balances[0] },
		"balances: too old":                held(1e8, 9e8, func(b *canon.Balances) { b.At = now - 301 }),
		"balances: of another chain":       held(1e8, 9e8, func(b *canon.Balances) { b.Chain = evmChain }),
		"balances: of no signer":           held(1e8, 9e8, func(b *canon.Balances) { b.Signer = "front" }),
		"balances: one tells of more hot":  held(10e8, 9e8, func(*canon.Balances) {}),
		"balances: one tells of less warm": held(1e8, 1e8, func(*canon.Balances) {}),
		"groups: left out":                 func(_ *world, i *canon.Intent) { i.Destinations = nil },
		"groups: only lately": func(_ *world, i *canon.Intent) {
			i.Destinations[0] = canon.Destination{Recent: i.Destinations[0].Groups}
		},
		"time: before the request": func(_ *world, i *canon.Intent) { i.At = now - 11 },
		"time: to come":            func(_ *world, i *canon.Intent) { i.At = now + 31 },
		"time: none":               func(_ *world, i *canon.Intent) { i.At = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, []canon.BookEntry{exchange()}, withFacts(canon.ActionAllow))
			p := w.factPaper()
			p.onIntent = func(i *canon.Intent) {
				w.facts(i)
				c(w, i)
			}
			_, err := Check(w.encode(p), w.view())
			if err := explained(err); err != nil {
				t.Error(err)
			}
		})
	}
}

// A group that no proof shows lets nothing through, whatever the intent says.
func TestGroupThatTheProofHasNotLetsNothingThrough(t *testing.T) {
	plain := exchange()
	plain.Groups = []canon.Name{"friends"}
	w := worldOf(t, []canon.BookEntry{plain}, withFacts(canon.ActionAllow))
	_, err := Check(w.encode(w.factPaper()), w.view())
	refused(t, err, "intent.destinations[0].groups")
}
