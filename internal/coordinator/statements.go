package coordinator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/fact"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// How long answers are used, in seconds, before they are asked for again, however long they count.
const (
	attributeKept = 60
	clearanceKept = 3600
	balancesKept  = 5
)

const (
	decisionPatience = 4 * time.Second  // how long a client waits for answers before its withdrawal is held
	balancePatience  = 12 * time.Second // how long somebody waits who asks for balances or prices alone: more than one question takes
)

// collected is what a decision rests on: facts, and the statements behind them.
type collected struct {
	facts      policy.Facts
	at         canon.Time // by which the statements were judged
	prices     []canon.Signed
	attributes []canon.Signed
	clearances []canon.Signed
	balances   []canon.Signed
	waiting    []refusal.Failure // for statements that are missing
}

// into gives an intent the statements that were needed, and no others.
func (g *collected) into(i *canon.Intent) {
	i.At = g.at
	if slices.ContainsFunc(g.facts.Destinations, func(d canon.Destination) bool { return len(d.Groups)+len(d.Recent) > 0 }) {
		i.Destinations = g.facts.Destinations
	}
	i.Prices, i.Attributes, i.Clearances, i.Balances = g.prices, g.attributes, g.clearances, g.balances
}

// gather collects what the rules need to answer. Authorities and signers are asked for what is missing, and for what follows from their answers;
// it waits for answers for a while, if patience says so. What is still missing then is named in waiting.
func (s *Service) gather(ctx context.Context, c *charter.Charter, w withdrawal.Withdrawal, r canon.Request, patience time.Duration) *collected {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		changed := s.inquiries.changed()
		g, asking := s.collect(c, w, r)
		if len(g.waiting) == 0 || !asking || patience <= 0 {
			return g
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return g
		}
	}
}

// collect puts together what is known now, and asks for the rest. asking says that some of it may come.
func (s *Service) collect(c *charter.Charter, w withdrawal.Withdrawal, r canon.Request) (g *collected, asking bool) {
	g = &collected{facts: policy.FactsOf(&r), at: max(s.now(), r.NotBefore)}
	g.facts.At, g.facts.Destinations = g.at, s.destinations(r)
	for {
		missing := policy.Decide(c, g.facts).Missing
		if len(missing) == 0 {
			return g, false
		}
		g.waiting, asking = nil, false
		more := false
		for _, m := range missing {
			f := filling{Service: s, charter: c, withdrawal: w, request: r, collected: g}
			added, failure := f.fill(m)
			more, asking = more || added, asking || f.asking
			if failure != nil {
				g.waiting = append(g.waiting, *failure)
			}
		}
		if !more {
			return g, asking
		}
	}
}

// filling takes the statements that one missing fact asks for into what was collected.
type filling struct {
	*Service
	*collected
	charter    *charter.Charter
	withdrawal withdrawal.Withdrawal
	request    canon.Request
	asking     bool
	reasons    []string
}

// fill returns whether there is more than before, and what is waited for if there is not.
func (f *filling) fill(m policy.Missing) (added bool, waits *refusal.Failure) {
	switch m.Purpose {
	case canon.PurposePrice:
		added, waits = f.price(m)
	case canon.PurposeAttribute:
		added, waits = f.attribute(m)
	case canon.PurposeScreening, canon.PurposeTravelRule:
		added, waits = f.clearance(m)
	case canon.PurposeBalance:
		added, waits = f.balance(m)
	default:
		waits = &refusal.Failure{Rule: "facts", Field: "missing", Expected: "a statement that can be asked for", Found: fmt.Sprintf("purpose %d", m.Purpose)}
	}
	if added {
		return true, nil
	}
	waits.Found = "none"
	if slices.Sort(f.reasons); len(f.reasons) > 0 {
		waits.Found += ": " + strings.Join(slices.Compact(f.reasons), "; ")
	}
	return false, waits
}

