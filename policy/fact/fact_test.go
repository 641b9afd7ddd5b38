package fact_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// now is when the intents of these tests are judged; the clock skew is 10 seconds.
const now = canon.Time(1_800_000_000)

func organisation(t testing.TB) *charter.Charter {
	t.Helper()
	g := chartertest.Genesis()
	for name, purpose := range map[canon.Name]canon.Purpose{"kyc-desk": canon.PurposeAttribute, "screening": canon.PurposeScreening,
		"travel": canon.PurposeTravelRule, "other-prices": canon.PurposePrice} {
		g.Authorities = append(g.Authorities, canon.Authority{Name: name, Purpose: purpose, Key: chartertest.Public(string(name))})
	}
	g.Prices = []canon.PriceSource{{Asset: chartertest.BTC, Currency: "USD", Authorities: []canon.Name{"prices"}, MaxAge: 60, Min: canon.AmountOf(100), Max: canon.AmountOf(200)}}
	return chartertest.Open(t, g)
}

// sign signs a document with the key of that name.
func sign(t testing.TB, d canon.Document, key string) canon.Signed {
	t.Helper()
	b, err := canon.Encode(d)
	if err != nil {
		t.Fatal(err)
	}
	return canon.Signed{Document: b, Scheme: canon.Ed25519, Signature: ed25519.Sign(chartertest.Key(key), d.Kind().Message(b))}
}

func request(c *charter.Charter) *canon.Request {
	return &canon.Request{
		Organisation: c.Organisation(), Requester: chartertest.Public("acme"), Client: "acme", Account: "acme-main", RequestID: "1",
		Chain: chartertest.Bitcoin, Wallet: "btc-hot", NotBefore: now - 100, NotAfter: now + 3600, TravelData: make([]byte, 32),
		Outputs: []canon.Output{{Address: []byte{1}, Asset: chartertest.BTC, Amount: canon.AmountOf(1)}, {Address: []byte{2}, Asset: chartertest.BTC, Amount: canon.AmountOf(1)}},
	}
}

// statements are one of each kind that count for the request.
type statements struct {
	price     canon.Price
	attribute canon.Attribute
	clearance canon.Clearance
	balances  canon.Balances
	keys      [4]string
}

func valid(t testing.TB, c *charter.Charter, r *canon.Request) statements {
	t.Helper()
	_, digest, err := canon.Seal(*r)
	if err != nil {
		t.Fatal(err)
	}
	id := c.Organisation()
	return statements{
		price:     canon.Price{Organisation: id, Authority: "prices", Asset: chartertest.BTC, Currency: "USD", Value: canon.AmountOf(150), At: now - 60},
		attribute: canon.Attribute{Organisation: id, Authority: "kyc-desk", Client: "acme", Name: "risk", Value: "low", At: now - 1000, NotAfter: now},
		clearance: canon.Clearance{Organisation: id, Authority: "travel", Request: digest, Cleared: true, At: now + 10, NotAfter: now + 60, Data: r.TravelData},
		balances:  canon.Balances{Organisation: id, Signer: "node-1", Chain: chartertest.Bitcoin, Height: 7, Block: canon.Digest{1}, At: now - 300},
		keys:      [4]string{"prices", "kyc-desk", "travel", "node-1"},
	}
}

func (s statements) intent(t testing.TB, r *canon.Request) *canon.Intent {
	t.Helper()
	b, err := canon.Encode(*r)
	if err != nil {
		t.Fatal(err)
	}
	return &canon.Intent{
		At: now, Request: canon.Signed{Document: b},
		Prices: []canon.Signed{sign(t, s.price, s.keys[0])}, Attributes: []canon.Signed{sign(t, s.attribute, s.keys[1])},
		Clearances: []canon.Signed{sign(t, s.clearance, s.keys[2])}, Balances: []canon.Signed{sign(t, s.balances, s.keys[3])},
	}
}

func TestStatementsThatCountAreFacts(t *testing.T) {
	c := organisation(t)
	r := request(c)
	i := valid(t, c, r).intent(t, r)
	i.Destinations = []canon.Destination{{Groups: []canon.Name{"exchanges"}}, {}}
	f, err := fact.OfIntent(c, i, r)
	if err != nil {
		t.Fatal(err)
	}
	if f.Request != r || len(f.Destinations) != 2 || len(f.Prices) != 1 || len(f.Attributes) != 1 || len(f.Clearances) != 1 || len(f.Balances) != 1 {
		t.Errorf("expected one fact of each kind, found %+v", f)
	}
	if _, err := fact.OfIntent(c, &canon.Intent{}, r); err != nil {
		t.Errorf("expected an intent without statements to need no time, found %v", err)
	}
}

