package cli

import (
	"fmt"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/charter"
)

// DiffCharter prints what the charter that a file describes would change in the one in force.
func (s *Session) DiffCharter(from string) error {
	next, err := s.revise(from)
	if err != nil {
		return err
	}
	if err := charter.Lint(*next); err != nil {
		return err
	}
	d := charter.Compare(s.Charter.Genesis(), next)
	v := DiffView{Number: s.Charter.Number(), ChangesView: changesView(d), Loosens: d.Loosens()}
	return s.Print(v)
}

// DiffView is what a charter would change in the one in force.
type DiffView struct {
	Number uint64 `json:"number"` // of the charter in force
	ChangesView
	Loosens bool `json:"loosens"`
}

func (v DiffView) writeText(t *text) {
	t.say("Against charter number %s:", v.Number)
	v.ChangesView.writeText(t)
	if v.Loosens {
		t.say("It loosens.")
	}
}

// LintView says that a charter keeps the rules.
type LintView struct {
	DigestView
	File  string     `json:"file"`
	Pools []PoolView `json:"pools,omitempty"` // of all wallets with keys in tokens
}

func (v LintView) writeText(t *text) {
	t.say("It keeps the rules of a charter. As a genesis its digest would be:")
	v.DigestView.writeText(t)
	writePools(t, v.Pools)
}

// LintCharter checks the charter that a file describes, by all rules that signers check. As a genesis it begins with the address book of
// another file; none means an empty one. Pools of keys are looked for in a directory: those that are there and do not fit are refused. It needs no configuration.
func (a *App) LintCharter(from, book, pools string) error {
	text, err := a.read(from, maxSource)
	if err != nil {
		return err
	}
	var entries []byte
	if book != "" {
		if entries, err = a.read(book, maxSource); err != nil {
			return err
		}
	}
	c, err := genesis.Build(text, entries)
	if err != nil {
		return err
	}
	results, err := genesisPools(c.Document, c.Digest, pools)
	if err != nil {
		return err
	}
	if err := poolcheck.Refused(results); err != nil {
		return fmt.Errorf("%s: %w", from, err)
	}
	return a.Print(LintView{DigestView: digestView(c.Digest, false), File: from, Pools: poolViews(results)})
}

// HistoryView is how the charter came to be.
type HistoryView struct {
	Charters    []LinkView        `json:"charters"`
	Heads       []HeadView        `json:"heads"`
	Doubts      []string          `json:"doubts,omitempty"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
	File        string            `json:"file,omitempty"`
}

// LinkView is a charter that is or was in force.
type LinkView struct {
	Number  uint64   `json:"number"`
	Digest  string   `json:"digest"`
	Words   []string `json:"words"`
	Loosens bool     `json:"loosens"`
}

func (v HistoryView) writeText(t *text) {
	for i, c := range v.Charters {
		mark := ""
		switch {
		case i == 0:
			mark = "  genesis"
		case c.Loosens:
			mark = "  loosened"
		}
		t.say("%s  %s%s", fmt.Sprintf("%4d", c.Number), c.Digest, mark)
	}
	t.gap()
	for _, h := range v.Heads {
		mark := "the same"
		if !h.Agrees {
			mark = "ANOTHER: number " + fmt.Sprint(h.Number) + ", " + h.Digest
		}
		t.say("%s signed at %s: %s", h.Signer, h.Time, mark)
	}
	for _, d := range v.Doubts {
		t.say("WARNING: %s", d)
	}
	writeUnreachable(t, v.Unreachable)
	if v.File != "" {
		t.field("File", v.File)
	}
}

// CharterHistory prints how the charter came to be and what signers signed about it, and writes the entries to a file, if one is named,
// for the configuration of a device without connection.
func (s *Session) CharterHistory(out string) error {
	v := HistoryView{Charters: []LinkView{}, Heads: s.news.heads, Doubts: s.news.doubts, Unreachable: s.silent(), File: out}
	if v.Heads == nil {
		v.Heads = []HeadView{}
	}
	for _, l := range s.Chain.History() {
		words := l.Digest.Words()
		v.Charters = append(v.Charters, LinkView{l.Number, l.Digest.String(), words[:], l.Loosened})
	}
	if out != "" {
		if err := writeNew(out, encodeEntries(s.news.entries), 0o644); err != nil {
			return err
		}
	}
	if err := s.Print(v); err != nil {
		return err
	}
	return s.trusted()
}
