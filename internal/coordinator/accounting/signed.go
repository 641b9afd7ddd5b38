package accounting

import (
	"fmt"

	"github.com/strongroom/strongroom/internal/coordinator/withdrawal"
	"github.com/strongroom/strongroom/proto/canon"
)

// Signed returns what leaves a withdrawal's account when its transaction is signed, as from then on it may be mined at any time: everything that
// was set aside for it, also what goes to another wallet of the account, for it can be spent in this one no more. Afterwards the rest comes back.
func Signed(w withdrawal.Withdrawal) []Movement {
	var out []Movement
	for _, a := range w.SetAside {
		m := about(w, Withdrawal, a.Asset)
		m.Key, m.Amount, m.Text = fmt.Sprintf("withdrawal:%s:%s", w.ID, a.Asset), a.Amount, "set aside for the signed transaction"
		out = append(out, m)
	}
	return out
}

// Ended returns to the account what a withdrawal did not take.
func Ended(w withdrawal.Withdrawal) []Movement {
	var out []Movement
	for _, a := range w.SetAside {
		m := about(w, Return, a.Asset)
		m.Text = "not needed"
		out = append(out, m)
	}
	return out
}

// about returns a movement of the withdrawal's own wallet and account.
func about(w withdrawal.Withdrawal, kind Kind, asset canon.AssetID) Movement {
	id := w.ID
	return Movement{Kind: kind, Wallet: w.Wallet, Account: w.Account, Asset: asset, Withdrawal: &id}
}

// outputs returns what the client asked to pay.
func outputs(w withdrawal.Withdrawal) ([]canon.Output, error) {
	var r canon.Request
	if err := canon.Decode(w.Request.Document, &r); err != nil {
		return nil, fmt.Errorf("withdrawal %s: request: %w", w.ID, err)
	}
	return r.Outputs, nil
}