// known returns the answer to a question as a document, if it counts at the time that the collection is judged by.
func known[D any](f *filling, i inquiry, verify func(canon.Signed) (D, error)) (doc D, signed canon.Signed, ok bool) {
	i.waits, i.wake = f.withdrawal.ID, f.driver.nudge
	for range 2 {
		s, found, asking, reason := f.inquiries.ask(i, f.at)
		f.asking = f.asking || asking
		if !found {
			f.reasons = append(f.reasons, string(i.author)+": "+reason)
			return doc, signed, false
		}
		doc, err := verify(s.signed)
		if err == nil {
			return doc, s.signed, true
		}
		f.inquiries.forget(i.question) // the charter or the time is another than when it was asked for
	}
	return doc, signed, false
}

// takeIn adds a statement unless it is there.
func takeIn[D any](docs *[]D, list *[]canon.Signed, doc D, signed canon.Signed) bool {
	if withdrawal.HasDocument(*list, signed.Document) {
		return false
	}
	*docs, *list = append(*docs, doc), append(*list, signed)
	return true
}

// price takes in the prices of all the source's authorities, since the highest counts. One that answers is waited for; one that does not is left out
// if another did.
func (f *filling) price(m policy.Missing) (added bool, waits *refusal.Failure) {
	source, ok := f.charter.PriceSource(m.Asset, m.Currency)
	if !ok {
		f.reasons = append(f.reasons, "the charter names no source of it")
	}
	waits = &refusal.Failure{Rule: "price", Field: string(m.Asset), Expected: fmt.Sprintf("its price in %s, stated by %s", m.Currency, nameList(source.Authorities))}
	var docs []canon.Price
	var signed []canon.Signed
	before := f.asking
	f.asking = false
	for _, name := range source.Authorities {
		verify := func(s canon.Signed) (canon.Price, error) { return fact.Price(f.charter, s, f.at) }
		if doc, one, ok := known(f, f.priceInquiry(f.charter, source, name), verify); ok {
			docs, signed = append(docs, doc), append(signed, one)
		}
	}
	asking := f.asking
	f.asking = asking || before
	for i := range docs {
		if !asking {
			added = takeIn(&f.facts.Prices, &f.collected.prices, docs[i], signed[i]) || added
		}
	}
	return added, waits
}

// priceInquiry asks one authority for a price of now.
func (s *Service) priceInquiry(c *charter.Charter, source canon.PriceSource, name canon.Name) inquiry {
	return inquiry{
		question: question{canon.PurposePrice, name, string(source.Asset) + " " + string(source.Currency)},
		put: func(ctx context.Context) (statement, error) {
			client, err := s.authority(name)
			if err != nil {
				return statement{}, err
			}
			answer, err := client.StatePrice(ctx, &strongroomv1.StatePriceRequest{Asset: string(source.Asset), Currency: string(source.Currency)})
			if err != nil {
				return statement{}, err
			}
			signed := fromSigned(answer.GetPrice())
			p, err := fact.Price(c, signed, s.now())
			if err == nil && (p.Asset != source.Asset || p.Currency != source.Currency || p.Authority != name) {
				err = refusal.New("price", "asset", fmt.Sprintf("%s in %s by %s, as was asked", source.Asset, source.Currency, name), fmt.Sprintf("%s in %s by %s", p.Asset, p.Currency, p.Authority))
			}
			return statement{signed, p.At + canon.Time(source.MaxAge)}, err
		},
	}
}

func (f *filling) attribute(m policy.Missing) (added bool, waits *refusal.Failure) {
	client := f.request.Client
	i := inquiry{
		question: question{canon.PurposeAttribute, m.Authority, string(client) + " " + string(m.Attribute)},
		put: func(ctx context.Context) (statement, error) {
			authority, err := f.authority(m.Authority)
			if err != nil {
				return statement{}, err
			}
			answer, err := authority.StateAttribute(ctx, &strongroomv1.StateAttributeRequest{Client: string(client), Attribute: string(m.Attribute)})
			if err != nil {
				return statement{}, err
			}
			signed, now := fromSigned(answer.GetAttribute()), f.now()
			a, err := fact.Attribute(f.charter, signed, client, now)
			if err == nil && (a.Name != m.Attribute || a.Authority != m.Authority) {
				err = refusal.New("attribute", "name", fmt.Sprintf("%s by %s, as was asked", m.Attribute, m.Authority), fmt.Sprintf("%s by %s", a.Name, a.Authority))
			}
			return statement{signed, min(a.NotAfter, now+attributeKept)}, err
		},
	}
	doc, signed, ok := known(f, i, func(s canon.Signed) (canon.Attribute, error) { return fact.Attribute(f.charter, s, client, f.at) })
	if ok {
		added = takeIn(&f.facts.Attributes, &f.collected.attributes, doc, signed)
	}
	return added, &refusal.Failure{Rule: "attribute", Field: string(m.Attribute), Expected: fmt.Sprintf("what authority %s states of client %s", m.Authority, client)}
}

