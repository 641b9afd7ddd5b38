package canon

import (
	"errors"
	"fmt"
	"regexp"
)

// Action is what a rule does with a withdrawal that it matches.
type Action uint8

// Actions of a rule.
const (
	ActionDeny    Action = 1
	ActionAllow   Action = 2
	ActionApprove Action = 3 // needs the rule's quorum
)

// AssetAmount is an amount of one asset.
type AssetAmount struct {
	Asset  AssetID `cbor:"1,keyasint"`
	Amount Amount  `cbor:"2,keyasint"`
}

// Rule is one line of the policy. Rules are tried in order, the first that matches decides, and none matching is a denial.
//
// Who, from where, to what and how much must be said by every rule: a list there holds names, or Any alone for all of them, and an empty one
// matches nothing. What comes after Calls narrows a rule further where it is there, and never widens it.
//
// A rule that allows or asks for approval matches if every payment of the withdrawal is covered; one that denies, if any is.
type Rule struct {
	Name     Name          `cbor:"1,keyasint"`
	Clients  []Name        `cbor:"2,keyasint"`
	Accounts []Name        `cbor:"3,keyasint"`
	Wallets  []Name        `cbor:"4,keyasint"`
	Amounts  []AssetAmount `cbor:"5,keyasint"` // largest sum of a withdrawal for each asset; an asset that is not listed does not match
	Action   Action        `cbor:"6,keyasint"`
	Quorum   Quorum        `cbor:"7,keyasint"`
	Expiry   uint64        `cbor:"8,keyasint"`            // seconds from request to the intent's end
	Signing  uint64        `cbor:"9,keyasint"`            // seconds from a reservation's stamp to its until
	FeeCaps  []AssetAmount `cbor:"10,keyasint"`           // largest fee for each fee-paying asset; an asset that is not listed pays none
	Limits   []Name        `cbor:"11,keyasint"`           // limits it draws on
	Calls    []Name        `cbor:"12,keyasint,omitempty"` // contract calls that it matches, or Any; none: payments only

	To         []Target             `cbor:"13,keyasint,omitempty"` // where payments go; none matches no payment
	AnyAmount  bool                 `cbor:"14,keyasint,omitempty"` // deny: whatever is paid, of whatever asset; Amounts is empty then
	Above      []AssetAmount        `cbor:"15,keyasint,omitempty"` // some asset's sum is more than this
	Value      *ValueRange          `cbor:"16,keyasint,omitempty"` // what all payments are worth together
	Tiers      []Tier               `cbor:"17,keyasint,omitempty"` // of the wallet that pays
	Hours      []Hours              `cbor:"18,keyasint,omitempty"` // the request's beginning lies in one of them
	From       Time                 `cbor:"19,keyasint,omitempty"` // the request begins then or later
	Before     Time                 `cbor:"20,keyasint,omitempty"` // the request begins earlier
	Attributes []AttributeCondition `cbor:"21,keyasint,omitempty"` // all of them hold
	When       string               `cbor:"22,keyasint,omitempty"` // a CEL expression that is true
	Delay      uint64               `cbor:"23,keyasint,omitempty"` // seconds between when a signer first saw the intent approved and when it signs
	Clearances []Name               `cbor:"24,keyasint,omitempty"` // authorities that must have cleared the request
	Holds      []Hold               `cbor:"25,keyasint,omitempty"` // on what only the service knows: delays or denies, never allows
}

// maxExpression bounds a CEL expression.
const maxExpression = kib

// Check refuses unknown actions and tiers, a time that is over before it begins, and oversized expressions. What else contradicts itself the charter's lint refuses.
func (r Rule) Check() error {
	for _, t := range r.Tiers {
		if err := oneOf("tiers", t, Cold); err != nil {
			return err
		}
	}
	if r.Before != 0 && r.Before <= r.From {
		return errors.New("before: expected a time after from")
	}
	if len(r.When) > maxExpression {
		return fmt.Errorf("when: expected at most %d bytes, found %d", maxExpression, len(r.When))
	}
	return oneOf("action", r.Action, ActionApprove)
}

// TargetKind tells what a Target names.
type TargetKind uint8

// Kinds of target.
const (
	TargetAny    TargetKind = 1 // whatever is paid; in a rule that allows too: the address book and own wallets are held against every payment anyway
	TargetBook   TargetKind = 2 // an address of the client's in the book; with a name one of that group
	TargetWallet TargetKind = 3 // an address of the same account in the wallet of that name, or with Any in any wallet of the charter
	TargetTier   TargetKind = 4 // an address of the same account in a wallet of that tier: hot, warm or cold
)

