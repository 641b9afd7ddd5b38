package authority

import (
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
)

// facts are what a file says, checked and ready to be looked up.
type facts struct {
	prices     map[priceKey]price
	attributes map[attributeKey]attribute
	screening  *screening
	travelRule *travelRule
}

type priceKey struct {
	asset    canon.AssetID
	currency canon.Currency
}

type price struct {
	value canon.Amount
	until time.Time
}

type attributeKey struct{ client, name canon.Name }

type attribute struct {
	value canon.Text
	valid uint64
}

type addressKey struct {
	chain   canon.ChainID
	address string
}

type screening struct {
	valid        uint64
	refuse, hold map[addressKey]canon.Text
}

type travelRule struct {
	valid          uint64
	refuses        bool // where data is missing; otherwise it waits
	matchAddresses bool
	thresholds     []threshold
}

// threshold is an amount from which on data is needed: base units of an asset, or millionths of a currency's unit.
type threshold struct {
	asset    canon.AssetID
	currency canon.Currency
	amount   *big.Int
}

// lasting is a duration in whole seconds, written with a unit.
type lasting uint64

// maxLasting bounds how long a statement counts.
const maxLasting = 366 * 24 * time.Hour

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *lasting) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || v < time.Second || v > maxLasting || v%time.Second != 0 {
		return fmt.Errorf("valid: expected whole seconds, at most %s, with a unit as in \"24h\", found %.20q", maxLasting, b)
	}
	*l = lasting(v / time.Second)
	return nil
}

// factsFile is the file as it is written.
type factsFile struct {
	Prices []struct {
		Asset    canon.AssetID  `toml:"asset"`
		Currency canon.Currency `toml:"currency"`
		Value    string         `toml:"value"`
		Until    time.Time      `toml:"until"`
	} `toml:"prices"`
	Attributes []struct {
		Client canon.Name `toml:"client"`
		Name   canon.Name `toml:"name"`
		Value  canon.Text `toml:"value"`
		Valid  lasting    `toml:"valid"`
	} `toml:"attributes"`
	Screening *struct {
		Valid  lasting      `toml:"valid"`
		Refuse []addressRow `toml:"refuse"`
		Hold   []addressRow `toml:"hold"`
	} `toml:"screening"`
	TravelRule *travelTable `toml:"travel_rule"`
}

type addressRow struct {
	Chain   canon.ChainID `toml:"chain"`
	Address string        `toml:"address"`
	Reason  canon.Text    `toml:"reason"`
}

type travelTable struct {
	Valid          lasting `toml:"valid"`
	Missing        string  `toml:"missing"`
	MatchAddresses bool    `toml:"match_addresses"`
	Thresholds     []struct {
		Asset    canon.AssetID  `toml:"asset"`
		Currency canon.Currency `toml:"currency"`
		Amount   string         `toml:"amount"`
	} `toml:"thresholds"`
}

// loadFacts reads a file of facts and refuses all of it if any of it is wrong, or if there is none of what the purpose needs.
func loadFacts(path, purpose string, c *charter.Charter) (*facts, string, error) {
	var file factsFile
	hash, err := config.Load(path, &file)
	if err != nil {
		return nil, "", err
	}
	f, err := file.compile(c)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if missing := map[string]bool{Prices: len(f.prices) == 0, Attributes: len(f.attributes) == 0, Screening: f.screening == nil, TravelRule: f.travelRule == nil}; missing[purpose] {
		return nil, "", fmt.Errorf("%s: expected what an authority for %s states, found none", path, purpose)
	}
	return f, hash, nil
}

