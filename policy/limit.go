package policy

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Interval is the time in which a reservation of a withdrawal may be signed, widened by twice the clock skew on both sides, both ends
// included. IntervalOf makes one.
type Interval struct {
	Withdrawal canon.Digest
	From, To   canon.Time
}

// Spend is what a recorded reservation takes from a counter of a limit, in the limit's unit. From and To are those of its Interval. Several versions
// of one withdrawal are several spends, of which the largest counts. A nil Amount is zero; a negative one counts as zero.
type Spend struct {
	Limit      canon.Name
	Counter    string // as in canon.Charge
	Amount     *big.Int
	From, To   canon.Time
	Withdrawal canon.Digest
}

// IntervalOf returns [stamp-2δ, until+2δ] with the charter's clock skew δ, cut off at the ends of time.
func IntervalOf(c *charter.Charter, withdrawal canon.Digest, stamp, until canon.Time) Interval {
	return interval(withdrawal, uint64(stamp), uint64(until), c.Genesis().Delays.ClockSkew)
}

func interval(withdrawal canon.Digest, stamp, until, skew uint64) Interval {
	widen := addSaturated(skew, skew)
	from := uint64(0)
	if stamp > widen {
		from = stamp - widen
	}
	return Interval{Withdrawal: withdrawal, From: canon.Time(from), To: canon.Time(addSaturated(until, widen))}
}

func addSaturated(a, b uint64) uint64 {
	if a > math.MaxUint64-b {
		return math.MaxUint64
	}
	return a + b
}

// SpendsOf returns what a recorded reservation takes from each limit, for CheckLimit.
func SpendsOf(c *charter.Charter, r *canon.Reservation) []Spend {
	at := IntervalOf(c, r.Withdrawal, r.Stamp, r.Until)
	spends := make([]Spend, len(r.Charges))
	for i, charge := range r.Charges {
		spends[i] = Spend{Limit: charge.Limit, Counter: charge.Counter, Amount: charge.Amount.Int(), From: at.From, To: at.To, Withdrawal: at.Withdrawal}
	}
	return spends
}

// LocalCap returns what one signer lets through by itself in a window, in the limit's unit: with Exact floor(L(q-f)/(n-f)), so that the
// signers' sum keeps to L whatever they have seen of each other; else L, and the sum keeps to L(n-f)/(q-f). A limit without a window looks at one
// withdrawal, which every signer sees whole: there it is L either way. Numbers of a roster that cannot be (f >= q, f >= n, q > n) leave nothing.
func LocalCap(limit canon.Limit, n, q, f uint64) *big.Int {
	if f >= q || f >= n || q > n {
		return new(big.Int)
	}
	most := limit.Amount.Int()
	if !limit.Exact || limit.Window == 0 {
		return most
	}
	most.Mul(most, new(big.Int).SetUint64(q-f))
	return most.Div(most, new(big.Int).SetUint64(n-f))
}

// CheckLimit refuses a charge that does not fit into its counter of a limit next to what this signer has recorded. A charge counts in every window
// of the limit's length W, both ends included, that touches its interval; of one withdrawal the largest version that touches a window
// counts in it; the worst window that touches the new interval must keep to the local cap. Spends of other limits and counters are passed over. A
// limit without a window holds each withdrawal by itself. The error is a *refusal.Refusal.
func CheckLimit(c *charter.Charter, charge canon.Charge, at Interval, spends []Spend) error {
	room, err := RoomFor(c, charge, at, spends)
	if err != nil {
		return err
	}
	if new(big.Int).Add(room.Taken, charge.Amount.Int()).Cmp(room.Most) <= 0 {
		return nil
	}
	measure := func(n *big.Int) string { return Measure(c, room.Limit, n) }
	field, most := limitField(room.Limit, charge.Counter), "at most "+measure(room.Most)+" in each withdrawal"
	if room.Limit.Window > 0 {
		most = fmt.Sprintf("at most %s in any %d seconds, of which %s is left", measure(room.Most), room.Limit.Window, measure(room.Left()))
	}
	return refusal.New("limit "+string(room.Limit.Name), field, most, measure(charge.Amount.Int()))
}

// limitField names what a limit counts, and which of its counters.
func limitField(l canon.Limit, counter string) string {
	field := "amount with fee cap"
	switch l.Unit {
	case canon.UnitMoney:
		field = "value with fee cap"
	case canon.UnitCount:
		field = "withdrawals"
	}
	if counter != "" {
		field += " of " + counter
	}
	return field
}

