package coordinator

import (
	"strings"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// A delay that is longer than a reservation lives is waited out without a new version for every one that lapses, also by a service that was
// started anew meanwhile.
func TestADelayIsWaitedOutAndSurvivesARestart(t *testing.T) {
	w := newWorld(t, "", func(_ *organisation, g *canon.Genesis) { g.Rules[0].Delay, g.Rules[0].Signing = 1800, 600 })
	w.fund(30_000_000)
	w.run()
	row := w.create("a")
	waits := func(row withdrawal.Withdrawal) bool { return len(row.Refusals) > 0 && row.Refusals[0].Until > 0 }
	row = w.awaitThat(row.ID, waits, "a row that waits")
	if row.State != withdrawal.Approved || len(row.Acks) > 0 || !strings.Contains(refusalText(row), "delay") {
		t.Fatalf("expected approved and waiting for the delay, found %s with %d acks: %v", row.State, len(row.Acks), row.Refusals)
	}
	for range 4 {
		w.reopen() // nobody works on it meanwhile
		w.offset.Add(430)
		again := w.row(row.ID)
		if moved, turn, err := w.service.stepReserve(w.ctx, again); err != nil || moved || turn.after == 0 {
			t.Fatalf("expected to wait, found moved %t, %+v, %v", moved, turn, err)
		}
		if after := w.row(row.ID); after.Version != again.Version {
			t.Fatalf("expected nothing written while it waits, found version %d after %d: %v", after.Version, again.Version, after.Refusals)
		}
	}
	w.offset.Add(100)
	w.reopen()
	w.run()
	paid := w.buried(row.ID)
	if len(paid.Earlier) != 1 {
		t.Errorf("expected one version that lapsed, found %d", len(paid.Earlier))
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

// Refusals that pass after the intent's end are refusals for good.
func TestADelayBeyondTheIntentsEndFails(t *testing.T) {
	w := newWorld(t, "")
	s := w.service
	w.fund(3_000_000)
	row := w.create("a")
	refused := func(until uint64, names ...canon.Name) withdrawal.Withdrawal {
		row := row
		row.Refusals = nil
		for _, name := range names {
			row.Refusals = append(row.Refusals, failure(string(name)+": delay", "intent", "later", "now")...)
			row.Refusals[len(row.Refusals)-1].Until = until
		}
		return row
	}
	soon, late := uint64(s.now())+60, uint64(row.NotAfter)+1
	for _, tt := range []struct {
		name  string
		row   withdrawal.Withdrawal
		waits bool
	}{
		{"all soon", refused(soon, nodeNames...), true},
		{"enough soon", refused(soon, nodeNames[:3]...), true},
		{"three may answer yet", refused(soon, nodeNames[0]), false},
		{"too late", refused(late, nodeNames...), false},
		{"passed", refused(uint64(s.now()), nodeNames...), false},
		{"for good", refused(0, nodeNames...), false},
	} {
		if _, waits := s.mustWait(tt.row, 3, false); waits != tt.waits {
			t.Errorf("%s: expected to wait %t, found %t", tt.name, tt.waits, waits)
		}
	}
}

// A rule that lets through within hours is held against signers' clocks too. What was decided within them waits for the next ones.
func TestHoursThatAreOverAreWaitedFor(t *testing.T) {
	start := time.Now().UTC().Add(-time.Minute)
	span := func(from, to time.Duration) canon.Hours {
		minute := func(d time.Duration) uint64 {
			at := start.Add(d)
			return uint64(at.Hour()*60 + at.Minute())
		}
		return canon.Hours{Days: []uint64{1, 2, 3, 4, 5, 6, 7}, From: minute(from), To: minute(to), Zone: "Etc/UTC"}
	}
	w := newWorld(t, "", func(_ *organisation, g *canon.Genesis) {
		g.Rules[0].Hours = []canon.Hours{span(-2*time.Minute, 4*time.Minute), span(20*time.Minute, 40*time.Minute)}
	})
	w.fund(30_000_000)
	row := w.create("a")
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved within hours, found %s: %v", row.State, row.Refusals)
	}
	w.offset.Store(600)
	moved, turn, err := w.service.stepPrepare(w.ctx, row)
	waiting := w.row(row.ID)
	if err != nil || moved || turn.after == 0 || waiting.State != withdrawal.Approved || len(waiting.Refusals) == 0 || waiting.Refusals[0].Until <= uint64(w.service.now()) {
		t.Fatalf("expected to wait for the next hours, found moved %t, %+v, %v: %v", moved, turn, err, waiting.Refusals)
	}
	w.offset.Store(1500)
	w.run()
	w.service.driver.wake(row.ID)
	w.buried(row.ID)
}
