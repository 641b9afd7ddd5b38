package cases

import (
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/proto/canon"
)

// completion asks of a case what needs no charter.
type completion struct {
	*File
	field string
	errs  []error
}

func (k *completion) need(ok bool, name, expected, found string) {
	if !ok {
		k.errs = append(k.errs, k.at(k.field+name, fmt.Errorf("expected %s, found %s", expected, found)))
	}
}

func (f *File) complete(i int, c caseText, names map[string]bool) []error {
	k := &completion{File: f, field: fmt.Sprintf("cases[%d]", i)}
	k.need(c.Name != "", ".name", "a name", "none")
	k.need(!names[c.Name], ".name", "a name of its own", fmt.Sprintf("%q twice", c.Name))
	for j, s := range c.Follows {
		k.need(names[s.Case], fmt.Sprintf(".follows[%d].case", j), "the name of a case before this one", fmt.Sprintf("%.80q", s.Case))
	}
	names[c.Name] = true
	k.ways(c)
	lists := []struct {
		name string
		n    int
	}{
		{".pays", len(c.Pays)}, {".spends", len(c.Spends)}, {".follows", len(c.Follows)}, {".approved_by", len(c.Approved)}, {".rejected_by", len(c.Rejected)},
		{".prices", len(c.Prices)}, {".attributes", len(c.Attributes)}, {".clearances", len(c.Clearances)}, {".balances", len(c.Balances)},
	}
	for _, l := range lists {
		k.need(l.n <= maxList, l.name, fmt.Sprintf("at most %d", maxList), fmt.Sprint(l.n))
	}
	k.expects(c)
	return k.errs
}

// ways asks that a case says in one way what is asked for, or asks about the charter alone.
func (k *completion) ways(c caseText) {
	ways := 0
	for _, way := range []bool{c.Payment != Payment{}, len(c.Pays) > 0, c.Call != nil} {
		if way {
			ways++
		}
	}
	if c.Expect.Charter != "" {
		k.need(ways == 0 && c.Client == "", "", "no request in a case about the charter", "one")
		return
	}
	k.need(ways == 1, "", "one of to with amount, pays, or call", fmt.Sprint(ways))
	both := func(p Payment) bool { return p.To != "" && p.ToWallet != "" }
	k.need(!both(c.Payment), ".to_wallet", "an address or a wallet of one's own", "both")
	for j, p := range c.Pays {
		k.need(!both(p), fmt.Sprintf(".pays[%d].to_wallet", j), "an address or a wallet of one's own", "both")
	}
}

// expects asks that what is expected fits together.
func (k *completion) expects(c caseText) {
	e := c.Expect
	if e.Charter != "" {
		k.need(e.Charter == Accepted || e.Charter == Refused, ".expect.charter", "accepted or refused", fmt.Sprintf("%.80q", e.Charter))
		k.need(e.Verdict == "", ".expect.verdict", "none in a case about the charter", string(e.Verdict))
		k.need(e.Refused == "" || e.Charter == Refused, ".expect.refused", "it of a refused charter only", string(e.Charter))
		return
	}
	k.need(slices.Contains([]Verdict{Allow, Deny, Approve, Hold}, e.Verdict), ".expect.verdict", "allow, deny, approve or hold", fmt.Sprintf("%.80q", e.Verdict))
	only := func(said bool, name string, with ...Verdict) {
		k.need(!said || slices.Contains(with, e.Verdict), ".expect."+name, fmt.Sprintf("it with verdict %v only", with), string(e.Verdict))
	}
	only(e.Refused != "", "refused", Deny, Hold)
	only(e.Missing != "", "missing", Deny)
	only(e.Quorum != nil, "quorum_met", Approve)
	only(e.Signed != nil, "signed", Approve, Allow)
	k.need(e.Quorum != nil || e.Signed != nil || len(c.Approved)+len(c.Rejected) == 0, ".expect", "quorum_met or signed, where somebody approves or rejects", "none")
	k.need(c.AskedAfter == "" || e.Signed != nil, ".expect", "signed, where signers are asked", "none")
	for j, v := range c.Approved {
		k.need(v.Officer != "", fmt.Sprintf(".approved_by[%d]", j), "the name of an officer", "none")
	}
}

func officers(voices []voice) []canon.Name {
	out := make([]canon.Name, len(voices))
	for i, v := range voices {
		out[i] = v.Officer
	}
	return out
}
