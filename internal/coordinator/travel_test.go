package coordinator

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// example is travel-rule data of the standard's, with so many spaces before it.
func example(t *testing.T, spaces int) (data, digest []byte) {
	t.Helper()
	base, err := os.ReadFile("../../proto/ivms101/testdata/example-1.json")
	if err != nil {
		t.Fatal(err)
	}
	data = append(fmt.Appendf(nil, "%*s", spaces, ""), base...)
	sum := sha256.Sum256(data)
	return data, sum[:]
}

func TestNoDataIsStoredUnderAWithdrawalThatIsAnothers(t *testing.T) {
	w := newWorld(t, "")
	w.reopen()
	w.fund(30_000_000)
	first := w.create("a")
	for i := range 3 {
		data, digest := example(t, i)
		r := w.request("a", func(r *canon.Request) { r.TravelData = digest })
		_, err := w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", r), Client: "acme", TravelData: data})
		var exists *store.ExistsError
		if !errors.As(err, &exists) {
			t.Errorf("another request under the same id: expected that there is one, found %v", err)
		}
		var missing *store.NotFoundError
		if _, err := w.service.Store.TravelData(w.ctx, first.ID, digest); !errors.As(err, &missing) {
			t.Errorf("expected nothing stored under another's withdrawal, found %v", err)
		}
	}
}

func TestOldTravelDataIsForgotten(t *testing.T) {
	w := newWorld(t, "")
	w.reopen()
	data, digest := example(t, 0)
	r := w.request("a", func(r *canon.Request) { r.TravelData = digest })
	row, err := w.service.Create(w.ctx, Submission{Request: w.sign(t, "acme", r), Client: "acme", TravelData: data})
	if err != nil || row.State != withdrawal.Denied { // there are no funds
		t.Fatalf("expected denied, found %s, %v", row.State, err)
	}
	kept := func() bool {
		_, err := w.service.Store.TravelData(w.ctx, row.ID, digest)
		return err == nil
	}
	ended, cancel := context.WithCancel(w.ctx)
	cancel()
	w.service.forgetTravelData(ended)
	w.service.KeepTravelData = time.Hour
	for _, c := range []struct {
		after time.Duration
		kept  bool
	}{{59 * time.Minute, true}, {61 * time.Minute, false}} {
		now := row.Updated.Add(c.after)
		w.service.Now = func() time.Time { return now }
		n, err := w.service.Store.DeleteTravelData(w.ctx, w.service.Now().Add(-w.service.KeepTravelData))
		if err != nil || kept() != c.kept {
			t.Errorf("after %s: expected kept %t, found %t, %d deleted, %v", c.after, c.kept, kept(), n, err)
		}
	}
}

func TestWhoAsksForTheAllocationWaitsNoLongerThanItLikes(t *testing.T) {
	w := banded(t)
	w.service.allocated.turn <- struct{}{} // somebody works it out, and signers do not answer
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := w.service.allocation(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("expected the caller's end, found %v", err)
	}
	<-w.service.allocated.turn
}

func TestWhatADeskAsksForIsNoHabitOfTheClient(t *testing.T) {
	w := newWorld(t, "")
	w.reopen()
	row := w.create("a")
	desk := row
	desk.Desk, desk.Origin = "desk", "192.0.2.9"
	for name, c := range map[string]struct {
		w    withdrawal.Withdrawal
		want uint64
	}{"the client": {row, 1}, "the desk": {desk, 1}} {
		what, err := w.service.circumstances(w.ctx, c.w, w.request("a"))
		if err != nil || what.Requests != c.want {
			t.Errorf("%s: expected %d requests, found %d, %v", name, c.want, what.Requests, err)
		}
	}
	w.create("b")
	for name, c := range map[string]struct {
		w    withdrawal.Withdrawal
		want uint64
	}{"the client": {row, 2}, "the desk": {desk, 1}} {
		what, err := w.service.circumstances(w.ctx, c.w, w.request("a"))
		if err != nil || what.Requests != c.want {
			t.Errorf("%s: expected %d requests, found %d, %v", name, c.want, what.Requests, err)
		}
	}
}