func (f *filling) clearance(m policy.Missing) (added bool, waits *refusal.Failure) {
	request := canon.KindRequest.Digest(f.withdrawal.Request.Document)
	verify := func(at canon.Time) func(canon.Signed) (canon.Clearance, error) {
		return func(s canon.Signed) (canon.Clearance, error) {
			return fact.Clearance(f.charter, s, request, &f.request, at)
		}
	}
	i := inquiry{
		question: question{m.Purpose, m.Authority, request.String()},
		put: func(ctx context.Context) (statement, error) {
			answer, err := f.decide(ctx, m.Authority)
			if err != nil {
				return statement{}, err
			}
			if answer.GetClearance() == nil {
				return statement{}, &pendingError{answer.GetPendingReason()}
			}
			signed, now := fromSigned(answer.GetClearance()), f.now()
			v, err := verify(now)(signed)
			if err == nil && v.Authority != m.Authority {
				err = refusal.New("clearance", "authority", string(m.Authority), string(v.Authority))
			}
			return statement{signed, min(v.NotAfter, now+clearanceKept)}, err
		},
	}
	doc, signed, ok := known(f, i, verify(f.at))
	if ok {
		added = takeIn(&f.facts.Clearances, &f.collected.clearances, doc, signed)
	}
	return added, &refusal.Failure{Rule: "clearance", Field: string(m.Authority), Expected: "a decision of authority " + string(m.Authority) + " about the request"}
}

// decide asks an authority for its decision. Data about people goes to travel-rule authorities alone.
func (f *filling) decide(ctx context.Context, name canon.Name) (*strongroomv1.DecideClearanceResponse, error) {
	client, err := f.authority(name)
	if err != nil {
		return nil, err
	}
	question := &strongroomv1.DecideClearanceRequest{Request: toSigned(f.withdrawal.Request)}
	if a, ok := f.charter.Authority(name); ok && a.Purpose == canon.PurposeTravelRule && len(f.request.TravelData) > 0 {
		question.TravelRuleData, err = f.Store.TravelData(ctx, f.withdrawal.ID, f.request.TravelData)
		var missing *store.NotFoundError
		if errors.As(err, &missing) {
			return nil, refusal.New("travel-rule", "travel_rule_data", "the data that the request binds", "none any more")
		}
		if err != nil {
			return nil, err
		}
	}
	return client.DecideClearance(ctx, question)
}

func (f *filling) balance(m policy.Missing) (added bool, waits *refusal.Failure) {
	want := max(f.enoughBalances(f.charter), int(min(m.Signers, 1<<16)))
	docs, signed, asking, reasons := f.balancesOf(f.charter, m.Chain, f.at, f.withdrawal.ID)
	f.asking, f.reasons = f.asking || asking, append(f.reasons, reasons...)
	if len(docs) >= want {
		for i := range docs {
			added = takeIn(&f.facts.Balances, &f.collected.balances, docs[i], signed[i]) || added
		}
	}
	return added, &refusal.Failure{Rule: "balances", Field: string(m.Chain), Expected: fmt.Sprintf("what the wallets hold by the statements of %d signers", want)}
}

// authority returns the connection to an authority.
func (s *Service) authority(name canon.Name) (strongroomv1.AuthorityServiceClient, error) {
	if a, ok := s.Authorities[name]; ok && a != nil {
		return a, nil
	}
	return nil, errors.New("it has no address in the configuration")
}

func nameList(names []canon.Name) string {
	if len(names) == 1 {
		return "authority " + string(names[0])
	}
	text := make([]string, len(names))
	for i, n := range names {
		text[i] = string(n)
	}
	return "one of " + cmp.Or(strings.Join(text, ", "), "nobody")
}
