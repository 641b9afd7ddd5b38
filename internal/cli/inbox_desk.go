package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/x/term"

	"github.com/strongroom/strongroom/internal/cli/desk"
	"github.com/strongroom/strongroom/policy/guard"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// The smallest terminal on which one can move about.
const (
	leastWidth  = 20
	leastHeight = 8
)

// Interactive reports whether somebody sits at a terminal on which one can move about: standard input and output are one, its type is
// not dumb, and it says that it is large enough.
func (a *App) Interactive() bool {
	in, reads := a.In.(*os.File)
	out, writes := a.Out.(*os.File)
	if kind := os.Getenv("TERM"); a.JSON || a.Terminal == nil || !reads || !writes || kind == "" || kind == "dumb" || !term.IsTerminal(in.Fd()) {
		return false
	}
	width, height, err := term.GetSize(out.Fd())
	return err == nil && width >= leastWidth && height >= leastHeight
}

// Desk shows the inbox as one moves through it, and prints what was done when the person leaves. The app must be Interactive.
func (s *Session) Desk(ctx context.Context, all bool) error {
	loud := s.App
	quiet := *loud
	quiet.Out, quiet.Err = io.Discard, io.Discard // the screen is the desk's; it shows the warnings itself
	s.App = &quiet
	defer func() { s.App = loud }()
	reports, err := desk.Run(ctx, &office{s: s, all: all, patience: callTimeout}, loud.In.(*os.File), loud.Out.(*os.File))
	for _, r := range reports {
		if _, bad := fmt.Fprintln(loud.Out, r); bad != nil {
			return bad
		}
	}
	return err
}

// office is a session as the desk uses it.
type office struct {
	s       *Session
	all     bool // also what waits for nobody
	asked   bool
	intents map[string]*pending
	changes map[string]*proposal

	patience time.Duration // for how long everybody together is asked
}

// Board implements desk.Office. All of it has one deadline: a server that answers late answers one question late.
func (o *office) Board(ctx context.Context) (*desk.Board, error) {
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	if o.asked && !o.s.Offline {
		o.refresh(ctx) // the session asked when it began
	}
	o.asked = true
	box, err := o.s.gather(ctx)
	if err != nil {
		return nil, err
	}
	b := &desk.Board{Title: fmt.Sprintf("%s, %s, charter %d", o.s.Config.Name, o.s.Now().UTC().Format("15:04 UTC"), o.s.Charter.Number())}
	o.intents, o.changes = map[string]*pending{}, map[string]*proposal{}
	for _, p := range o.s.proposals(box.said.all) {
		o.changes[p.Digest.String()] = p
		b.Items = append(b.Items, o.change(p))
	}
	for _, p := range box.intents {
		if v := o.s.intentView(p); o.all || v.waits() {
			o.intents[v.Digest] = p
			b.Items = append(b.Items, o.intent(p, v))
		}
	}
	b.Notices = o.notices(box)
	return b, nil
}

// refresh asks for what the charter has become, and leaves time for the rest.
func (o *office) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, o.patience/2)
	defer cancel()
	o.s.refresh(ctx)
}

// notices are what stands above the list.
func (o *office) notices(box *inbox) []string {
	var t text
	for _, f := range o.s.liveFreezes(box.said) {
		t.say("%s", f.text())
	}
	for _, w := range o.s.news.warnings {
		t.say("WARNING: %s", w)
	}
	writeUnreachable(&t, box.unreachable)
	if t.String() == "" {
		return nil
	}
	return []string{strings.TrimSuffix(t.String(), "\n")}
}

// intent is an entry of the list, with the text of show.
func (o *office) intent(p *pending, v IntentView) desk.Item {
	var t text
	v.writeText(&t)
	i := desk.Item{ID: v.Digest, What: "REFUSED " + v.Digest[:16], Text: t.String(), State: "cannot be approved"}
	if err := o.s.admissible(p, v); err != nil {
		i.Why = wallets.EscapeText(reasonText(err))
	}
	if len(v.Refusals) > 0 {
		return i
	}
	i.What, i.For = wallets.EscapeText(headline(v.Call, v.Totals)), wallets.EscapeText(labelled(canon.Name(v.Client), canon.Text(v.ClientLabel)))
	i.Expires, i.Soon, i.State = v.ExpiresIn, v.ExpiringSoon, wallets.EscapeText(state(v))
	if i.Why == "" {
		i.Amounts = len(v.Totals)
		if v.Call != nil && i.Amounts == 0 {
			i.Amounts, i.ByName = 1, true
		}
	}
	return i
}

// state says in a few words how an intent stands.
func state(v IntentView) string {
	switch {
	case len(v.RejectedBy) > 0:
		return "rejected by " + strings.Join(v.RejectedBy, ", ")
	case v.Decided != "":
		return v.Decided + " by you"
	case !v.needsApproval:
		return "allowed"
	case v.QuorumMet:
		return "enough approvals"
	case len(v.ApprovedBy) > 0:
		return "approved by " + strings.Join(v.ApprovedBy, ", ")
	}
	return "approved by nobody"
}

