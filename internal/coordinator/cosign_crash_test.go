package coordinator

import (
	"testing"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Each step of a withdrawal that needs devices runs, runs again on the row that it had, and the process dies before the next one: one payment comes
// out of it, and every question to a device had a number of its own.
func TestEveryStepWithDevicesCanBeRepeatedAndSurvivesARestart(t *testing.T) {
	wallets := []canon.Name{"btc-vault", "btc-multi", "evm-vault"}
	if testing.Short() {
		wallets = wallets[:1] // the race detector makes curves twenty times as slow, and one wallet takes every step
	}
	for _, wallet := range wallets {
		t.Run(string(wallet), func(t *testing.T) {
			w := vaulted(t)
			change := []func(*canon.Request){outOf(wallet)}
			mine := func() { w.bitcoin.mine() }
			if wallet == "evm-vault" {
				w.fundVault()
				change, mine = append([]func(*canon.Request){w.onEVM(eth, 1e17)}, change...), w.mineEVM
			} else {
				w.fundAt(wallet, 30_000_000)
			}
			id := w.create("a", change...).ID
			row := w.row(id)
			for range 40 {
				if row = w.row(id); row.State == withdrawal.Confirmed {
					break
				}
				for range 2 {
					if err := w.step(row); err != nil {
						t.Fatalf("step in %s: %v", row.State, err)
					}
				}
				if row.State == withdrawal.Broadcast {
					mine()
				}
				w.close()
				w.open()
				w.learn()
			}
			if row.State != withdrawal.Confirmed {
				t.Fatalf("expected confirmed, found %s: %v", row.State, row.Refusals)
			}
			seen := map[string]bool{}
			for _, question := range w.all.cosigned {
				if seen[question] {
					t.Errorf("asked twice: %s", question)
				}
				seen[question] = true
			}
			if sessions := len(w.all.attempts); (wallet == "btc-multi") != (sessions == 0) || wallet != "evm-vault" && w.bitcoin.sent != 1 {
				t.Errorf("expected one broadcast, and a session where the MPC key signs, found %d and %d", w.bitcoin.sent, sessions)
			}
			if err := w.service.Store.Verify(w.ctx); err != nil {
				t.Error(err)
			}
		})
	}
}