// Each case breaks one thing, and names the field that the refusal must name.
func TestOneStatementThatDoesNotCountRefusesTheWhole(t *testing.T) {
	c := organisation(t)
	for name, tt := range map[string]struct {
		change func(*statements)
		rule   string
		field  string
	}{
		"price of another organisation":        {func(s *statements) { s.price.Organisation[0]++ }, "price", "organisation"},
		"price by nobody":                      {func(s *statements) { s.price.Authority = "nobody" }, "price", "authority"},
		"price by an authority of attributes":  {func(s *statements) { s.price.Authority, s.keys[0] = "kyc-desk", "kyc-desk" }, "price", "authority"},
		"price by another authority of prices": {func(s *statements) { s.price.Authority, s.keys[0] = "other-prices", "other-prices" }, "price", "authority"},
		"price signed by another":              {func(s *statements) { s.keys[0] = "kyc-desk" }, "price", "signature"},
		"price of an asset without source":     {func(s *statements) { s.price.Asset = chartertest.ETH }, "price", "asset"},
		"price in a currency without source":   {func(s *statements) { s.price.Currency = "EUR" }, "price", "asset"},
		"price below its bounds":               {func(s *statements) { s.price.Value = canon.AmountOf(99) }, "price", "value"},
		"price above its bounds":               {func(s *statements) { s.price.Value = canon.AmountOf(201) }, "price", "value"},
		"price too old":                        {func(s *statements) { s.price.At = now - 61 }, "price", "not_after"},
		"price of the future":                  {func(s *statements) { s.price.At = now + 11 }, "price", "at"},
		"attribute of another organisation":    {func(s *statements) { s.attribute.Organisation[0]++ }, "attribute", "organisation"},
		"attribute by an authority of prices":  {func(s *statements) { s.attribute.Authority, s.keys[1] = "prices", "prices" }, "attribute", "authority"},
		"attribute signed by another":          {func(s *statements) { s.keys[1] = "prices" }, "attribute", "signature"},
		"attribute of another client":          {func(s *statements) { s.attribute.Client = "beta" }, "attribute", "client"},
		"attribute that ran out":               {func(s *statements) { s.attribute.NotAfter = now - 1 }, "attribute", "not_after"},
		"attribute of the future":              {func(s *statements) { s.attribute.At = now + 11 }, "attribute", "at"},
		"clearance of another organisation":    {func(s *statements) { s.clearance.Organisation[0]++ }, "clearance", "organisation"},
		"clearance by an authority of prices":  {func(s *statements) { s.clearance.Authority, s.keys[2] = "prices", "prices" }, "clearance", "authority"},
		"clearance signed by another":          {func(s *statements) { s.keys[2] = "screening" }, "clearance", "signature"},
		"clearance of another request":         {func(s *statements) { s.clearance.Request[0]++ }, "clearance", "request"},
		"clearance of other travel-rule data":  {func(s *statements) { s.clearance.Data = append(make([]byte, 31), 1) }, "clearance", "data"},
		"clearance of no travel-rule data":     {func(s *statements) { s.clearance.Data = nil }, "clearance", "data"},
		"clearance that ran out":               {func(s *statements) { s.clearance.NotAfter = now - 1 }, "clearance", "not_after"},
		"clearance of the future":              {func(s *statements) { s.clearance.At = now + 11 }, "clearance", "at"},
		"balances of another organisation":     {func(s *statements) { s.balances.Organisation[0]++ }, "balances", "organisation"},
		"balances by nobody":                   {func(s *statements) { s.balances.Signer = "nobody" }, "balances", "signer"},
		"balances by an authority":             {func(s *statements) { s.balances.Signer, s.keys[3] = "prices", "prices" }, "balances", "signer"},
		"balances signed by another":           {func(s *statements) { s.keys[3] = "node-2" }, "balances", "signature"},
		"balances too old":                     {func(s *statements) { s.balances.At = now - 301 }, "balances", "not_after"},
		"balances of the future":               {func(s *statements) { s.balances.At = now + 11 }, "balances", "at"},
	} {
		r := request(c)
		s := valid(t, c, r)
		tt.change(&s)
		_, err := fact.OfIntent(c, s.intent(t, r), r)
		why := refusal.Of(err)
		if why == nil {
			t.Errorf("%s: expected a refusal, found %v", name, err)
			continue
		}
		for _, f := range why.Failures {
			if f.Rule != tt.rule || f.Field != tt.field {
				t.Errorf("%s: expected a refusal of %s.%s alone, found %v", name, tt.rule, tt.field, err)
			}
		}
	}
}