// Target is where a payment may go.
type Target struct {
	Kind TargetKind `cbor:"1,keyasint"`
	Name Name       `cbor:"2,keyasint,omitempty"` // TargetBook: a group of the book, or none for every entry; TargetWallet: a wallet or Any; TargetTier: a tier
}

// Check refuses unknown kinds.
func (t Target) Check() error { return oneOf("kind", t.Kind, TargetTier) }

// String returns the target as charters write it, for example "group:exchanges".
func (t Target) String() string {
	switch {
	case t.Kind == TargetAny:
		return "*"
	case t.Kind == TargetBook && t.Name == "":
		return "book"
	case t.Kind == TargetBook:
		return "group:" + string(t.Name)
	case t.Kind == TargetWallet:
		return "wallet:" + string(t.Name)
	case t.Kind == TargetTier:
		return "tier:" + string(t.Name)
	}
	return fmt.Sprintf("target of unknown kind %d", t.Kind)
}

// Currency is an ISO 4217 code, for example "USD".
type Currency string

var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

// Check refuses anything but three capital letters.
func (c Currency) Check() error {
	if !currencyForm.MatchString(string(c)) {
		return fmt.Errorf("currency: expected three capital letters, found %q", clip(string(c)))
	}
	return nil
}

// ValueRange is an amount of money: more than Above and at most Max. Amounts of money are in millionths of the currency's unit.
type ValueRange struct {
	Currency Currency `cbor:"1,keyasint"`
	Above    Amount   `cbor:"2,keyasint,omitempty"` // none: from nothing on
	Max      Amount   `cbor:"3,keyasint,omitempty"` // none: without end, which only a rule that denies or asks for approval may say
}

// Check refuses an empty range.
func (v ValueRange) Check() error {
	if len(v.Above)+len(v.Max) == 0 || len(v.Max) > 0 && v.Max.Int().Cmp(v.Above.Int()) <= 0 {
		return errors.New("value: expected above, max, or max higher than above")
	}
	return nil
}

// Hours are spans of the week in a time zone. A span that ends at or before it begins ends the next day.
type Hours struct {
	Days []uint64 `cbor:"1,keyasint"` // on which it begins: 1 Monday to 7 Sunday
	From uint64   `cbor:"2,keyasint"` // minutes after midnight, included
	To   uint64   `cbor:"3,keyasint"` // minutes after midnight, not included; 1440 is midnight
	Zone string   `cbor:"4,keyasint"` // of the IANA time zone database, for example "Asia/Hong_Kong"
}

var zoneForm = regexp.MustCompile(`^[A-Za-z0-9_+/-]{1,64}$`)

// Check refuses days and minutes that a week has not.
func (h Hours) Check() error {
	if len(h.Days) == 0 || len(h.Days) > 7 {
		return fmt.Errorf("days: expected 1 to 7, found %d", len(h.Days))
	}
	for _, d := range h.Days {
		if d < 1 || d > 7 {
			return fmt.Errorf("days: expected 1 to 7, found %d", d)
		}
	}
	if h.From >= 1440 || h.To > 1440 || h.From == h.To {
		return fmt.Errorf("from, to: expected minutes of a day that differ, found %d and %d", h.From, h.To)
	}
	if !zoneForm.MatchString(h.Zone) {
		return fmt.Errorf("zone: expected a name of the IANA time zone database, found %q", clip(h.Zone))
	}
	return nil
}

// AttributeCondition holds if the client's attribute has one of the values. Of a named authority's attributes the latest statement counts; none, or one
// that is too old, is no answer, and without an answer nothing is allowed.
type AttributeCondition struct {
	Name      Name   `cbor:"1,keyasint"`
	Values    []Text `cbor:"2,keyasint"`
	Authority Name   `cbor:"3,keyasint,omitempty"` // none: the charter's own
}

// Hold is a condition on what only the service knows. Signers cannot know it, so it can stop a withdrawal and never let one through.
type Hold struct {
	When string `cbor:"1,keyasint"`           // a CEL expression; that it fails counts as true
	Deny bool   `cbor:"2,keyasint,omitempty"` // deny; otherwise hold until it is false
}

// Check refuses oversized expressions and none at all.
func (h Hold) Check() error { return sized("when", []byte(h.When), 1, maxExpression) }

// LimitUnit is what a limit counts.
type LimitUnit uint8

