package calendar

import (
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/strongroom/strongroom/proto/canon"
)

func at(t testing.TB, text string) canon.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return canon.TimeOf(when)
}

func span(zone string, from, to uint64, days ...uint64) []canon.Hours {
	return []canon.Hours{{Days: days, From: from, To: to, Zone: zone}}
}

var workdays = []uint64{1, 2, 3, 4, 5}

func TestOpenGoesByTheClockOnTheWall(t *testing.T) {
	const nine, five = 9 * 60, 17 * 60
	for _, tt := range []struct {
		name  string
		hours []canon.Hours
		at    string
		open  bool
	}{
		{"Hong Kong on a Monday at nine", span("Asia/Hong_Kong", nine, five, workdays...), "2026-03-02T01:00:00Z", true},
		{"a second before", span("Asia/Hong_Kong", nine, five, workdays...), "2026-03-02T00:59:59Z", false},
		{"the last second", span("Asia/Hong_Kong", nine, five, workdays...), "2026-03-02T08:59:59Z", true},
		{"the end", span("Asia/Hong_Kong", nine, five, workdays...), "2026-03-02T09:00:00Z", false},
		{"Sunday", span("Asia/Hong_Kong", nine, five, workdays...), "2026-03-01T02:00:00Z", false},
		{"Friday in Hong Kong, still Thursday in UTC", span("Asia/Hong_Kong", 0, five, 5), "2026-03-05T16:00:00Z", true},
		{"New York in winter", span("America/New_York", nine, five, workdays...), "2026-03-06T14:00:00Z", true},
		{"New York in winter, before nine", span("America/New_York", nine, five, workdays...), "2026-03-06T13:30:00Z", false},
		{"New York in summer, an hour earlier", span("America/New_York", nine, five, workdays...), "2026-03-09T13:00:00Z", true},
		{"New York in summer, five", span("America/New_York", nine, five, workdays...), "2026-03-09T21:00:00Z", false},
		{"whole day", span("UTC", 0, 1440, 7), "2026-03-01T23:59:59Z", true},
		{"the day after a whole day", span("UTC", 0, 1440, 7), "2026-03-02T00:00:00Z", false},
		{"over midnight, on its day", span("UTC", 22*60, 2*60, 5), "2026-03-06T22:00:00Z", true},
		{"over midnight, on the next", span("UTC", 22*60, 2*60, 5), "2026-03-07T01:59:59Z", true},
		{"over midnight, its end", span("UTC", 22*60, 2*60, 5), "2026-03-07T02:00:00Z", false},
		{"over midnight, the morning of its day", span("UTC", 22*60, 2*60, 5), "2026-03-06T01:00:00Z", false},
		{"from Sunday to Monday", span("UTC", 22*60, 2*60, 7), "2026-03-02T01:00:00Z", true},
		{"up to midnight written as 0", span("UTC", 22*60, 0, 7), "2026-03-01T23:59:59Z", true},
		{"past midnight written as 0", span("UTC", 22*60, 0, 7), "2026-03-02T00:00:00Z", false},
		// 2026-03-08 in New York has no minute from 2:00 to 3:00; 2026-11-01 has those from 1:00 to 2:00 twice.
		{"minutes that never come, as they would begin", span("America/New_York", 120, 180, 7), "2026-03-08T07:00:00Z", false},
		{"into a span that begins with them", span("America/New_York", 120, 240, 7), "2026-03-08T07:00:00Z", true},
		{"minutes that come twice, first", span("America/New_York", 60, 120, 7), "2026-11-01T05:30:00Z", true},
		{"minutes that come twice, again", span("America/New_York", 60, 120, 7), "2026-11-01T06:30:00Z", true},
		{"after both", span("America/New_York", 60, 120, 7), "2026-11-01T07:00:00Z", false},
		{"one of two spans", append(span("UTC", 0, 60, 1), span("UTC", 120, 180, 1)...), "2026-03-02T02:30:00Z", true},
		{"between two spans", append(span("UTC", 0, 60, 1), span("UTC", 120, 180, 1)...), "2026-03-02T01:30:00Z", false},
		{"no span", nil, "2026-03-02T01:30:00Z", false},
		{"unknown zone", span("Mars/Olympus", 0, 1440, 1, 2, 3, 4, 5, 6, 7), "2026-03-02T01:30:00Z", false},
	} {
		if got := Open(tt.hours, at(t, tt.at)); got != tt.open {
			t.Errorf("%s: expected %v, found %v", tt.name, tt.open, got)
		}
	}
}

