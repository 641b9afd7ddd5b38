package signer_test

import (
	"crypto/ed25519"
	"math/big"
	"testing"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// half is what each withdrawal of this test takes: 5 ether and the fee cap, at 2,000 dollars, or one of two withdrawals.
var half = map[string]struct {
	limit canon.Limit
	facts func(*world) func(*canon.Intent)
}{
	"asset": {canon.Limit{Asset: eth, Amount: times(ether(5), canon.AmountOf(4e15))}, nil},
	"count": {canon.Limit{Unit: canon.UnitCount, Amount: canon.AmountOf(2)}, nil},
	"money": {canon.Limit{Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(2 * 10_008_000_000)}, (*world).priced},
}

// times returns twice the sum.
func times(a, b canon.Amount) canon.Amount {
	sum := new(big.Int).Add(a.Int(), b.Int())
	return canon.Amount(sum.Lsh(sum, 1).Bytes())
}

// priced returns what puts an authority's price of 2,000 dollars into an intent.
func (w *world) priced() func(*canon.Intent) {
	return func(i *canon.Intent) {
		now := canon.TimeOf(w.clock())
		value := new(big.Int).Mul(big.NewInt(2000), big.NewInt(1e12))
		document, err := canon.Encode(canon.Price{Organisation: w.charter.Organisation(), Authority: "feed", Asset: eth, Currency: "USD", Value: canon.Amount(value.Bytes()), At: now})
		check(w.t, err)
		i.At, i.NotAfter = now, now+canon.Time(w.charter.Genesis().Rules[0].Signing) // as long as prices are fresh
		i.Prices = []canon.Signed{{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(edKey("feed"), canon.KindPrice.Message(document))}}
	}
}

// limited is a charter whose first rule draws on that limit alone, which holds exactly whatever signers have seen of each other.
func limited(l canon.Limit) func(*canon.Genesis) {
	return func(g *canon.Genesis) {
		anyone := []canon.Name{canon.Any}
		l.Name, l.Window, l.Clients, l.Wallets, l.Exact = "velocity", 86400, anyone, anyone, true
		g.Limits = append(g.Limits, l)
		g.Rules[0].Amounts, g.Rules[0].FeeCaps = g.Rules[0].Amounts[:1], g.Rules[0].FeeCaps[:1]
		g.Limits[1].Amount = ether(1000)
		g.Rules[0].Limits = []canon.Name{"eth-day", "velocity"}
		g.Authorities = []canon.Authority{{Name: "feed", Purpose: canon.PurposePrice, Key: edPublic("feed")}}
		most := new(big.Int).Mul(big.NewInt(1e6), big.NewInt(1e12))
		g.Prices = []canon.PriceSource{{Asset: eth, Currency: "USD", Authorities: []canon.Name{"feed"}, MaxAge: 3600, Min: canon.AmountOf(1), Max: canon.Amount(most.Bytes())}}
	}
}

// A coordinator asks overlapping quorums for withdrawals of half a limit each, one after the other and all at once, and a member of the roster
// acks whatever it is asked for: what gets a certificate never exceeds the limit.
func TestOverlappingQuorumsKeepToALimitTogether(t *testing.T) {
	quorums := [][]canon.Name{{"node-1", "node-2", "node-3"}, {"node-2", "node-3", "node-4"}, {"node-3", "node-4", "node-1"}, {"node-4", "node-1", "node-2"}}
	liar := canon.Name("node-4")
	for unit, h := range half {
		for order, next := range map[string]func(step int) (withdrawal, member int){
			"one after the other": func(step int) (int, int) { return step / 3, step % 3 },
			"all at once":         func(step int) (int, int) { return step % 4, step / 4 },
		} {
			t.Run(unit+" "+order, func(t *testing.T) {
				w := newWorld(t, setUp{keyed: true, engine: same(reaches), genesis: limited(h.limit), gossip: never})
				requests := make([]*strongroomv1.ReserveRequest, len(quorums))
				for i := range quorums {
					p := payment{id: string(rune('a' + i)), nonce: uint64(i)}
					if h.facts != nil {
						p.facts = h.facts(w)
					}
					evidence := w.evidence(p)
					requests[i] = &strongroomv1.ReserveRequest{Evidence: evidence, Reservation: w.reservation(evidence)}
				}
				acks, lies, full := make([]int, len(quorums)), make([]int, len(quorums)), 0
				for step := range 12 {
					i, m := next(step)
					name := quorums[i][m]
					_, err := w.front(name).Reserve(t.Context(), requests[i])
					if err != nil {
						refused(t, err, "limit velocity", refusal.Of(err).Failures[0].Field)
						full++
					} else {
						acks[i]++
					}
					if err == nil || name == liar {
						lies[i]++
					}
				}
				for what, counts := range map[string][]int{"honest": acks, "with a liar": lies} {
					certified := 0
					for _, n := range counts {
						if n == 3 {
							certified++
						}
					}
					if certified > 2 {
						t.Errorf("%s: expected certificates for at most the whole limit, found %d halves", what, certified)
					}
				}
				if full == 0 || acks[0] == 0 {
					t.Errorf("expected acks up to the limit and refusals beyond, found acks %v and %d refusals", acks, full)
				}
			})
		}
	}
}
