package cli

import (
	"errors"
	"fmt"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/explain"
	"github.com/strongroom/strongroom/policy/source"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// described opens the charter that a file describes, as a genesis with an empty address book: what rules say does not depend on how it came into force.
func (a *App) described(from string) (*charter.Charter, error) {
	text, err := a.read(from, maxSource)
	if err != nil {
		return nil, err
	}
	g, err := genesis.Draft(text)
	if err != nil {
		return nil, placed(from, text, "", err)
	}
	return opened(from, g)
}

func opened(from string, g *canon.Genesis) (*charter.Charter, error) {
	document, digest, err := canon.Seal(*g)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	c, err := charter.Open(document, digest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return c, nil
}

// VerdictView is what becomes of a request.
type VerdictView struct {
	// Verdict is allow, deny or approve.
	Verdict string `json:"verdict"`
	// Rule is the rule that matches; empty when none does.
	Rule     string        `json:"rule,omitempty"`
	Refusals []RefusalView `json:"refusals,omitempty"`
}

func verdictView(a explain.Answer) VerdictView {
	v := VerdictView{Verdict: actionText(a.Action)}
	if a.Rule != nil {
		v.Rule = string(a.Rule.Name)
	}
	if len(a.Refusals) > 0 {
		v.Refusals = refusalViews(&refusal.Refusal{Failures: a.Refusals})
	}
	return v
}

func actionText(a canon.Action) string { return word(a, "deny", "allow", "approve") }

// String names verdict and rule.
func (v VerdictView) String() string {
	if v.Rule == "" {
		return v.Verdict
	}
	return v.Verdict + " by " + v.Rule
}

// RequestView is what somebody asks for, signed or not.
type RequestView struct {
	Client   string      `json:"client"`
	Account  string      `json:"account"`
	Wallet   string      `json:"wallet"`
	Payments []AskedView `json:"payments,omitempty"`
	Call     *CallView   `json:"call,omitempty"`
}

// AskedView is a payment of which nobody asked whether the address is in the book.
type AskedView struct {
	AmountView
	Address string `json:"address"`
}

func requestView(c *charter.Charter, r canon.Request) RequestView {
	v := RequestView{Client: string(r.Client), Account: string(r.Account), Wallet: string(r.Wallet)}
	for _, p := range payments(c, r, nil) {
		v.Payments = append(v.Payments, AskedView{p.AmountView, p.Address})
	}
	if r.Call != nil {
		v.Call = callView(c, r, nil)
		for i := range v.Call.Arguments {
			v.Call.Arguments[i].Book = nil
		}
	}
	return v
}

func (v RequestView) writeText(t *text) {
	t.field("Client", v.Client+", account "+v.Account)
	t.field("Wallet", v.Wallet)
	for _, p := range v.Payments {
		t.field("Pays", p.Amount)
		t.field("  to", p.Address)
	}
	if v.Call != nil {
		writeCall(t, v.Call, nil, true)
	}
}

// PlaceView is a place in a file; empty for what is in force.
type PlaceView struct {
	File string `json:"file,omitempty"`
	*source.Position
}

func placeView(file string, p source.Position) PlaceView {
	if file == "" || p == (source.Position{}) {
		return PlaceView{File: file}
	}
	return PlaceView{file, &p}
}

// String returns "file:line:column: ", or nothing.
func (v PlaceView) String() string {
	switch {
	case v.File == "":
		return ""
	case v.Position == nil:
		return v.File + ": "
	}
	return v.File + ":" + v.Position.String() + ": "
}

// placed puts file, line and column before what a compiler of charters says about a text. Fields stand below prefix in it.
func placed(file string, text []byte, prefix string, err error) error {
	where := source.New(text)
	var syntax toml.ParseError
	var key *genesis.KeyError
	if errors.As(err, &syntax) {
		return fmt.Errorf("%s:%d:%d: %w", file, syntax.Position.Line, max(syntax.Position.Col, 1), err)
	}
	if errors.As(err, &key) {
		return fmt.Errorf("%s%w", placeView(file, where.FindKey(key.Key)), err)
	}
	var several interface{ Unwrap() []error }
	if !errors.As(err, &several) {
		return fmt.Errorf("%s: %w", file, err)
	}
	var out []error
	for _, e := range several.Unwrap() {
		place := PlaceView{File: file}
		var field *genesis.FieldError
		if errors.As(e, &field) {
			place = placeView(file, where.Find(prefix+field.Field))
		}
		out = append(out, fmt.Errorf("%s%w", place, e))
	}
	return errors.Join(out...)
}
