package policy_test

import (
	"math"
	"math/big"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"pgregory.net/rapid"
)

func TestChargesAreWhatARuleDrawsOnWithTheFeeCapInTheCoin(t *testing.T) {
	c := chartertest.Open(t, chartertest.Genesis())
	beta := request(chartertest.BTC, 7)
	beta.Client = "beta"
	mixed := request(chartertest.ETH, 5, 6)
	mixed.Outputs = append(mixed.Outputs, request(chartertest.USD, 9).Outputs...)
	for _, tt := range []struct {
		name string
		r    *canon.Request
		fee  uint64
		want map[canon.Name]uint64
	}{
		{"coin", request(chartertest.BTC, 100, 20), 3, map[canon.Name]uint64{"btc-day": 123, "btc-acme": 123}},
		{"client out of a limit's scope", beta, 3, map[canon.Name]uint64{"btc-day": 10}},
		{"token charges the fee to the coin's limit", request(chartertest.USD, 100), 3, map[canon.Name]uint64{"usd-day": 100, "eth-day": 3}},
		{"no fee, no charge in the coin", request(chartertest.USD, 100), 0, map[canon.Name]uint64{"usd-day": 100}},
		{"coin and token", mixed, 3, map[canon.Name]uint64{"usd-day": 9, "eth-day": 14}},
	} {
		rule := policy.Decide(c, policy.FactsOf(tt.r)).Rule
		got := map[canon.Name]uint64{}
		for _, charge := range charges(t, c, rule, policy.FactsOf(tt.r), canon.AmountOf(tt.fee)) {
			got[charge.Limit] = charge.Amount.Int().Uint64()
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

func TestChargeBeyondAllBoundsIsCutOffAndFitsNoLimit(t *testing.T) {
	g := chartertest.Genesis()
	g.Limits[0].Amount = canon.Amount(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(1)).Bytes())
	c := chartertest.Open(t, g)
	r := request(chartertest.BTC, 1, 2)
	for i := range r.Outputs {
		r.Outputs[i].Amount = canon.Amount(strings.Repeat("\xff", 32))
	}
	charges := charges(t, c, &c.Genesis().Rules[1], policy.FactsOf(r), canon.AmountOf(5))
	if len(charges) != 2 || charges[0].Amount.Check() != nil {
		t.Fatalf("expected 2 valid charges, found %v", charges)
	}
	if refusal.Of(policy.CheckLimit(c, charges[0], policy.Interval{}, nil)) == nil {
		t.Error("expected a refusal, found none")
	}
}

func TestLocalCapIsTheShareOfTheLimitOnlyWhenExact(t *testing.T) {
	for _, tt := range []struct {
		exact         bool
		amount        uint64
		n, q, f, want uint64
	}{
		{false, 100, 4, 3, 1, 100},
		{true, 100, 4, 3, 1, 66},
		{true, 100, 5, 4, 1, 75},
		{true, 100, 3, 2, 0, 66},
		{true, 1, 4, 3, 1, 0},
		{true, 100, 4, 4, 1, 100},
		{true, 100, 4, 1, 1, 0},
		{false, 100, 4, 1, 1, 0},
		{true, 100, 1, 1, 1, 0},
		{true, 100, 2, 3, 1, 0},
		{true, 100, 0, 0, 0, 0},
	} {
		for _, unit := range []canon.LimitUnit{canon.UnitAsset, canon.UnitMoney, canon.UnitCount} {
			l := canon.Limit{Amount: canon.AmountOf(tt.amount), Exact: tt.exact, Unit: unit, Window: 60}
			if got := policy.LocalCap(l, tt.n, tt.q, tt.f); got.Cmp(new(big.Int).SetUint64(tt.want)) != 0 {
				t.Errorf("%+v: found %s", tt, got)
			}
		}
	}
	whole := canon.Limit{Amount: canon.AmountOf(100), Exact: true}
	if got := policy.LocalCap(whole, 4, 3, 1); got.Int64() != 100 {
		t.Errorf("expected a limit without a window to be whole for every signer, found %s", got)
	}
	if got := policy.LocalCap(whole, 4, 1, 1); got.Sign() != 0 {
		t.Errorf("expected nothing for a roster that cannot be, found %s", got)
	}
}

// small returns a charter with clock skew 1 and limits of 100 in every 50 seconds: btc-day, btc-acme of 100·(3-1)/(4-1), and for each client apart money
// and often; and each, of 100 in each withdrawal.
func small(t *testing.T) *charter.Charter {
	g := chartertest.Genesis()
	g.Delays.ClockSkew = 1
	g.Limits[0].Amount, g.Limits[0].Window = canon.AmountOf(100), 50
	g.Limits[1].Amount, g.Limits[1].Window = canon.AmountOf(100), 50
	any := []canon.Name{canon.Any}
	apart := []canon.Dimension{canon.PerClient}
	g.Limits = append(g.Limits,
		canon.Limit{Name: "money", Unit: canon.UnitMoney, Currency: "USD", Amount: canon.AmountOf(100), Window: 50, Clients: any, Wallets: any, Per: apart},
		canon.Limit{Name: "often", Unit: canon.UnitCount, Amount: canon.AmountOf(100), Window: 50, Clients: any, Wallets: any, Per: apart},
		canon.Limit{Name: "each", Unit: canon.UnitAsset, Asset: chartertest.BTC, Amount: canon.AmountOf(100), Clients: any, Wallets: any})
	g.Prices = []canon.PriceSource{{Asset: chartertest.BTC, Currency: "USD", Authorities: []canon.Name{"prices"}, MaxAge: 60, Min: canon.AmountOf(1), Max: canon.AmountOf(1e18)}}
	return chartertest.Open(t, g)
}

func spend(wid byte, amount int64, from, to canon.Time) policy.Spend {
	return policy.Spend{Limit: "btc-day", Amount: big.NewInt(amount), From: from, To: to, Withdrawal: canon.Digest{wid}}
}

func TestCheckLimitCountsEveryWindowThatTouches(t *testing.T) {
	c := small(t)
	// The new interval is [1000, 1010]; windows reach back 50.
	for _, tt := range []struct {
		name   string
		amount uint64
		spends []policy.Spend
		fits   bool
	}{
		{"nothing else, all of it", 100, nil, true},
		{"nothing else, one more", 101, nil, false},
		{"next to another", 40, []policy.Spend{spend(1, 60, 990, 995)}, true},
		{"one more than fits next to another", 41, []policy.Spend{spend(1, 60, 990, 995)}, false},
		{"window's length before, both ends count", 41, []policy.Spend{spend(1, 60, 900, 950)}, false},
		{"one second longer before", 41, []policy.Spend{spend(1, 60, 900, 949)}, true},
		{"window's length after", 41, []policy.Spend{spend(1, 60, 1060, 1100)}, false},
		{"one second longer after", 41, []policy.Spend{spend(1, 60, 1061, 1100)}, true},
		{"before and after, never in one window", 40, []policy.Spend{spend(1, 60, 940, 960), spend(2, 60, 1011, 1020)}, true},
		{"before and after in one window", 40, []policy.Spend{spend(1, 30, 940, 965), spend(2, 31, 1015, 1020)}, false},
		{"two versions count once", 40, []policy.Spend{spend(1, 60, 990, 995), spend(1, 55, 991, 999)}, true},
		{"the larger version counts", 40, []policy.Spend{spend(1, 55, 990, 995), spend(1, 61, 991, 999)}, false},
		{"own earlier version counts once", 100, []policy.Spend{spend(9, 90, 990, 995)}, true},
		{"own earlier larger version still counts", 10, []policy.Spend{spend(9, 90, 990, 995), spend(1, 11, 990, 995)}, false},
		{"own earlier larger version by itself", 10, []policy.Spend{spend(9, 90, 990, 995), spend(1, 10, 990, 995)}, true},
		{"another limit's spends", 100, []policy.Spend{{Limit: "btc-acme", Amount: big.NewInt(100), From: 1000, To: 1010}}, true},
		{"a spend of all time", 41, []policy.Spend{spend(1, 60, 0, math.MaxUint64)}, false},
	} {
		at := policy.Interval{Withdrawal: canon.Digest{9}, From: 1000, To: 1010}
		err := policy.CheckLimit(c, canon.Charge{Limit: "btc-day", Amount: canon.AmountOf(tt.amount)}, at, tt.spends)
		if (err == nil) != tt.fits || (err != nil && refusal.Of(err) == nil) {
			t.Errorf("%s: expected fits %v, found %v", tt.name, tt.fits, err)
		}
	}
}

func TestCheckLimitSaysWhatIsLeft(t *testing.T) {
	c := small(t)
	charge := canon.Charge{Limit: "btc-day", Amount: canon.AmountOf(41)}
	at := policy.Interval{From: 1000, To: 1010}
	err := policy.CheckLimit(c, charge, at, []policy.Spend{spend(1, 60, 990, 995)})
	want := refusal.Failure{
		Rule: "limit btc-day", Field: "amount with fee cap",
		Expected: "at most 0.000001 BTC in any 50 seconds, of which 0.0000004 BTC is left", Found: "0.00000041 BTC",
	}
	if r := refusal.Of(err); r == nil || len(r.Failures) != 1 || r.Failures[0] != want {
		t.Errorf("expected %v, found %v", want, err)
	}
}

func TestCheckLimitSaysWhatALimitCounts(t *testing.T) {
	c := small(t)
	taken := policy.Spend{Amount: big.NewInt(60), From: 990, To: 995, Withdrawal: canon.Digest{1}, Counter: "client=acme"}
	for limit, want := range map[canon.Name]refusal.Failure{
		"money": {Rule: "limit money", Field: "value with fee cap of client=acme", Expected: "at most 0.0001 USD in any 50 seconds, of which 0.00004 USD is left", Found: "0.000101 USD"},
		"often": {Rule: "limit often", Field: "withdrawals of client=acme", Expected: "at most 100 withdrawals in any 50 seconds, of which 40 withdrawals is left", Found: "101 withdrawals"},
		"each":  {Rule: "limit each", Field: "amount with fee cap of client=acme", Expected: "at most 0.000001 BTC in each withdrawal", Found: "0.00000101 BTC"},
	} {
		taken.Limit = limit
		err := policy.CheckLimit(c, canon.Charge{Limit: limit, Counter: "client=acme", Amount: canon.AmountOf(101)}, policy.Interval{From: 1000, To: 1010}, []policy.Spend{taken})
		if r := refusal.Of(err); r == nil || len(r.Failures) != 1 || r.Failures[0] != want {
			t.Errorf("%s: expected %v, found %v", limit, want, err)
		}
	}
}

func TestALimitWithoutWindowHoldsEachWithdrawalByItself(t *testing.T) {
	c := small(t)
	at := policy.Interval{Withdrawal: canon.Digest{9}, From: 1000, To: 1010}
	others := []policy.Spend{{Limit: "each", Amount: big.NewInt(100), From: 1000, To: 1010, Withdrawal: canon.Digest{1}},
		{Limit: "each", Amount: big.NewInt(100), From: 1000, To: 1010, Withdrawal: canon.Digest{9}}}
	for amount, fits := range map[uint64]bool{100: true, 101: false} {
		if err := policy.CheckLimit(c, canon.Charge{Limit: "each", Amount: canon.AmountOf(amount)}, at, others); (err == nil) != fits {
			t.Errorf("%d: expected fits %v, found %v", amount, fits, err)
		}
	}
}

func TestCheckLimitRefusesWhatItCannotPlace(t *testing.T) {
	c := small(t)
	if refusal.Of(policy.CheckLimit(c, canon.Charge{Limit: "none"}, policy.Interval{}, nil)) == nil {
		t.Error("unknown limit: expected a refusal, found none")
	}
	charge := canon.Charge{Limit: "btc-day", Amount: canon.AmountOf(1)}
	if refusal.Of(policy.CheckLimit(c, charge, policy.Interval{From: 2, To: 1}, nil)) == nil {
		t.Error("interval that ends before it begins: expected a refusal, found none")
	}
}

func TestExactLimitHoldsTheLocalShare(t *testing.T) {
	c := small(t)
	at := policy.Interval{From: 1000, To: 1010}
	for amount, fits := range map[uint64]bool{66: true, 67: false} {
		err := policy.CheckLimit(c, canon.Charge{Limit: "btc-acme", Amount: canon.AmountOf(amount)}, at, nil)
		if (err == nil) != fits {
			t.Errorf("%d of 100·2/3: expected fits %v, found %v", amount, fits, err)
		}
	}
}

func TestSpendsOfAReservationAreWidenedByTwiceTheSkew(t *testing.T) {
	c := small(t)
	r := &canon.Reservation{Withdrawal: canon.Digest{7}, Stamp: 1000, Until: 1010, Charges: []canon.Charge{{Limit: "btc-day", Amount: canon.AmountOf(5), Counter: "client=acme"}}}
	got := policy.SpendsOf(c, r)
	if len(got) != 1 || got[0].From != 998 || got[0].To != 1012 || got[0].Withdrawal != r.Withdrawal || got[0].Amount.Int64() != 5 || got[0].Limit != "btc-day" || got[0].Counter != "client=acme" {
		t.Errorf("expected one spend of 5 in [998, 1012], found %+v", got)
	}
}

// worst tries every window [w, w+W] that touches the new interval and adds up the largest touching version of each withdrawal.
func worst(charge canon.Charge, at policy.Interval, spends []policy.Spend, window int64) int64 {
	amount := charge.Amount.Int().Int64()
	var most int64
	for w := int64(at.From) - window; w <= int64(at.To); w++ {
		versions := map[canon.Digest]int64{at.Withdrawal: amount}
		for _, s := range spends {
			if s.Limit == charge.Limit && s.Counter == charge.Counter && int64(s.From) <= w+window && int64(s.To) >= w {
				versions[s.Withdrawal] = max(versions[s.Withdrawal], s.Amount.Int64())
			}
		}
		var sum int64
		for _, n := range versions {
			sum += n
		}
		most = max(most, sum)
	}
	return most
}

func TestCheckLimitAgreesWithTryingEveryWindow(t *testing.T) {
	c := small(t)
	fits, refused := 0, 0
	limits := []canon.Name{"btc-day", "btc-day", "money", "often"}
	counters := []string{"", "", "client=acme"}
	draw := func(t *rapid.T) (from, to canon.Time) {
		a := rapid.Uint64Range(0, 220).Draw(t, "from")
		return canon.Time(a), canon.Time(a + rapid.Uint64Range(0, 40).Draw(t, "length"))
	}
	rapid.Check(t, func(t *rapid.T) {
		spends := make([]policy.Spend, rapid.IntRange(0, 20).Draw(t, "spends"))
		for i := range spends {
			from, to := draw(t)
			spends[i] = spend(rapid.Byte().Draw(t, "withdrawal")%5, rapid.Int64Range(0, 40).Draw(t, "amount"), from, to)
			spends[i].Limit = rapid.SampledFrom(limits).Draw(t, "limit")
			spends[i].Counter = rapid.SampledFrom(counters).Draw(t, "counter")
		}
		from, to := draw(t)
		at := policy.Interval{Withdrawal: canon.Digest{rapid.Byte().Draw(t, "own") % 5}, From: from, To: to}
		amount := rapid.Uint64Range(0, 110).Draw(t, "charge")
		charge := canon.Charge{Limit: rapid.SampledFrom(limits).Draw(t, "of"), Counter: rapid.SampledFrom(counters).Draw(t, "from counter"), Amount: canon.AmountOf(amount)}
		most := worst(charge, at, spends, 50)
		want := most <= 100
		err := policy.CheckLimit(c, charge, at, spends)
		if (err == nil) != want {
			t.Fatalf("worst window %d of 100: found %v", most, err)
		}
		room, err := policy.RoomFor(c, charge, at, spends)
		if err != nil || room.Taken.Int64() != most-int64(amount) || room.Most.Int64() != 100 {
			t.Fatalf("expected %d of 100 to be taken beside %d, found %v, %v", most-int64(amount), amount, room, err)
		}
		if want {
			fits++
		} else {
			refused++
		}
	})
	if fits == 0 || refused == 0 {
		t.Errorf("expected cases of both kinds, found %d and %d", fits, refused)
	}
}

// Whatever was let through one by one keeps to the limit in every window, stamps in any order.
func TestNoWindowEverExceedsTheLimit(t *testing.T) {
	c := small(t)
	rapid.Check(t, func(t *rapid.T) {
		var taken []policy.Spend
		for i := range rapid.IntRange(1, 30).Draw(t, "withdrawals") {
			stamp := canon.Time(rapid.Uint64Range(0, 200).Draw(t, "stamp"))
			until := stamp + canon.Time(rapid.Uint64Range(0, 60).Draw(t, "signing"))
			wid := canon.Digest{byte(i / 2)} // now and then a second version
			charge := canon.Charge{Limit: "btc-day", Amount: canon.AmountOf(rapid.Uint64Range(1, 60).Draw(t, "amount"))}
			if policy.CheckLimit(c, charge, policy.IntervalOf(c, wid, stamp, until), taken) == nil {
				taken = append(taken, policy.SpendsOf(c, &canon.Reservation{Withdrawal: wid, Stamp: stamp, Until: until, Charges: []canon.Charge{charge}})...)
			}
		}
		everywhere := policy.Interval{Withdrawal: canon.Digest{0xff}, From: 0, To: 400}
		if most := worst(canon.Charge{Limit: "btc-day"}, everywhere, taken, 50); most > 100 {
			t.Fatalf("expected at most 100 in every window, found %d", most)
		}
	})
}

// charges returns what Charges returns without an error.
func charges(t testing.TB, c *charter.Charter, rule *canon.Rule, f policy.Facts, feeCap canon.Amount) []canon.Charge {
	t.Helper()
	list, err := policy.Charges(c, rule, f, feeCap)
	if err != nil {
		t.Fatal(err)
	}
	return list
}
