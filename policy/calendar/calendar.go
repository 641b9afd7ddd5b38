package calendar

import (
	"slices"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// maxTime bounds the times that are asked about, as canon.Time's bound does: the end of the year 9999.
const maxTime = 253402300799

// horizon is how far Next looks. Every span comes once a week, but for a day that a zone leaves out when it changes sides of the date line.
const horizon = 22 * 24 * 3600

const day = 24 * 3600

// Open reports whether any of the spans is open at that time.
func Open(hours []canon.Hours, t canon.Time) bool {
	return slices.ContainsFunc(hours, func(h canon.Hours) bool { return open(h, t) })
}

func open(h canon.Hours, t canon.Time) bool {
	zone, err := Location(h.Zone)
	if err != nil || t > maxTime {
		return false
	}
	wall := time.Unix(int64(t), 0).In(zone)
	minute := uint64(wall.Hour()*60 + wall.Minute())
	today := weekday(wall)
	if h.From < h.To {
		return begins(h, today) && h.From <= minute && minute < h.To
	}
	yesterday := (today+5)%7 + 1
	return begins(h, today) && minute >= h.From || begins(h, yesterday) && minute < h.To
}

// weekday returns 1 for Monday to 7 for Sunday (ISO 8601).
func weekday(t time.Time) uint64 { return uint64(t.Weekday()+6)%7 + 1 }

func begins(h canon.Hours, weekday uint64) bool { return slices.Contains(h.Days, weekday) }

// Next returns the first time from t on at which any of the spans is open: t itself if one is. It is false if none opens within three weeks, which goes for no
// span at all.
func Next(hours []canon.Hours, t canon.Time) (canon.Time, bool) {
	if Open(hours, t) {
		return t, true
	}
	var first canon.Time
	found := false
	for _, h := range hours {
		if at, ok := next(h, t); ok && (!found || at < first) {
			first, found = at, true
		}
	}
	return first, found
}

// next looks at one span, through each stretch of time in which its zone's clocks keep the same distance from UTC. Within one a span can only open at From;
// besides, the clocks may jump into a span where a stretch begins.
func next(h canon.Hours, t canon.Time) (canon.Time, bool) {
	zone, err := Location(h.Zone)
	if err != nil || t > maxTime {
		return 0, false
	}
	last := int64(min(t+horizon, maxTime))
	for from := int64(t); from <= last; {
		wall := time.Unix(from, 0).In(zone)
		if open(h, canon.Time(from)) {
			return canon.Time(from), true
		}
		_, end := wall.ZoneBounds()
		until := last
		if !end.IsZero() {
			until = min(last, end.Unix()-1)
		}
		_, offset := wall.Zone()
		today := (from + int64(offset)) % day // seconds since midnight; negative in the last hours of 1969, west of Greenwich
		midnight := from - (today+day)%day
		for ; midnight <= until; midnight += day {
			if at := midnight + int64(h.From)*60; at > from && at <= until && open(h, canon.Time(at)) {
				return canon.Time(at), true
			}
		}
		from = until + 1
	}
	return 0, false
}
