package cli

import (
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/strongroom/strongroom/policy/allocation"
	"github.com/strongroom/strongroom/policy/money"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// AllocationView is how client assets lie in the tiers.
type AllocationView struct {
	// At is when the coordinator gathered the statements.
	At string `json:"at,omitempty"`
	// StatedBy are the signers whose statements of balances count.
	StatedBy []string             `json:"stated_by"`
	Lines    []AllocationLineView `json:"lines"`
	// Breached says that some band is.
	Breached bool `json:"breached"`
	// Warnings are the coordinator's: what is pending nobody else knows.
	Warnings []string `json:"warnings,omitempty"`
	// Missing says which statements there are too few of.
	Missing string `json:"missing,omitempty"`
	// Doubt says where the coordinator's own figures differ from those of the statements.
	Doubt string `json:"doubt,omitempty"`
}

// AllocationLineView is one line of the table: of an asset, or of all assets by value.
type AllocationLineView struct {
	// Asset is the CAIP-19 id; empty for all assets together.
	Asset    string `json:"asset,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Hot, Warm, Cold and Total are decimal text with the asset's symbol or the currency.
	Hot   string `json:"hot"`
	Warm  string `json:"warm"`
	Cold  string `json:"cold"`
	Total string `json:"total"`
	// Tier is the band's: it and hotter ones hold SharePermill of the total.
	Tier          string  `json:"tier,omitempty"`
	SharePermill  uint64  `json:"share_permill"`
	MaxPermill    *uint64 `json:"max_permill,omitempty"`
	TargetPermill uint64  `json:"target_permill,omitempty"`
	MinPermill    uint64  `json:"min_permill,omitempty"`
	Breached      bool    `json:"breached"`
	subject       string
}

// allocationView works the table out from the statements.
func (s *Session) allocationView(got stated) (AllocationView, error) {
	v := AllocationView{At: wireTime(got.GetAt()), StatedBy: got.statedBy(), Lines: []AllocationLineView{}}
	lines, err := allocation.Table(s.Charter, got.balances, got.prices)
	var missing *allocation.MissingError
	switch {
	case errors.As(err, &missing):
		v.Missing = missing.Error()
	case err != nil:
		return v, err
	}
	for _, l := range lines {
		v.Lines = append(v.Lines, s.lineView(l))
		v.Breached = v.Breached || l.Breached
		if v.Doubt == "" {
			v.Doubt = s.differs(l, got.GetLines())
		}
	}
	for _, w := range got.GetWarnings() {
		v.Warnings = append(v.Warnings, w.GetText())
	}
	return v, nil
}

func (s *Session) lineView(l allocation.Line) AllocationLineView {
	shown := func(n *big.Int) string {
		if l.Asset == "" {
			return money.Format(l.Currency, n)
		}
		return amountView(s.Charter, l.Asset, canon.Amount(n.Bytes())).Amount
	}
	v := AllocationLineView{Asset: string(l.Asset), Currency: string(l.Currency), Hot: shown(l.Hot), Warm: shown(l.Warm), Cold: shown(l.Cold), Total: shown(l.Total),
		SharePermill: l.Share, Breached: l.Breached, subject: "hot"}
	if l.Band != nil {
		v.Tier = word(l.Band.Tier, "hot", "warm", "cold")
		v.MaxPermill, v.TargetPermill, v.MinPermill = &l.Band.MaxPermill, l.Band.TargetPermill, l.Band.MinPermill
		if l.Band.Tier == canon.Warm {
			v.subject = "hot+warm"
		}
	}
	return v
}

// differs says where the coordinator's line for the same band differs; empty if it does not, or if it has none.
func (s *Session) differs(l allocation.Line, lines []*pb.AllocationLine) string {
	tier := ""
	if l.Band != nil {
		tier = word(l.Band.Tier, "hot", "warm", "cold")
	}
	for _, said := range lines {
		if said.GetAsset() != string(l.Asset) || said.GetCurrency() != string(l.Currency) || said.GetTier() != tier {
			continue
		}
		if said.GetHot() != l.Hot.String() || said.GetWarm() != l.Warm.String() || said.GetCold() != l.Cold.String() || said.GetBreached() != l.Breached {
			return fmt.Sprintf("the coordinator says something else of %s than the statements that it rests on", cmpOr(string(l.Asset), "all assets"))
		}
	}
	return ""
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func (v AllocationView) writeText(t *text) {
	rows := [][]string{{"ASSET", "HOT", "WARM", "COLD", "TOTAL", "SHARE", "MOST"}}
	for _, l := range v.Lines {
		share, most := percent(l.SharePermill)+" "+l.subject, "-"
		if l.MaxPermill != nil {
			most = percent(*l.MaxPermill)
		}
		if l.Breached {
			most += " BREACHED"
		}
		unit, number := unitOf(l.Total)
		what := unit
		if l.Asset == "" {
			what = "all in " + unit
		}
		rows = append(rows, []string{what, bare(l.Hot), bare(l.Warm), bare(l.Cold), number, share, most})
	}
	t.table(rows)
	t.gap()
	t.field("Stated by", strings.Join(v.StatedBy, ", "))
	t.field("At", v.At)
	for _, w := range v.Warnings {
		t.field("Warning", w)
	}
	if v.Missing != "" {
		t.field("Missing", v.Missing)
	}
	if v.Doubt != "" {
		t.field("DOUBT", v.Doubt)
	}
}

// unitOf splits "0.5 BTC" into its unit and its number.
func unitOf(amount string) (unit, number string) {
	number, unit, _ = strings.Cut(amount, " ")
	return unit, number
}

func bare(amount string) string { _, number := unitOf(amount); return number }

func percent(permill uint64) string { return fmt.Sprintf("%d.%d%%", permill/10, permill%10) }

// MovesView is what the coordinator proposes.
type MovesView struct {
	Moves []MoveView `json:"moves"`
}

// MoveView is one proposed move.
type MoveView struct {
	// Number counts the moves of its kind from 1.
	Number    int        `json:"number"`
	Kind      string     `json:"kind"` // sweep or refill
	Client    string     `json:"client"`
	Account   string     `json:"account"`
	From      string     `json:"from"`
	To        string     `json:"to"`
	ToAddress string     `json:"to_address"`
	Amount    AmountView `json:"amount"`
	FeeCap    AmountView `json:"fee_cap"`
	Reason    string     `json:"reason"`
	// Verdict and Rule are what the coordinator expects the rules to say; Refusals has its reasons, and those found here.
	Verdict  string        `json:"verdict"`
	Rule     string        `json:"rule,omitempty"`
	Refusals []RefusalView `json:"refusals,omitempty"`
}

func (v MovesView) count(kind string) int {
	n := 0
	for _, m := range v.Moves {
		if m.Kind == kind {
			n++
		}
	}
	return n
}

// moveView renders a proposal, and returns the request that it asks for.
func (s *Session) moveView(p *pb.MoveProposal, got stated) (MoveView, canon.Request, error) {
	r, err := s.requestOf(p)
	if err != nil {
		return MoveView{}, r, err
	}
	coin, _ := s.Charter.NativeAsset(r.Chain)
	v := MoveView{Kind: p.GetKind(), Client: p.GetClient(), Account: p.GetAccount(), From: p.GetFromWallet(), To: p.GetToWallet(), ToAddress: p.GetToAddress(),
		Amount: amountView(s.Charter, r.Outputs[0].Asset, r.Outputs[0].Amount), FeeCap: amountView(s.Charter, coin.ID, r.FeeCap), Reason: p.GetReason(),
		Verdict: p.GetVerdict(), Rule: p.GetRule()}
	for _, f := range p.GetRefusals() {
		v.Refusals = append(v.Refusals, RefusalView{Rule: f.GetRule(), Field: f.GetField(), Expected: f.GetExpected(), Found: f.GetFound()})
	}
	if found := refusal.Of(allocation.Check(s.Charter, &r, got.balances, got.prices)); found != nil {
		v.Refusals = append(v.Refusals, refusalViews(found)...)
	}
	return v, r, nil
}

func (v MovesView) writeText(t *text) {
	if len(v.Moves) == 0 {
		t.say("No move is proposed.")
	}
	for _, m := range v.Moves {
		t.gap()
		t.say("%s %s", m.Kind, fmt.Sprint(m.Number))
		t.field("Amount", m.Amount.Amount)
		t.field("Account", m.Account+" of "+m.Client)
		t.field("From", m.From)
		t.field("To", m.To+", "+m.ToAddress)
		t.field("Fee", "at most "+m.FeeCap.Amount)
		t.field("Why", m.Reason)
		t.field("Verdict", strings.TrimSuffix(m.Verdict+" by rule "+m.Rule, " by rule "))
		writeRefusals(t, 2, m.Refusals)
	}
}
