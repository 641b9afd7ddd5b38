package cli

import (
	"fmt"
	"math/big"
	"strings"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// AmountView is an amount with its asset.
type AmountView struct {
	// Amount is decimal text in whole units with the asset's symbol, as the charter has them, for example "0.015 BTC".
	Amount string `json:"amount"`
	// Asset is the CAIP-19 id.
	Asset string `json:"asset"`
	// BaseUnits is the amount in decimal base units.
	BaseUnits string `json:"base_units"`
}

func amountView(c *charter.Charter, id canon.AssetID, amount canon.Amount) AmountView {
	v := AmountView{Asset: string(id), BaseUnits: amount.String()}
	if asset, ok := c.Asset(id); ok {
		v.Amount = wallets.FormatAmount(amount, asset)
	} else {
		v.Amount = v.BaseUnits + " base units of an asset that the charter does not know"
	}
	return v
}

// PaymentView is one payment, from the bytes of a request.
type PaymentView struct {
	AmountView
	// Address is the text of the chain for the bytes of the output.
	Address string `json:"address"`
	// Label is that of the address book; only set when a proof under the newest version that a quorum of signers names shows it.
	Label string `json:"label,omitempty"`
	// InBook says whether such a proof was there.
	InBook bool `json:"in_book"`
	// Payable says that the cool-down of the entry is over at a quorum of the signers.
	Payable bool `json:"payable,omitempty"`
	// PayableFrom is when a quorum of the signers expects that to be at the latest, for an entry that is not payable yet.
	PayableFrom string `json:"payable_from,omitempty"`
	// Own says that the address is one of the account's own; the address book is not asked then.
	Own *OwnView `json:"own,omitempty"`
	// Groups are those of the address book that the intent says the address is in, in every version that signers ask for; RecentGroups
	// those in some version only.
	Groups       []string `json:"groups,omitempty"`
	RecentGroups []string `json:"recent_groups,omitempty"`
	// GroupsShown says that a proof under the newest version shows all of Groups.
	GroupsShown bool `json:"groups_shown,omitempty"`
}

// payments renders the outputs of a request. An output that has no text as an address shows as its bytes. entries are what is known of the
// book, by address.
func payments(c *charter.Charter, r canon.Request, entries map[string]entry) []PaymentView {
	chain, _ := c.Chain(r.Chain)
	out := make([]PaymentView, len(r.Outputs))
	for i, o := range r.Outputs {
		address, err := wallets.AddressText(chain, o.Address)
		if err != nil {
			address = fmt.Sprintf("no address of the chain: %x", o.Address)
		}
		e, proven := entries[string(o.Address)]
		out[i] = PaymentView{AmountView: amountView(c, o.Asset, o.Amount), Address: address, Label: string(e.label), InBook: proven, Payable: e.payable, PayableFrom: e.from,
			Own: ownView(c, o)}
	}
	return out
}

// total is what a request pays of one asset.
type total struct {
	id  canon.AssetID
	sum canon.Amount
}

// totals sums what a request pays for each asset, in the order in which assets first appear.
func totals(c *charter.Charter, r canon.Request) ([]total, error) {
	var order []canon.AssetID
	sums := map[canon.AssetID]*big.Int{}
	pays, err := policy.Paid(c, &r)
	if err != nil {
		return nil, err
	}
	for _, o := range pays {
		if sums[o.Asset] == nil {
			order, sums[o.Asset] = append(order, o.Asset), new(big.Int)
		}
		sums[o.Asset].Add(sums[o.Asset], o.Amount.Int())
	}
	out := make([]total, len(order))
	for i, id := range order {
		sum, err := canon.NewAmount(sums[id])
		if err != nil {
			return nil, fmt.Errorf("sum of %s: %w", id, err)
		}
		out[i] = total{id, sum}
	}
	return out, nil
}

// parseAmount reads an amount with its symbol, or with its CAIP-19 id where a symbol names several assets of the chain.
func parseAmount(c *charter.Charter, chain canon.ChainID, text string) (canon.AssetID, canon.Amount, error) {
	number, unit, ok := strings.Cut(text, " ")
	if !ok {
		return "", nil, fmt.Errorf("amount: expected a number, a space and an asset as in \"0.5 BTC\", found %q", text)
	}
	var found []canon.Asset
	for _, a := range c.Genesis().Assets {
		if a.ID.Chain() == chain && (string(a.Symbol) == unit || string(a.ID) == unit) {
			found = append(found, a)
		}
	}
	if len(found) != 1 {
		return "", nil, fmt.Errorf("amount: expected an asset of %s, found %q for %d of them", chain, unit, len(found))
	}
	amount, err := wallets.ParseAmount(number, found[0])
	return found[0].ID, amount, err
}
