package ceremony

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/wallets"
)

// maxShown is how many keys of one class are shown one by one to a verifier; --json has all, and who signs sees all.
const maxShown = 12

// Write writes a report for people, in lines of at most 80 columns where the texts in it allow that.
func (r *Report) Write(w io.Writer) {
	say := func(format string, args ...any) {
		for i, a := range args {
			if text, ok := a.(string); ok {
				args[i] = wallets.EscapeText(text)
			}
		}
		fmt.Fprintf(w, format+"\n", args...)
	}
	say("%s", r.Title)
	say("%s, at %s, %s to %s", r.Purpose, r.Place, r.Began, r.Ended)
	if r.Aborted {
		say("ABORTED: it did not come to its planned end")
	}
	if r.Organisation != "" {
		say("organisation %s", r.Organisation)
	}
	say("transcript  %s", r.Digest)
	say("            %s\n            %s", strings.Join(r.Words[:6], " "), strings.Join(r.Words[6:], " "))
	say("executable  %s", r.Software)
	say("module      %s", r.Module)
	say("token       %s, serial number %s", r.Token.Label, r.Token.Serial)
	say("            %s %s, hardware %s, firmware %s", r.Token.Manufacturer, r.Token.Model, r.Token.Hardware, r.Token.Firmware)
	r.writePeople(say)
	for _, s := range r.Steps {
		say("%s %s", s.At, s.Action)
		say("            %s", s.Outcome)
		if len(s.By) > 0 {
			say("            by %s", strings.Trim(fmt.Sprint(s.By), "[]"))
		}
	}
	r.writeKeys(say)
	for _, f := range r.Refused {
		say("REFUSED     %s: %s: expected %s, found %s", f.Rule, f.Field, f.Expected, f.Found)
	}
}

func (r *Report) writePeople(say func(string, ...any)) {
	for _, p := range r.Present {
		signed := "not signed yet"
		if p.Signed {
			signed = "signed"
		}
		say("present     %s: %s, %s; %s", p.Name, p.Label, p.Role, signed)
		say("            %s", p.Key)
	}
	if !r.Vouched {
		say("NOT KNOWN   whose keys these are: nobody vouched for them. Compare the\n            fingerprints, or verify with --attendants or --digest")
	}
	if r.Pool != nil {
		say("pool        %s", r.Pool.Digest)
		say("            the %d keys of signer %s are those below", r.Pool.Keys, r.Pool.Signer)
	}
}

func (r *Report) writeKeys(say func(string, ...any)) {
	counts := map[string]int{}
	for _, k := range r.Keys {
		counts[k.Class]++
	}
	var classes []string
	for c := range counts {
		classes = append(classes, c)
	}
	slices.Sort(classes)
	for _, c := range classes {
		say("keys        %d of class %s: %s", counts[c], c, shown[c])
		n := 0
		for _, k := range r.Keys {
			if k.Class != c {
				continue
			}
			if n++; n > maxShown && !r.all {
				say("            and %d more", counts[c]-maxShown)
				break
			}
			say("            %s\n              %s", k.Label, k.Public)
			say("              %s", k.Use)
			if k.Address != "" {
				say("              address %s", k.Address)
			}
		}
	}
}

var shown = map[string]string{ClassNone: "born in this token, never leave it", ClassWrap: "born in this token, may leave it wrapped",
	ClassRestored: "came in wrapped, never leave"}