func TestIntentsWhoseFactsDoNotFitAreRefused(t *testing.T) {
	c := organisation(t)
	for field, change := range map[string]func(*canon.Intent){
		"intent.at":              func(i *canon.Intent) { i.At = 0 },
		"intent.destinations":    func(i *canon.Intent) { i.Destinations = make([]canon.Destination, 1) },
		"intent.prices":          func(i *canon.Intent) { i.Prices = make([]canon.Signed, 65) },
		"intent.attributes":      func(i *canon.Intent) { i.Attributes = make([]canon.Signed, 65) },
		"intent.clearances":      func(i *canon.Intent) { i.Clearances = make([]canon.Signed, 65) },
		"intent.balances":        func(i *canon.Intent) { i.Balances = make([]canon.Signed, 65) },
		"document":               func(i *canon.Intent) { i.Prices[0].Document = i.Prices[0].Document[1:] },
		"signature":              func(i *canon.Intent) { i.Attributes[0].Signature[3] ^= 1 },
		"after the beginning at": func(i *canon.Intent) { i.At = now - 101 },
	} {
		r := request(c)
		i := valid(t, c, r).intent(t, r)
		change(i)
		_, err := fact.OfIntent(c, i, r)
		why := refusal.Of(err)
		if why == nil || !strings.HasSuffix(field, "at") && why.Failures[0].Field != field || strings.HasSuffix(field, "at") && why.Failures[0].Field != "intent.at" {
			t.Errorf("%s: expected a refusal, found %v", field, err)
		}
	}
	for _, scheme := range []canon.Scheme{0, canon.SSHSig} {
		r := request(c)
		i := valid(t, c, r).intent(t, r)
		i.Balances[0].Scheme = scheme
		if _, err := fact.OfIntent(c, i, r); refusal.Of(err) == nil {
			t.Errorf("scheme %d: expected a refusal, found %v", scheme, err)
		}
	}
}

// A statement of one kind is never one of another, although both are signed by the same key: their kinds are signed with them.
func TestStatementsOfOneKindAreNoneOfAnother(t *testing.T) {
	c := organisation(t)
	r := request(c)
	i := valid(t, c, r).intent(t, r)
	all := [][]canon.Signed{i.Prices, i.Attributes, i.Clearances, i.Balances}
	for a := range all {
		for b := range all {
			if a == b {
				continue
			}
			mixed := &canon.Intent{At: now, Request: i.Request}
			*[]*[]canon.Signed{&mixed.Prices, &mixed.Attributes, &mixed.Clearances, &mixed.Balances}[a] = all[b]
			if _, err := fact.OfIntent(c, mixed, r); refusal.Of(err) == nil {
				t.Errorf("list %d with a statement of list %d: expected a refusal, found %v", a, b, err)
			}
		}
	}
}

// Whatever bytes come in, they are refused, or are the statement that was signed.
func FuzzStatements(f *testing.F) {
	c := organisation(f)
	r := request(c)
	i := valid(f, c, r).intent(f, r)
	good := [][]canon.Signed{i.Prices, i.Attributes, i.Clearances, i.Balances}
	for kind, list := range good {
		f.Add(byte(kind), list[0].Document, list[0].Signature, byte(list[0].Scheme))
	}
	f.Fuzz(func(t *testing.T, kind byte, document, signature []byte, scheme byte) {
		at := int(kind) % len(good)
		in := &canon.Intent{At: now, Request: i.Request}
		list := []canon.Signed{{Document: document, Scheme: canon.Scheme(scheme), Signature: signature}}
		*[]*[]canon.Signed{&in.Prices, &in.Attributes, &in.Clearances, &in.Balances}[at] = list
		_, err := fact.OfIntent(c, in, r)
		same := string(document) == string(good[at][0].Document) && string(signature) == string(good[at][0].Signature)
		if err == nil && !same {
			t.Fatalf("expected a refusal of %x", document)
		}
		if err != nil && refusal.Of(err) == nil {
			t.Fatalf("expected a refusal, found %v", err)
		}
	})
}

// Where the charter bounds how old an authority's statements get they count no longer, whatever they say themselves.
func TestStatementsCountNoLongerThanTheCharterSays(t *testing.T) {
	for _, tt := range []struct {
		authority canon.Name
		age       uint64 // at which the charter ends it
		rule      string // none: it counts
	}{
		{"kyc-desk", 999, "attribute"}, {"kyc-desk", 1000, ""}, {"kyc-desk", 0, ""}, {"travel", 49, "clearance"}, {"travel", 50, ""},
	} {
		g := *organisation(t).Genesis()
		g.Authorities = slices.Clone(g.Authorities)
		for i := range g.Authorities {
			if g.Authorities[i].Name == tt.authority {
				g.Authorities[i].MaxAge = tt.age
			}
		}
		c := chartertest.Open(t, g)
		r := request(c)
		s := valid(t, c, r)
		s.clearance.At = now - 50
		_, err := fact.OfIntent(c, s.intent(t, r), r)
		refused := refusal.Of(err)
		if (refused == nil) != (tt.rule == "") || refused != nil && (len(refused.Failures) != 1 || refused.Failures[0].Rule != tt.rule || refused.Failures[0].Field != "not_after") {
			t.Errorf("%s for %d s: expected a refusal by %q alone, found %v", tt.authority, tt.age, tt.rule, err)
		}
	}
}