// change is an amendment as an entry of the list, with the text of amendment show.
func (o *office) change(p *proposal) desk.Item {
	v := p.view(o.s)
	var t text
	v.writeText(&t)
	i := desk.Item{ID: v.Amendment, What: fmt.Sprintf("amendment %d", v.Number), For: wallets.EscapeText(v.Reason), Text: t.String(),
		Why: "An amendment is approved with: strongroom amendment sign FILE. To stop it: strongroom veto " + v.Amendment[:16]}
	i.State = fmt.Sprintf("%d looser, %d tighter", len(v.Looser), len(v.Tighter))
	if slices.ContainsFunc(v.Pools, func(p PoolView) bool { return !p.Checked }) {
		i.State += ", pool NOT CHECKED"
	}
	if len(v.Held.VetoedBy) > 0 {
		i.State = wallets.EscapeText("vetoed by " + strings.Join(v.Held.VetoedBy, ", "))
	}
	return i
}

// Explain implements desk.Office.
func (o *office) Explain(err error) string {
	f := failure{Error: errorText(err)}
	if r := refusal.Of(err); r != nil {
		f.Refusals = refusalViews(r)
	}
	var t text
	f.writeText(&t)
	return t.String()
}

// errGone says that an entry is in the inbox no more.
var errGone = errors.New("inbox: expected an entry that is still in it, found none")

// Approve implements desk.Office. The intent is examined anew: time went by since it was shown.
func (o *office) Approve(id string, amounts []string) (desk.Act, error) {
	p := o.intents[id]
	if p == nil {
		return nil, errGone
	}
	if p.review != nil {
		p.review, p.refused = guard.Examine(p.document, o.s.view())
	}
	if err := o.s.admissible(p, o.s.intentView(p)); err != nil {
		return nil, err
	}
	if len(amounts) == 0 {
		return nil, fmt.Errorf("%w: amount: expected the total that is paid, found none", ErrRefused)
	}
	if err := o.s.confirm(p.review.Request, amounts); err != nil {
		return nil, err
	}
	return &act{sign: func() (canon.Signed, error) { return o.s.approve(p, "") },
		send: func(ctx context.Context, signed canon.Signed) (View, error) { return o.s.handIn(ctx, p, signed) }}, nil
}

// Reject implements desk.Office.
func (o *office) Reject(id, reason string) (desk.Act, error) {
	p := o.intents[id]
	if p == nil {
		if o.changes[id] != nil {
			return nil, fmt.Errorf("%w: expected an intent, found an amendment: see strongroom veto", ErrRefused)
		}
		return nil, errGone
	}
	object, needed := o.s.rejection(p)
	return o.stating(canon.Statement{Verb: canon.StateReject, Object: object.rejected, Reason: canon.Text(reason)},
		func(ctx context.Context, signed canon.Signed) (View, told, error) {
			return o.s.tellRejection(ctx, object, needed, signed)
		})
}

// Withdraw implements desk.Office.
func (o *office) Withdraw(id, reason string) (desk.Act, error) {
	st := canon.Statement{Verb: canon.StateWithdraw, Reason: canon.Text(reason)}
	what, needed := "intent "+id, o.s.blocking("")
	switch p, change := o.intents[id], o.changes[id]; {
	case p != nil:
		st.Object = p.digest
		if p.review != nil {
			needed = o.s.blocking(p.review.Request.Wallet)
		}
	case change != nil:
		st.Object, what = change.Digest, "amendment "+id
	default:
		return nil, errGone
	}
	return o.saying(st, what, needed)
}

// Freeze implements desk.Office.
func (o *office) Freeze(word, reason string) (desk.Act, error) {
	if strings.TrimSpace(word) != freezeWord {
		return nil, fmt.Errorf("%w: freeze: expected the word freeze, found %q", ErrRefused, word)
	}
	return o.saying(canon.Statement{Verb: canon.StateFreeze, Object: o.s.Charter.Organisation(), Reason: canon.Text(reason)}, "all signing", o.s.blocking(""))
}

func (o *office) saying(st canon.Statement, what string, needed uint64) (desk.Act, error) {
	return o.stating(st, func(ctx context.Context, signed canon.Signed) (View, told, error) {
		return o.s.tellStatement(ctx, signed, st, what, needed)
	})
}

// stating is the act of saying something to all signers. A reason that cannot be signed is refused before.
func (o *office) stating(st canon.Statement, tell func(context.Context, canon.Signed) (View, told, error)) (desk.Act, error) {
	if err := st.Reason.Check(); err != nil {
		return nil, fmt.Errorf("%w: reason: %w", ErrRefused, err)
	}
	return &act{sign: func() (canon.Signed, error) { return o.s.state(st) },
		send: func(ctx context.Context, signed canon.Signed) (View, error) {
			v, told, err := tell(ctx, signed)
			if err != nil {
				return nil, err
			}
			return v, told.err()
		}}, nil
}

// act is something that is signed and then sent.
type act struct {
	sign   func() (canon.Signed, error)
	send   func(context.Context, canon.Signed) (View, error) // no view if there is nothing to say
	signed canon.Signed
}

// Sign implements desk.Act.
func (a *act) Sign() (err error) {
	a.signed, err = a.sign()
	return err
}

// Send implements desk.Act.
func (a *act) Send(ctx context.Context) (string, error) {
	v, err := a.send(ctx, a.signed)
	var t text
	if v != nil {
		v.writeText(&t)
	}
	return t.String(), err
}