func TestNextIsTheFirstOpenSecond(t *testing.T) {
	for _, tt := range []struct {
		name       string
		hours      []canon.Hours
		from, next string
	}{
		{"open now", span("UTC", 0, 1440, 1), "2026-03-02T12:34:56Z", "2026-03-02T12:34:56Z"},
		{"later today", span("Asia/Hong_Kong", 540, 1020, workdays...), "2026-03-02T00:00:01Z", "2026-03-02T01:00:00Z"},
		{"after the weekend", span("Asia/Hong_Kong", 540, 1020, workdays...), "2026-03-06T09:00:00Z", "2026-03-09T01:00:00Z"},
		{"after the weekend on which clocks go forward", span("America/New_York", 540, 1020, workdays...), "2026-03-06T22:00:00Z", "2026-03-09T13:00:00Z"},
		{"in a week", span("UTC", 0, 60, 1), "2026-03-02T01:00:00Z", "2026-03-09T00:00:00Z"},
		{"when clocks jump into it", span("America/New_York", 120, 240, 7), "2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z"},
		{"a week later, where its minutes never come", span("America/New_York", 120, 180, 7), "2026-03-08T06:00:00Z", "2026-03-15T06:00:00Z"},
		{"the second time that its minutes come", span("America/New_York", 90, 120, 7), "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z"},
		{"two weeks later, where its day never came", span("Pacific/Apia", 0, 1440, 5), "2011-12-24T12:00:00Z", "2012-01-05T10:00:00Z"},
		{"the earlier of two", append(span("UTC", 120, 180, 1), span("UTC", 60, 90, 1)...), "2026-03-02T00:00:00Z", "2026-03-02T01:00:00Z"},
	} {
		got, ok := Next(tt.hours, at(t, tt.from))
		if !ok || got != at(t, tt.next) {
			t.Errorf("%s: expected %s, found %s, %v", tt.name, tt.next, got.At(), ok)
		}
	}
	if got, ok := Next(nil, 0); ok {
		t.Errorf("no span: expected none, found %d", got)
	}
	if got, ok := Next(span("Mars/Olympus", 0, 60, 1), 0); ok {
		t.Errorf("unknown zone: expected none, found %d", got)
	}
	for _, late := range []canon.Time{maxTime, maxTime + 1, 1 << 63, 1<<64 - 1} {
		if got, ok := Next(span("UTC", 0, 1, 1), late); ok {
			t.Errorf("after the last time: expected none, found %d", got)
		}
	}
}

func TestEveryZoneOfTheDatabaseLoads(t *testing.T) {
	if n := len(zones()); n < 500 {
		t.Fatalf("expected more than 500 zones, found %d", n)
	}
	for name := range zones() {
		if err := Valid(name); err != nil {
			t.Error(err)
		}
		h := canon.Hours{Days: []uint64{1}, From: 0, To: 1, Zone: name}
		if err := h.Check(); err != nil {
			t.Errorf("a name that no charter could have: %v", err)
		}
	}
	for _, name := range []string{"", "Local", "asia/hong_kong", "Asia/Hongkong", "../UTC", "Asia/", "Asia"} {
		if Valid(name) == nil {
			t.Errorf("%q: expected an error, found none", name)
		}
	}
}

// zoneNames are some in which much happens: clocks that change by half an hour, at midnight, by a day, never.
var zoneNames = []string{"UTC", "America/New_York", "Asia/Hong_Kong", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu",
	"Africa/Casablanca", "Europe/London", "Antarctica/Troll", "Asia/Tehran"}

func randomSpan(t *rapid.T, label string) canon.Hours {
	h := canon.Hours{Zone: rapid.SampledFrom(zoneNames).Draw(t, label+" zone"), From: rapid.Uint64Range(0, 1439).Draw(t, label+" from")}
	h.Days = rapid.SliceOfNDistinct(rapid.Uint64Range(1, 7), 1, 7, rapid.ID).Draw(t, label+" days")
	h.To = rapid.Uint64Range(0, 1440).Filter(func(n uint64) bool { return n != h.From }).Draw(t, label+" to")
	return h
}

// Between a time and what Next returns nothing is open, by a walk from minute to minute.
func TestNextPassesNothingOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		hours := []canon.Hours{randomSpan(t, "first"), randomSpan(t, "second")}
		from := canon.Time(rapid.Uint64Range(0, 4_000_000_000).Draw(t, "at"))
		next, ok := Next(hours, from)
		if !ok || next < from || !Open(hours, next) {
			t.Fatalf("from %s: expected an open time, found %s, %v", from.At(), next.At(), ok)
		}
		for at := from; at < next; at += 60 - at%60 {
			if Open(hours, at) {
				t.Fatalf("from %s: expected %s, found %s", from.At(), at.At(), next.At())
			}
		}
	})
}

// The first hours of canon.Time are the last of 1969 in New York.
func TestNextFindsWhatOpensBeforeTheFirstMidnight(t *testing.T) {
	if next, ok := Next(span("America/New_York", 19*60+1, 0, 3), 0); !ok || next != 60 {
		t.Errorf("expected Wednesday 19:01 in New York, 60, found %d, %v", next, ok)
	}
}

func FuzzOpenAndNextAgree(f *testing.F) {
	f.Add("America/New_York", uint64(7), uint64(120), uint64(180), uint64(1772949600))
	f.Add("", uint64(0), uint64(0), uint64(0), uint64(1<<63))
	f.Fuzz(func(t *testing.T, zone string, day, from, to, when uint64) {
		hours := span(zone, from, to, day)
		next, ok := Next(hours, canon.Time(when))
		if ok && (!Open(hours, next) || next < canon.Time(when)) {
			t.Errorf("expected an open time from %d on, found %d", when, next)
		}
		if !ok && Open(hours, canon.Time(when)) {
			t.Errorf("%d is open: expected it, found none", when)
		}
	})
}

func TestZonesLoadForSeveralAtOnce(t *testing.T) {
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, name := range zoneNames {
				if !Open(span(name, 0, 1440, 1, 2, 3, 4, 5, 6, 7), 1_700_000_000) {
					t.Errorf("%s: expected open all week, found closed", name)
				}
			}
		})
	}
	all.Wait()
}
