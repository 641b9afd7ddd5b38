package coordinator

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// step does what the driver would do next with a row, stale or not.
func (w *world) step(row withdrawal.Withdrawal) error {
	next := w.service.stepFor(row)
	if next == nil {
		return nil
	}
	_, _, err := next(w.ctx, row)
	var conflict *store.ConflictError
	if errors.Is(err, errMoved) || errors.As(err, &conflict) {
		return nil
	}
	return err
}

// Each step runs, runs again on the row that it had, and the process dies before the next one: one payment comes out of it.
func TestEveryStepCanBeRepeatedAndSurvivesARestart(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	id := w.create("a").ID
	var states []withdrawal.State
	for range 30 {
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		if row.State == withdrawal.Confirmed {
			break
		}
		if !slices.Contains(states, row.State) {
			states = append(states, row.State)
		}
		for range 2 {
			if err := w.step(row); err != nil {
				t.Fatalf("step in %s: %v", row.State, err)
			}
		}
		if row.State == withdrawal.Broadcast {
			w.bitcoin.mine()
		}
		w.close()
		w.open()
		w.learn()
	}
	row, err := w.service.Store.Withdrawal(w.ctx, id)
	if err != nil || row.State != withdrawal.Confirmed {
		t.Fatalf("expected confirmed, found %s, %v, %v", row.State, row.Refusals, err)
	}
	if want := []withdrawal.State{withdrawal.Approved, withdrawal.Reserved, withdrawal.Signed, withdrawal.Broadcast}; !slices.Equal(states, want) {
		t.Errorf("states: expected %v, found %v", want, states)
	}
	if w.bitcoin.sent != 1 {
		t.Errorf("expected one broadcast, found %d", w.bitcoin.sent)
	}
	if distinct := slices.Compact(slices.SortedFunc(slices.Values(w.all.reserved), compareDigests)); len(distinct) != 1 {
		t.Errorf("expected one reservation asked for, found %d", len(distinct))
	}
	if err := w.service.Store.Verify(w.ctx); err != nil {
		t.Error(err)
	}
}

func compareDigests(a, b canon.Digest) int { return strings.Compare(string(a[:]), string(b[:])) }

// A session that a crash cut off is never taken up again: the next attempt has the next number.
func TestASessionThatWasCutOffIsFollowedByAnother(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	id := w.create("a").ID
	row := w.until(id, withdrawal.Reserved)
	if _, err := w.service.apply(w.ctx, row, withdrawal.Event{Kind: withdrawal.EventAttempt, Participants: []canon.Name{"node-1", "node-2"}}); err != nil {
		t.Fatal(err)
	}
	row = w.until(id, withdrawal.Signed)
	if row.Attempt != 2 || len(w.all.attempts) != 1 {
		t.Errorf("expected the second attempt to be the first that nodes saw, found %d and %v", row.Attempt, w.all.attempts)
	}
}

// until steps a withdrawal to a state, without the driver.
func (w *world) until(id canon.Digest, state withdrawal.State) withdrawal.Withdrawal {
	w.t.Helper()
	for range 20 {
		row, err := w.service.Store.Withdrawal(w.ctx, id)
		if err != nil {
			w.t.Fatal(err)
		}
		if row.State == state {
			return row
		}
		if err := w.step(row); err != nil {
			w.t.Fatalf("step in %s: %v", row.State, err)
		}
	}
	w.t.Fatalf("expected %s", state)
	return withdrawal.Withdrawal{}
}

func TestOneNodeMayBeSilentOrLie(t *testing.T) {
	faults := map[string]func(*node){
		"down":    func(n *node) { n.down = true },
		"mangles": func(n *node) { n.mangle = true },
		"refuses": func(n *node) { n.refuse = refusal.New("mood", "day", "good", "bad") },
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, "")
			w.fund(30_000_000)
			w.nodes["node-2"].set(fault)
			w.run()
			row := w.buried(w.create("a").ID)
			if name == "down" && slices.Contains(row.Participants, "node-2") {
				t.Errorf("expected other participants, found %v", row.Participants)
			}
			if w.bitcoin.sent != 1 {
				t.Errorf("expected one broadcast, found %d", w.bitcoin.sent)
			}
		})
	}
}

func TestTwoSilentNodesDelayAndNothingIsLost(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	w.run()
	id := w.create("a").ID
	row := w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return len(r.Acks) == 2 }, "two acks")
	if row.State != withdrawal.Approved {
		t.Fatalf("expected approved, found %s", row.State)
	}
	w.nodes["node-1"].set(func(n *node) { n.down = false })
	w.buried(id)
}