// Room is what a counter of a limit has for a charge, in the limit's unit.
type Room struct {
	Limit canon.Limit
	Most  *big.Int // what one signer lets through in a window, see LocalCap
	Taken *big.Int // from the charge's counter by others, in the worst window that the charge would touch; 0 without a window
}

// Left returns what is not taken, at least 0.
func (r Room) Left() *big.Int {
	left := new(big.Int).Sub(r.Most, r.Taken)
	if left.Sign() < 0 {
		left.SetInt64(0)
	}
	return left
}

// RoomFor returns what the charge's limit has for it next to what is recorded, as CheckLimit counts. The error, for a limit that the charter does not
// have and an interval that ends before it begins, is a *refusal.Refusal.
func RoomFor(c *charter.Charter, charge canon.Charge, at Interval, spends []Spend) (Room, error) {
	limit, ok := c.Limit(charge.Limit)
	if !ok {
		return Room{}, refusal.New("limit", "charge.limit", "a limit of the charter", string(charge.Limit))
	}
	if at.To < at.From {
		return Room{}, refusal.New("limit "+string(limit.Name), "until", fmt.Sprintf("at or after %d", at.From), fmt.Sprint(at.To))
	}
	roster := c.Genesis().Roster
	most := LocalCap(limit, c.RosterSize(), roster.Quorum, roster.Faults)
	return Room{Limit: limit, Most: most, Taken: worstWindow(limit, charge, at, spends)}, nil
}

// edge is where a spend begins or ends to count, on the axis of window ends.
type edge struct {
	at    uint64
	begin bool
	spend int
}

// worstWindow returns the largest sum, the new charge left out, of a window that touches the new interval. A window is named by its end
// e and reaches back to e-W; it touches [from, to] iff from <= e <= to+W. The sum only grows where a spend begins to count, so a sweep
// over those points finds the largest. Versions of the charge's own withdrawal count with what they exceed the charge by.
func worstWindow(limit canon.Limit, charge canon.Charge, at Interval, spends []Spend) *big.Int {
	if limit.Window == 0 {
		return new(big.Int)
	}
	first, last := uint64(at.From), addSaturated(uint64(at.To), limit.Window)
	var edges []edge
	for i, s := range spends {
		begin, end := max(uint64(s.From), first), min(addSaturated(uint64(max(s.From, s.To)), limit.Window), last)
		if s.Limit == limit.Name && s.Counter == charge.Counter && s.Amount != nil && s.Amount.Sign() > 0 && begin <= end {
			edges = append(edges, edge{begin, true, i}, edge{end, false, i})
		}
	}
	// Both ends are included: at one point everything begins before anything ends.
	slices.SortStableFunc(edges, func(a, b edge) int {
		return cmp.Or(cmp.Compare(a.at, b.at), compareBool(b.begin, a.begin))
	})
	counting := sweep{own: at.Withdrawal, charge: charge.Amount.Int(), active: map[canon.Digest][]*big.Int{}, sum: new(big.Int)}
	worst := new(big.Int)
	for _, e := range edges {
		counting.step(spends[e.spend], e.begin)
		if counting.sum.Cmp(worst) > 0 {
			worst.Set(counting.sum)
		}
	}
	return worst
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// sweep holds what counts at one point of worstWindow.
type sweep struct {
	own    canon.Digest
	charge *big.Int
	active map[canon.Digest][]*big.Int // versions that count, by withdrawal
	sum    *big.Int
}

// step lets a spend begin or end to count.
func (w *sweep) step(s Spend, begin bool) {
	versions := w.active[s.Withdrawal]
	w.sum.Sub(w.sum, w.weight(s.Withdrawal, versions))
	if begin {
		versions = append(versions, s.Amount)
	} else {
		i := slices.IndexFunc(versions, func(n *big.Int) bool { return n.Cmp(s.Amount) == 0 })
		versions = slices.Delete(versions, i, i+1)
	}
	w.active[s.Withdrawal] = versions
	w.sum.Add(w.sum, w.weight(s.Withdrawal, versions))
}

// weight is what the versions of a withdrawal count together: the largest, for the charge's own what it exceeds the charge by.
func (w *sweep) weight(withdrawal canon.Digest, versions []*big.Int) *big.Int {
	most := new(big.Int)
	for _, n := range versions {
		if n.Cmp(most) > 0 {
			most = n
		}
	}
	if withdrawal != w.own {
		return most
	}
	if excess := new(big.Int).Sub(most, w.charge); excess.Sign() > 0 {
		return excess
	}
	return new(big.Int)
}
