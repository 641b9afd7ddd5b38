package expression

import (
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// Vocabulary is what an expression may name: the assets of a charter, and the currencies that it has prices in.
type Vocabulary struct {
	Assets     []canon.Asset
	Currencies []canon.Currency
}

// VocabularyOf returns the vocabulary of a charter.
func VocabularyOf(g *canon.Genesis) Vocabulary {
	v := Vocabulary{Assets: g.Assets}
	for _, p := range g.Prices {
		if !slices.Contains(v.Currencies, p.Currency) {
			v.Currencies = append(v.Currencies, p.Currency)
		}
	}
	return v
}

// asset finds an asset by its id or by a symbol that no other has.
func (v Vocabulary) asset(text string) (canon.Asset, error) {
	var found []canon.Asset
	for _, a := range v.Assets {
		if string(a.ID) == text {
			return a, nil
		}
		if string(a.Symbol) == text {
			found = append(found, a)
		}
	}
	switch len(found) {
	case 0:
		return canon.Asset{}, fmt.Errorf("expected an asset of the charter, by symbol or id, found %.64q", text)
	case 1:
		return found[0], nil
	}
	return canon.Asset{}, fmt.Errorf("expected one asset, found %d with symbol %.64q; write its id", len(found), text)
}

// amount reads "1.5 BTC", or the id in place of the symbol.
func (v Vocabulary) amount(text string) (quantity, error) {
	number, name, ok := strings.Cut(text, " ")
	if !ok {
		return quantity{}, fmt.Errorf("expected an amount such as \"1.5 BTC\", found %.64q", text)
	}
	a, err := v.asset(name)
	if err != nil {
		return quantity{}, err
	}
	n, err := wallets.ParseAmount(number, a)
	if err != nil {
		return quantity{}, err
	}
	return amountOf(a.ID, n.Int()), nil
}

func (v Vocabulary) currency(text string) (canon.Currency, error) {
	if !slices.Contains(v.Currencies, canon.Currency(text)) {
		return "", fmt.Errorf("expected a currency that the charter has prices in, found %.64q", text)
	}
	return canon.Currency(text), nil
}

// money reads "500 USD".
func (v Vocabulary) money(text string) (quantity, error) {
	number, name, ok := strings.Cut(text, " ")
	if !ok {
		return quantity{}, fmt.Errorf("expected an amount of money such as \"500 USD\", found %.64q", text)
	}
	currency, err := v.currency(name)
	if err != nil {
		return quantity{}, err
	}
	n, err := wallets.ParseAmount(number, canon.Asset{Symbol: canon.Text(currency), Decimals: 6})
	if err != nil {
		return quantity{}, err
	}
	return moneyOf(currency, n.Int()), nil
}