func TestRefusalsOfTooManyEndAWithdrawal(t *testing.T) {
	no := refusal.New("limit day", "amount", "less", "more")
	t.Run("nobody acked: coins are free again", func(t *testing.T) {
		w := newWorld(t, "")
		w.fund(3_000_000)
		for _, n := range w.nodes {
			n.set(func(n *node) { n.refuse = no })
		}
		w.run()
		row := w.await(w.create("a").ID, withdrawal.Failed)
		if len(row.Refusals) != 4 || row.Refusals[0].Rule != "node-1: limit day" || row.Fate != withdrawal.FateFree {
			t.Errorf("expected four refusals and a free anchor, found %v, %v", row.Refusals, row.Fate)
		}
		for _, n := range w.nodes {
			n.set(func(n *node) { n.refuse = nil })
		}
		w.buried(w.create("b").ID)
	})
	t.Run("somebody acked: coins stay set aside", func(t *testing.T) {
		w := newWorld(t, "")
		w.fund(3_000_000)
		for _, name := range nodeNames[:2] {
			w.nodes[name].set(func(n *node) { n.refuse = no })
		}
		w.run()
		row := w.await(w.create("a").ID, withdrawal.Burning)
		if len(row.Refusals) != 2 {
			t.Errorf("expected two refusals, found %v", row.Refusals)
		}
		coins, err := w.service.Store.UnspentCoins(w.ctx, store.CoinQuery{Chain: testBTC, Wallet: "btc-hot", Free: true})
		if err != nil || len(coins) != 0 {
			t.Errorf("expected no free coins, found %d, %v", len(coins), err)
		}
	})
}

func TestALapsedReservationIsRenewedForTheSameTransaction(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	w.run()
	id := w.create("a").ID
	before := w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return len(r.Acks) == 2 }, "two acks")
	w.offset.Store(700) // beyond until
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = false })
	}
	w.service.driver.wake(id)
	row := w.buried(id)
	if len(row.Earlier) != 1 || row.Rid == before.Rid || string(row.Prepared.Unsigned) != string(before.Prepared.Unsigned) {
		t.Errorf("expected a second version of the same transaction, found %d earlier", len(row.Earlier))
	}
}

func TestAnExpiredWithdrawalThatWasAckedKeepsItsCoins(t *testing.T) {
	w := newWorld(t, "")
	w.fund(3_000_000)
	for _, name := range nodeNames[:2] {
		w.nodes[name].set(func(n *node) { n.down = true })
	}
	w.run()
	id := w.create("a").ID
	w.awaitThat(id, func(r withdrawal.Withdrawal) bool { return len(r.Acks) == 2 }, "two acks")
	w.offset.Store(4000)
	w.service.driver.wake(id)
	row := w.await(id, withdrawal.Burning)
	if !hasRule(row, "expiry") {
		t.Errorf("expected the reason expiry, found %v", row.Refusals)
	}
}

func TestAChainThatIsAwayDelays(t *testing.T) {
	w := newWorld(t, "")
	w.fund(30_000_000)
	id := w.create("a").ID
	w.until(id, withdrawal.Signed)
	w.bitcoin.mu.Lock()
	w.bitcoin.offline = true
	w.bitcoin.mu.Unlock()
	row, err := w.service.Store.Withdrawal(w.ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.step(row); !errors.Is(err, errOffline) {
		t.Fatalf("expected the chain's error, found %v", err)
	}
	w.bitcoin.mu.Lock()
	w.bitcoin.offline = false
	w.bitcoin.mu.Unlock()
	w.run()
	w.buried(id)
}

// The helper process below kills itself; run alone it does nothing.
func TestCrashPointKills(t *testing.T) {
	if os.Getenv("STRONGROOM_TEST_HELPER") == "crash" {
		w := newWorld(t, "")
		w.service.CrashAt = "prepare"
		w.fund(30_000_000)
		row := w.create("a")
		fmt.Println("approved")
		_ = w.step(row)
		fmt.Println("still alive")
		return
	}
	c := exec.Command(os.Args[0], "-test.run=^TestCrashPointKills$")
	c.Env = append(os.Environ(), "STRONGROOM_TEST_HELPER=crash")
	out, err := c.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		t.Fatalf("expected death by SIGKILL, found %v: %s", err, out)
	}
	if !strings.Contains(string(out), "approved") || strings.Contains(string(out), "still alive") {
		t.Errorf("expected to die at the point, found %q", out)
	}
}
