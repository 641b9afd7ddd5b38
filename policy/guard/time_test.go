package guard

import (
	"testing"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func untilOf(err error) (uint64, bool) {
	r := refusal.Of(err)
	if r == nil {
		return 0, false
	}
	return r.Until()
}

// The intent's own time is between the request's beginning and now: a later one would make statements look fresh for longer, an earlier one older
// statements fresh still.
func TestTimeOfTheIntentIsNeitherToComeNorBeforeTheRequest(t *testing.T) {
	now := canon.TimeOf(start)
	for name, c := range map[string]struct {
		at    canon.Time
		until canon.Time // it passes from then on; 0: never
		good  bool
	}{
		"none":                   {0, 0, true},
		"the request's start":    {now - 10, 0, true},
		"now":                    {now, 0, true},
		"a clock ahead":          {now + 30, 0, true},
		"to come":                {now + 31, now + 1, false},
		"far to come":            {now + 900, now + 870, false},
		"before the request":     {now - 11, 0, false},
		"long before":            {1, 0, false},
		"the end of all numbers": {253402300799, 253402300799 - 30, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := w.evmPaper(eth)
			p.onIntent = func(i *canon.Intent) { i.At = c.at }
			_, err := Check(w.encode(p), w.view())
			if c.good {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, "intent.at")
			if at, waits := untilOf(err); waits != (c.until != 0) || at != uint64(c.until) {
				t.Errorf("expected to wait until %d, found %d, %t", c.until, at, waits)
			}
		})
	}
}

// The times in a request are the client's to choose: where no people decide, each signer's own clock must be in the rule's hours too.
func TestRuleThatAllowsIsHeldAgainstTheSignersClock(t *testing.T) {
	noon, minutes := canon.TimeOf(start), time.Minute // Monday 12:00 UTC
	daily := []canon.Hours{{Days: []uint64{1, 2, 3, 4, 5}, From: 11 * 60, To: 12*60 + 20, Zone: "UTC"}}
	for name, c := range map[string]struct {
		change func(*canon.Rule)
		later  time.Duration
		field  string // none: signable
		until  canon.Time
	}{
		"in its hours":         {func(r *canon.Rule) { r.Hours = daily }, 19 * minutes, "", 0},
		"after its hours":      {func(r *canon.Rule) { r.Hours = daily }, 20 * minutes, "rule.hours", noon + 23*3600},
		"from then on":         {func(r *canon.Rule) { r.From = noon - 10 }, 0, "", 0},
		"before the end":       {func(r *canon.Rule) { r.Before = noon + 60 }, 59 * time.Second, "", 0},
		"after the end":        {func(r *canon.Rule) { r.Before = noon + 60 }, time.Minute, "rule.before", 0},
		"before the beginning": {func(r *canon.Rule) { r.From = noon - 10 }, -11 * time.Second, "rule.from", noon - 10},
	} {
		t.Run(name, func(t *testing.T) {
			w := worldOf(t, bookEntries(), func(g *canon.Genesis) { c.change(&g.Rules[0]) })
			evidence := w.encode(w.evmPaper(usd))
			w.now = w.now.Add(c.later)
			_, err := Check(evidence, w.view())
			if c.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refusedBy(t, err, "hours", c.field, "")
			if at, waits := untilOf(err); waits != (c.until != 0) || at != uint64(c.until) {
				t.Errorf("expected to wait until %d, found %d, %t", c.until, at, waits)
			}
		})
	}
}

// With people the hours are those of the request alone: an approval takes the time that it takes.
func TestRuleThatAsksPeopleIsNotHeldAgainstTheSignersClock(t *testing.T) {
	w := worldOf(t, bookEntries(), func(g *canon.Genesis) {
		g.Rules[1].Hours = []canon.Hours{{Days: []uint64{1}, From: 11 * 60, To: 12*60 + 1, Zone: "UTC"}}
	})
	evidence := w.encode(w.evmPaper(eth))
	w.now = w.now.Add(5 * time.Minute)
	if _, err := Check(evidence, w.view()); err != nil {
		t.Error(err)
	}
}

// A delay counts from when this signer first saw the intent with everything else in order.
func TestDelayCountsFromWhenTheSignerSawTheIntent(t *testing.T) {
	w := worldOf(t, bookEntries(), func(g *canon.Genesis) { g.Rules[1].Delay = 600 })
	v := w.view()
	s, err := Check(w.encode(w.evmPaper(eth)), v)
	if err != nil {
		t.Fatal(err)
	}
	now := canon.TimeOf(w.now)
	for name, c := range map[string]struct {
		seen  func(canon.Digest) (canon.Time, bool)
		until canon.Time // 0: signable
	}{
		"by a view that has seen none": {nil, now + 600},
		"not before":                   {func(canon.Digest) (canon.Time, bool) { return 0, false }, now + 600},
		"now":                          {func(canon.Digest) (canon.Time, bool) { return now, true }, now + 600},
		"a second short":               {func(canon.Digest) (canon.Time, bool) { return now - 599, true }, now + 1},
		"long enough":                  {func(d canon.Digest) (canon.Time, bool) { return now - 600, d == s.IntentDigest() }, 0},
		"ahead of the clock":           {func(canon.Digest) (canon.Time, bool) { return now + 5, true }, now + 605},
	} {
		v.FirstSeen = c.seen
		err := s.CheckReservation(w.reservation(s), v)
		at, waits := untilOf(err)
		if waits != (c.until != 0) || at != uint64(c.until) || OnlyDelayed(err) != waits {
			t.Errorf("%s: expected to wait until %d, found %v", name, c.until, err)
		}
	}
	v.FirstSeen = nil
	other := w.reservation(s)
	other.Version, other.Wallet = 1, "btc-hot"
	if err := s.CheckReservation(other, v); OnlyDelayed(err) || err == nil {
		t.Errorf("expected a refusal of more than the delay, found %v", err)
	}
	if OnlyDelayed(nil) || OnlyDelayed(refusal.New("freeze", "organisation", "x", "y")) {
		t.Error("expected no delay where there is none")
	}
}