// Units of limits.
const (
	UnitAsset LimitUnit = 0 // base units of one asset
	UnitMoney LimitUnit = 1 // millionths of a currency's unit, by prices that authorities state
	UnitCount LimitUnit = 2 // withdrawals
)

// Dimension is what a limit counts apart: each client, each wallet and so on has a counter of its own.
type Dimension uint8

// Dimensions.
const (
	PerClient      Dimension = 1
	PerAccount     Dimension = 2
	PerWallet      Dimension = 3
	PerDestination Dimension = 4 // each address that is paid
	PerAsset       Dimension = 5
)

// Limit bounds what is spent, or how often, in every window of time. Several limits with different windows may count the same.
type Limit struct {
	Name    Name    `cbor:"1,keyasint"`
	Asset   AssetID `cbor:"2,keyasint,omitempty"` // UnitAsset: of which; UnitCount: only withdrawals that pay it, if set
	Amount  Amount  `cbor:"3,keyasint"`
	Window  uint64  `cbor:"4,keyasint"` // seconds; 0: each withdrawal by itself
	Clients []Name  `cbor:"5,keyasint"`
	Wallets []Name  `cbor:"6,keyasint"`
	Exact   bool    `cbor:"7,keyasint"` // each signer holds (q-f)/(n-f) of Amount, so that the sum over all keeps to Amount; else it may reach Amount(n-f)/(q-f)

	Unit     LimitUnit   `cbor:"8,keyasint,omitempty"`
	Currency Currency    `cbor:"9,keyasint,omitempty"`  // UnitMoney
	Per      []Dimension `cbor:"10,keyasint,omitempty"` // none: one counter for all
	Accounts []Name      `cbor:"11,keyasint,omitempty"` // only these, if any are named
	Tiers    []Tier      `cbor:"12,keyasint,omitempty"` // only wallets of these, if any are named
	To       []Target    `cbor:"13,keyasint,omitempty"` // only payments there, if any are named; fees count too then
}

// Check refuses unknown units and tiers, and dimensions that are unknown or out of order.
func (l Limit) Check() error {
	if l.Unit > UnitCount {
		return fmt.Errorf("unit: expected 0 to %d, found %d", UnitCount, l.Unit)
	}
	last := Dimension(0)
	for _, d := range l.Per {
		if d <= last || d > PerAsset {
			return fmt.Errorf("per: expected known dimensions in order, each once, found %d", d)
		}
		last = d
	}
	for _, t := range l.Tiers {
		if err := oneOf("tiers", t, Cold); err != nil {
			return err
		}
	}
	return nil
}

// PriceSource says whose prices of an asset count, and which of them. Of several the highest counts.
type PriceSource struct {
	Asset       AssetID  `cbor:"1,keyasint"`
	Currency    Currency `cbor:"2,keyasint"`
	Authorities []Name   `cbor:"3,keyasint"`
	MaxAge      uint64   `cbor:"4,keyasint"` // seconds from when it was stated to when an intent rests on it
	Min         Amount   `cbor:"5,keyasint"` // bounds, both included, as Price.Value: whatever an authority states, no price lies outside
	Max         Amount   `cbor:"6,keyasint"`
}

// Allocation bounds the share of client assets that lies in a tier or closer to the network: hot is closer than warm, warm than cold.
type Allocation struct {
	Asset         AssetID  `cbor:"1,keyasint,omitempty"` // none: of all assets together, by value
	Tier          Tier     `cbor:"2,keyasint"`
	MaxPermill    uint64   `cbor:"3,keyasint"`           // thousandths of all client holdings
	Currency      Currency `cbor:"4,keyasint,omitempty"` // in which all assets together are valued
	TargetPermill uint64   `cbor:"5,keyasint,omitempty"` // to which sweeps and refills lead; none proposes none
	MinPermill    uint64   `cbor:"6,keyasint,omitempty"` // below which a refill is proposed
}

// Check refuses shares above the whole and targets outside the band.
func (a Allocation) Check() error {
	if a.MaxPermill > 1000 {
		return fmt.Errorf("max_permill: expected at most 1000, found %d", a.MaxPermill)
	}
	if a.TargetPermill > a.MaxPermill || a.MinPermill > a.TargetPermill {
		return fmt.Errorf("min_permill, target_permill: expected min to be at most target and target at most %d, found %d and %d", a.MaxPermill, a.MinPermill, a.TargetPermill)
	}
	return oneOf("tier", a.Tier, Cold)
}