func (file factsFile) compile(c *charter.Charter) (*facts, error) {
	f := &facts{prices: map[priceKey]price{}, attributes: map[attributeKey]attribute{}}
	for i, row := range file.Prices {
		key := priceKey{row.Asset, row.Currency}
		// Twelve decimals: canon.Price counts in 10^-12 of the currency's unit.
		value, err := wallets.ParseAmount(row.Value, canon.Asset{Symbol: canon.Text(row.Currency), Decimals: 12})
		if err := errors.Join(row.Asset.Check(), row.Currency.Check(), err); err != nil {
			return nil, fmt.Errorf("prices[%d]: %w", i, err)
		}
		if _, twice := f.prices[key]; twice || len(value) == 0 {
			return nil, fmt.Errorf("prices[%d]: expected one price above 0 of %s in %s, found another or 0", i, row.Asset, row.Currency)
		}
		f.prices[key] = price{value, row.Until}
	}
	for i, row := range file.Attributes {
		key := attributeKey{row.Client, row.Name}
		if err := errors.Join(named(row.Client), named(row.Name), row.Value.Check()); err != nil {
			return nil, fmt.Errorf("attributes[%d]: %w", i, err)
		}
		if _, twice := f.attributes[key]; twice || row.Valid == 0 {
			return nil, fmt.Errorf("attributes[%d]: expected one %s of %s that is valid for a while, found another or no valid", i, row.Name, row.Client)
		}
		f.attributes[key] = attribute{row.Value, uint64(row.Valid)}
	}
	if s := file.Screening; s != nil {
		if s.Valid == 0 {
			return nil, errors.New("screening.valid: expected a duration, found none")
		}
		f.screening = &screening{valid: uint64(s.Valid)}
		var err error
		if f.screening.refuse, err = addresses(c, "refuse", s.Refuse); err != nil {
			return nil, err
		}
		if f.screening.hold, err = addresses(c, "hold", s.Hold); err != nil {
			return nil, err
		}
	}
	return f, file.TravelRule.compile(c, f)
}

func named(n canon.Name) error {
	if n == canon.Any {
		return errors.New("name: expected one, found *")
	}
	return n.Check()
}

func addresses(c *charter.Charter, list string, rows []addressRow) (map[addressKey]canon.Text, error) {
	out := map[addressKey]canon.Text{}
	for i, row := range rows {
		chain, ok := c.Chain(row.Chain)
		if !ok {
			return nil, fmt.Errorf("screening.%s[%d].chain: expected one of the charter, found %.80q", list, i, row.Chain)
		}
		address, err := wallets.ParseAddress(chain, row.Address)
		if err != nil {
			return nil, fmt.Errorf("screening.%s[%d].address: %w", list, i, err)
		}
		if err := row.Reason.Check(); err != nil || row.Reason == "" {
			return nil, fmt.Errorf("screening.%s[%d].reason: expected a text for people, found none or one that is too long", list, i)
		}
		out[addressKey{row.Chain, string(address)}] = row.Reason
	}
	return out, nil
}

func (t *travelTable) compile(c *charter.Charter, f *facts) error {
	if t == nil {
		return nil
	}
	if t.Valid == 0 || t.Missing != "hold" && t.Missing != "refuse" {
		return fmt.Errorf("travel_rule: expected valid, and missing to be hold or refuse, found %.20q", t.Missing)
	}
	f.travelRule = &travelRule{valid: uint64(t.Valid), refuses: t.Missing == "refuse", matchAddresses: t.MatchAddresses}
	for i, row := range t.Thresholds {
		var amount canon.Amount
		var err error
		switch asset, known := c.Asset(row.Asset); {
		case (row.Asset == "") == (row.Currency == ""):
			err = errors.New("expected an asset or a currency, found both or none")
		case row.Currency != "":
			if err = row.Currency.Check(); err == nil {
				amount, err = money.Parse(row.Currency, row.Amount)
			}
		case !known:
			err = fmt.Errorf("asset: expected one of the charter, found %.80q", row.Asset)
		default:
			amount, err = wallets.ParseAmount(row.Amount, asset)
		}
		if err != nil {
			return fmt.Errorf("travel_rule.thresholds[%d]: %w", i, err)
		}
		f.travelRule.thresholds = append(f.travelRule.thresholds, threshold{row.Asset, row.Currency, amount.Int()})
	}
	return nil
}

// of returns the prices that have not ended, as money.Worth takes them.
func (f *facts) of(now time.Time) []canon.Price {
	var out []canon.Price
	for key, p := range f.prices {
		if p.stated(now) {
			out = append(out, canon.Price{Asset: key.asset, Currency: key.currency, Value: p.value})
		}
	}
	return out
}

func (p price) stated(now time.Time) bool { return p.until.IsZero() || !now.After(p.until) }
