package fact

import (
	"crypto/ed25519"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// maxStatements bounds each list of statements of an intent.
const maxStatements = 64

// OfIntent verifies the statements that an intent carries and returns them with its request: all that the rules read. It does not hold the
// destinations against the address book; whoever has proofs does.
func OfIntent(c *charter.Charter, i *canon.Intent, r *canon.Request) (policy.Facts, error) {
	f := policy.Facts{Request: r, At: i.At, Destinations: i.Destinations}
	var l refusal.List
	if n := len(i.Destinations); n > 0 && n != len(r.Outputs) {
		l.Add("facts", "intent.destinations", fmt.Sprintf("one for each of %d outputs, or none", len(r.Outputs)), fmt.Sprint(n))
	}
	at := i.At
	stated := len(i.Prices) + len(i.Attributes) + len(i.Clearances) + len(i.Balances)
	if stated > 0 && at == 0 {
		l.Add("facts", "intent.at", "the time that statements are judged by", "none")
	}
	if at != 0 && at < r.NotBefore {
		l.Add("facts", "intent.at", "at or after the request's beginning "+r.NotBefore.At().String(), at.At().String())
	}
	f.Prices = verified(&l, "intent.prices", i.Prices, func(s canon.Signed) (canon.Price, error) { return Price(c, s, at) })
	f.Attributes = verified(&l, "intent.attributes", i.Attributes, func(s canon.Signed) (canon.Attribute, error) { return Attribute(c, s, r.Client, at) })
	f.Clearances = verified(&l, "intent.clearances", i.Clearances, func(s canon.Signed) (canon.Clearance, error) {
		return Clearance(c, s, canon.KindRequest.Digest(i.Request.Document), r, at)
	})
	f.Balances = verified(&l, "intent.balances", i.Balances, func(s canon.Signed) (canon.Balances, error) { return Balances(c, s, at) })
	return f, l.Err()
}

func verified[D any](l *refusal.List, field string, list []canon.Signed, verify func(canon.Signed) (D, error)) []D {
	if len(list) > maxStatements {
		l.Add("facts", field, fmt.Sprintf("at most %d", maxStatements), fmt.Sprint(len(list)))
		return nil
	}
	var out []D
	for n, s := range list {
		d, err := verify(s)
		if err != nil {
			l.Join("facts", fmt.Sprintf("%s[%d]", field, n), err)
			continue
		}
		out = append(out, d)
	}
	return out
}

// Price verifies a price: by an authority that the charter's source of the asset's prices names, within its bounds, and not older than it allows.
func Price(c *charter.Charter, s canon.Signed, at canon.Time) (canon.Price, error) {
	var p canon.Price
	if err := canon.Decode(s.Document, &p); err != nil {
		return p, refusal.New("price", "document", "a canonical price", err.Error())
	}
	var l refusal.List
	authored(&l, c, "price", p.Authority, canon.PurposePrice, p.Organisation, canon.KindPrice, s)
	source, ok := c.PriceSource(p.Asset, p.Currency)
	if !ok {
		l.Add("price", "asset", "an asset and currency of the charter's price sources", fmt.Sprintf("%s in %s", p.Asset, p.Currency))
		return p, l.Err()
	}
	if !slices.Contains(source.Authorities, p.Authority) {
		l.Add("price", "authority", fmt.Sprintf("one of %v", source.Authorities), string(p.Authority))
	}
	if v := p.Value.Int(); v.Cmp(source.Min.Int()) < 0 || v.Cmp(source.Max.Int()) > 0 {
		l.Add("price", "value", fmt.Sprintf("%s to %s", source.Min, source.Max), p.Value.String())
	}
	fresh(&l, c, "price", p.At, p.At+canon.Time(source.MaxAge), at)
	return p, l.Err()
}

// Attribute verifies a statement about the client.
func Attribute(c *charter.Charter, s canon.Signed, client canon.Name, at canon.Time) (canon.Attribute, error) {
	var a canon.Attribute
	if err := canon.Decode(s.Document, &a); err != nil {
		return a, refusal.New("attribute", "document", "a canonical attribute", err.Error())
	}
	var l refusal.List
	authored(&l, c, "attribute", a.Authority, canon.PurposeAttribute, a.Organisation, canon.KindAttribute, s)
	if a.Client != client {
		l.Add("attribute", "client", string(client), string(a.Client))
	}
	fresh(&l, c, "attribute", a.At, policy.CountsUntil(c, a.Authority, a.At, a.NotAfter), at)
	return a, l.Err()
}

// Clearance verifies an authority's decision about the request whose document has that digest. It does not judge whether it clears.
func Clearance(c *charter.Charter, s canon.Signed, request canon.Digest, r *canon.Request, at canon.Time) (canon.Clearance, error) {
	var v canon.Clearance
	if err := canon.Decode(s.Document, &v); err != nil {
		return v, refusal.New("clearance", "document", "a canonical clearance", err.Error())
	}
	var l refusal.List
	purpose := canon.PurposeScreening
	if a, ok := c.Authority(v.Authority); ok && a.Purpose == canon.PurposeTravelRule {
		purpose = canon.PurposeTravelRule
	}
	authored(&l, c, "clearance", v.Authority, purpose, v.Organisation, canon.KindClearance, s)
	if v.Request != request {
		l.Add("clearance", "request", request.String(), v.Request.String())
	}
	if purpose == canon.PurposeTravelRule && !slices.Equal(v.Data, r.TravelData) {
		l.Add("clearance", "data", fmt.Sprintf("%x, which the request binds", r.TravelData), fmt.Sprintf("%d bytes, %x", len(v.Data), v.Data))
	}
	fresh(&l, c, "clearance", v.At, policy.CountsUntil(c, v.Authority, v.At, v.NotAfter), at)
	return v, l.Err()
}

// Balances verifies a signer's statement.
func Balances(c *charter.Charter, s canon.Signed, at canon.Time) (canon.Balances, error) {
	var b canon.Balances
	if err := canon.Decode(s.Document, &b); err != nil {
		return b, refusal.New("balances", "document", "a canonical statement of balances", err.Error())
	}
	var l refusal.List
	signer, ok := c.Signer(b.Signer)
	if !ok || !signer.Ledger {
		l.Add("balances", "signer", "a member of the roster", string(b.Signer))
		return b, l.Err()
	}
	if b.Organisation != c.Organisation() {
		l.Add("balances", "organisation", c.Organisation().String(), b.Organisation.String())
	}
	if s.Scheme != canon.Ed25519 || !ed25519.Verify(signer.Identity[:], canon.KindBalances.Message(s.Document), s.Signature) {
		l.Add("balances", "signature", "one of signer "+string(b.Signer), "another")
	}
	fresh(&l, c, "balances", b.At, b.At+canon.Time(c.Genesis().Delays.Balances), at)
	return b, l.Err()
}

// authored asks whether the charter names the author for such statements, and whether it signed.
func authored(l *refusal.List, c *charter.Charter, rule string, name canon.Name, purpose canon.Purpose, organisation canon.Digest, kind canon.Kind, s canon.Signed) {
	if organisation != c.Organisation() {
		l.Add(rule, "organisation", c.Organisation().String(), organisation.String())
	}
	a, ok := c.Authority(name)
	if !ok || a.Purpose != purpose {
		l.Add(rule, "authority", fmt.Sprintf("an authority of the charter with purpose %d", purpose), string(name))
		return
	}
	if s.Scheme != canon.Ed25519 || !ed25519.Verify(a.Key[:], kind.Message(s.Document), s.Signature) {
		l.Add(rule, "signature", "one of authority "+string(name), "another")
	}
}

// fresh asks whether a statement of one second that holds to another counts at a third; the clock of who made it may run ahead as far as a
// signer's may.
func fresh(l *refusal.List, c *charter.Charter, rule string, from, to, at canon.Time) {
	skew := canon.Time(c.Genesis().Delays.ClockSkew)
	if from > at+skew {
		l.Add(rule, "at", "at most "+(at+skew).At().String(), from.At().String())
	}
	if to < at {
		l.Add(rule, "not_after", "at least "+at.At().String(), to.At().String())
	}
}
