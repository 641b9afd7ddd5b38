//go:build chains

package e2e

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

func without[V any](list []V, gone func(V) bool) []V {
	return slices.DeleteFunc(slices.Clone(list), gone)
}

// limit sets the amount of a limit, in the asset's smallest unit as it has that many decimals.
func limit(name canon.Name, units int64, decimals int64) func(*canon.Genesis) {
	amount := new(big.Int).Mul(big.NewInt(units), new(big.Int).Exp(big.NewInt(10), big.NewInt(decimals), nil))
	return func(g *canon.Genesis) {
		for i := range g.Limits {
			if g.Limits[i].Name == name {
				g.Limits[i].Amount = canon.Amount(amount.Bytes())
			}
		}
	}
}

// amend returns an amendment of the charter in force.
func (w *world) amend(changes ...func(*canon.Genesis)) *canon.Amendment {
	w.Helper()
	now := w.chain.Current()
	var g canon.Genesis
	if err := canon.Decode(must(canon.Encode(*now.Genesis()))(w.T), &g); err != nil {
		w.Fatal(err)
	}
	for _, change := range changes {
		change(&g)
	}
	return &canon.Amendment{Organisation: now.Organisation(), Number: now.Number() + 1, Previous: now.Digest(),
		NotBefore: canon.TimeOf(time.Now()), State: must(canon.Encode(g))(w.T)}
}

// proposed has officers approve the amendment, as often as they are named, each time for another while.
func (w *world) proposed(a *canon.Amendment, officers ...canon.Name) *canon.CharterEntry {
	w.Helper()
	e := w.entry(a)
	for i, name := range officers {
		e.Approvals = append(e.Approvals, w.consent(w.build.Officers[name], name, e.Amendment, i))
	}
	return e
}

func (w *world) entry(a *canon.Amendment) *canon.CharterEntry {
	w.Helper()
	return &canon.CharterEntry{Organisation: a.Organisation, Step: canon.StepPropose, Amendment: must(canon.Encode(*a))(w.T)}
}

func (w *world) consent(key approval.Signer, officer canon.Name, amendment []byte, i int) canon.Signed {
	w.Helper()
	return must(w.approval(key, officer, canon.ObjectAmendment, canon.KindAmendment.Digest(amendment), canon.TimeOf(time.Now())+canon.Time(1200+i)))(w.T)
}

// enacting adds the words of signers to the entry.
func enacting(e *canon.CharterEntry, held ...canon.Signed) *canon.CharterEntry {
	out := *e
	out.Step, out.Held = canon.StepEnact, held
	var a canon.Amendment
	if canon.Decode(e.Amendment, &a) == nil && len(a.Heals) > 0 {
		out.Step = canon.StepHeal
	}
	return &out
}

// submit takes an entry to signers as the coordinator.
func (w *world) submit(e *canon.CharterEntry, names ...canon.Name) map[canon.Name]error {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	encoded := must(canon.Encode(*e))(w.T)
	_, errs := each(names, func(n canon.Name) (*pb.SubmitCharterEntryResponse, error) {
		return w.charter[n].SubmitCharterEntry(ctx, &pb.SubmitCharterEntryRequest{Entry: encoded})
	})
	return errs
}

// pending returns what a signer says of a proposal, nil if it does not wait there, and the signer's head.
func (w *world) pending(ctx context.Context, signer canon.Name, e *canon.CharterEntry) (*pb.PendingAmendment, canon.Head, error) {
	var head canon.Head
	r, err := w.charter[signer].GetCharterChain(ctx, &pb.GetCharterChainRequest{FromNumber: w.chain.Current().Number() + 1})
	if err != nil {
		return nil, head, err
	}
	if r.GetHead() != nil {
		if err := canon.Decode(r.GetHead().GetDocument(), &head); err != nil {
			return nil, head, err
		}
	}
	digest := canon.KindAmendment.Digest(e.Amendment).String()
	i := slices.IndexFunc(r.GetProposals(), func(p *pb.PendingAmendment) bool { return p.GetDigest() == digest })
	if i < 0 {
		return nil, head, nil
	}
	return r.GetProposals()[i], head, nil
}

// held waits until each of these signers says that it held the proposal for its delay. Where a quorum does, they enact it by themselves.
func (w *world) held(e *canon.CharterEntry, names ...canon.Name) []canon.Signed {
	w.Helper()
	var all []canon.Signed
	for _, name := range names {
		w.until(fmt.Sprintf("%s holds an amendment", name), func(ctx context.Context) (bool, error) {
			p, _, err := w.pending(ctx, name, e)
			if len(p.GetHeld()) > 0 {
				all = append(all, fromWire(p.GetHeld()[0]))
				return true, nil
			}
			return false, err
		})
	}
	return all
}

// enact brings an amendment into force: the coordinator passes on what officers say, and the signers do the rest.
func (w *world) enact(a *canon.Amendment, officers ...canon.Name) *canon.CharterEntry {
	w.Helper()
	e := w.proposed(a, officers...)
	w.granted("proposal", w.submit(e, w.names...))
	w.follow(w.enacted(e))
	return e
}

// enacted waits until a signer shows that the amendment is in force, and returns the entry that made it so.
func (w *world) enacted(e *canon.CharterEntry) *canon.CharterEntry {
	w.Helper()
	var out canon.CharterEntry
	w.until("an amendment comes into force", func(ctx context.Context) (bool, error) {
		r, err := w.charter[w.names[0]].GetCharterChain(ctx, &pb.GetCharterChainRequest{FromNumber: w.chain.Current().Number() + 1})
		for _, b := range r.GetEnacted() {
			out = canon.CharterEntry{}
			if err := canon.Decode(b, &out); err != nil {
				return false, err
			}
			if bytes.Equal(out.Amendment, e.Amendment) {
				return true, nil
			}
		}
		return false, err
	})
	return &out
}

// follow takes what was enacted into the test's own chain, and asks that every signer stands there too.
func (w *world) follow(entries ...*canon.CharterEntry) {
	w.Helper()
	for _, e := range entries {
		w.chain = must(w.chain.Follow(must(canon.Encode(*e))(w.T), canon.TimeOf(time.Now())))(w.T)
	}
	w.build.Charter = w.chain.Current()
	for _, name := range w.names {
		w.until(fmt.Sprintf("%s has charter %d", name, w.chain.Current().Number()), func(ctx context.Context) (bool, error) {
			_, head, err := w.pending(ctx, name, entries[0])
			return head.Number == w.chain.Current().Number() && head.Charter == w.chain.Current().Digest(), err
		})
	}
}

// stays asks that the charter in force is what it was, at every signer.
func (w *world) stays() {
	w.Helper()
	_, errs := each(w.names, func(n canon.Name) (struct{}, error) {
		ctx, cancel := context.WithTimeout(w.Context(), patience)
		defer cancel()
		r, err := w.charter[n].GetCharterChain(ctx, &pb.GetCharterChainRequest{FromNumber: w.chain.Current().Number() + 1})
		if err != nil {
			return struct{}{}, err
		}
		var head canon.Head
		if err := canon.Decode(r.GetHead().GetDocument(), &head); err != nil {
			return struct{}{}, err
		}
		if head.Charter != w.chain.Current().Digest() || len(r.GetEnacted()) != 0 {
			return struct{}{}, fmt.Errorf("expected charter %d in force, found %d", w.chain.Current().Number(), head.Number)
		}
		return struct{}{}, nil
	})
	w.granted("charter in force", errs)
}

func (w *world) badAmendments() {
	tighter := limit("eth-day", 14, 18)
	skip := w.amend(tighter)
	skip.Number++
	w.refused("number skipped", w.submit(w.proposed(skip, "alice", "bob"), w.names...), "chain", "amendment.number")

	twice := w.proposed(w.amend(tighter), "alice", "alice")
	w.refused("one key twice", w.submit(twice, w.names...), "quorum", "amendment")

	w.newKeys()
	w.stays()
	w.pays(must(w.paper(small))(w.T))
}

// newKeys puts other people in the officers' place, by their own signatures.
func (w *world) newKeys() {
	w.Helper()
	thief := map[canon.Name]approval.Signer{}
	for _, name := range []canon.Name{"alice", "bob"} {
		_, key, err := approval.NewKeyFile([]byte("a passphrase of a thief"), string(name))
		if err != nil {
			w.Fatal(err)
		}
		thief[name] = key
	}
	a := w.amend(func(g *canon.Genesis) {
		for i, o := range g.Officers {
			if key := thief[o.Name]; key != nil {
				g.Officers[i].Keys = []canon.OfficerKey{{Public: key.Public(), Class: o.Keys[0].Class}}
			}
		}
	})
	e := w.entry(a)
	for i, name := range []canon.Name{"alice", "bob"} {
		e.Approvals = append(e.Approvals, w.consent(thief[name], name, e.Amendment, i))
	}
	w.refused("old names, new keys only", w.submit(e, w.names...), "approval", "approvals[0].signature")

	a = w.amend(func(g *canon.Genesis) {
		for i, o := range g.Officers {
			if key := thief[o.Name]; key != nil {
				g.Officers[i].Name, g.Officers[i].Keys = "new-"+o.Name, []canon.OfficerKey{{Public: key.Public(), Class: o.Keys[0].Class}}
			}
		}
		for i := range g.Groups {
			g.Groups[i].Members = []canon.Name{"carol", "new-alice", "new-bob"}
		}
		slices.SortFunc(g.Officers, func(a, b canon.Officer) int { return strings.Compare(string(a.Name), string(b.Name)) })
	})
	e = w.entry(a)
	for i, name := range []canon.Name{"alice", "bob"} {
		e.Approvals = append(e.Approvals, w.consent(thief[name], "new-"+name, e.Amendment, i))
	}
	w.refused("new names, new keys only", w.submit(e, w.names...), "quorum", "amendment")
}

// heldTooLittle has officers really propose something, while half of the signers are down: fewer than a quorum hold it. One of them
// hears of a veto after that, and all do when they are up again.
func (w *world) heldTooLittle() {
	w.Helper()
	up, down := w.names[:2], w.names[2:]
	for _, name := range down {
		w.d.KillNode(w.d.Node(string(name)))
	}
	e := w.proposed(w.amend(limit("btc-day", 4, 8)), "alice", "bob")
	w.granted("proposal", w.submit(e, up...))
	held := w.held(e, up...)
	w.refused("held by one signer too few", w.submit(enacting(e, held...), up...), "held", "entry.held")
	w.refused("held by one signer twice", w.submit(enacting(e, held[0], held[1], held[1]), up...), "held", "entry.held")

	// The coordinator says it in a third signer's name.
	var said canon.Held
	if err := canon.Decode(held[1].Document, &said); err != nil {
		w.Fatal(err)
	}
	said.Signer = down[0]
	document := must(canon.Encode(said))(w.T)
	key := must(coordinator.LoadKey(w.d.CoordinatorKey()))(w.T)
	forged := canon.Signed{Document: document, Scheme: canon.Ed25519, Signature: ed25519.Sign(key, canon.KindHeld.Message(document))}
	w.refused("word of a signer that the coordinator signed", w.submit(enacting(e, held[0], held[1], forged), up...), "signer", "held[2].signature")

	other := w.proposed(w.amend(limit("btc-day", 5, 8)), "alice", "bob")
	w.refused("words of signers about another amendment", w.submit(enacting(other, held...), up...), "held", "held[0].amendment")

	veto := w.say("bob", canon.StateVeto, canon.KindAmendment.Digest(e.Amendment))
	if _, err := w.devices["bob"][up[1]].SubmitSignerStatement(w.Context(), &pb.SubmitSignerStatementRequest{Statement: onWire(veto)}); err != nil {
		w.Fatal(err)
	}
	for _, name := range down {
		if err := w.d.StartNode(w.Context(), w.d.Node(string(name))); err != nil {
			w.Fatal(err)
		}
		if _, err := w.charter[name].GetCharterChain(w.Context(), &pb.GetCharterChainRequest{}, grpc.WaitForReady(true)); err != nil {
			w.Fatal(err)
		}
	}
	for _, name := range w.names {
		w.heard(name, veto)
	}
	defer w.stays()
	w.refused("vetoed after some signers held it", w.submit(enacting(e, held...), w.names...), "veto", "amendment")
}

// mixedAmendment raises one limit and lowers another.
func (w *world) mixedAmendment() {
	e := w.proposed(w.amend(limit("btc-day", 5, 8), limit("eth-day", 10, 18)), "alice", "bob")
	w.granted("proposal", w.submit(e, w.names...))
	loosening := time.Duration(w.chain.Current().Genesis().Delays.Loosening) * time.Second
	for _, name := range w.names {
		p, _, err := w.pending(w.Context(), name, e)
		if err != nil {
			w.Fatal(err)
		}
		if d := p.GetReadyTime().AsTime().Sub(p.GetFirstSeenTime().AsTime()); d < loosening {
			w.Errorf("%s: expected a delay of at least %s, as for what loosens, found %s", name, loosening, d)
		}
	}
	w.refused("enacted before the delay", w.submit(enacting(e), w.names...), "held", "entry.held")
	w.tell("node-2", "carol", w.say("carol", canon.StateVeto, canon.KindAmendment.Digest(e.Amendment)))
	for _, name := range w.names {
		w.until(fmt.Sprintf("the delay is over at %s", name), func(ctx context.Context) (bool, error) {
			p, head, err := w.pending(ctx, name, e)
			if len(p.GetHeld()) != 0 {
				return false, errors.New("expected no word that it held what was vetoed, found one")
			}
			return err == nil && !head.Time.At().Before(p.GetReadyTime().AsTime()), err
		})
	}
	w.refused("vetoed", w.submit(enacting(e), w.names...), "veto", "amendment")
	w.stays()
	w.pays(must(w.paper(small))(w.T))
}

// rivals: officers approve two amendments of one number, and the coordinator takes both to every signer. They all speak for the same one.
func (w *world) rivals() {
	evidence, certificate := w.certified(must(w.paper(large, "alice", "bob"))(w.T))
	var rivals []*canon.CharterEntry
	begin := canon.TimeOf(time.Now()) + 3 // no signer speaks before both are everywhere
	for i, change := range []func(*canon.Genesis){limit("eth-day", 14, 18), limit("usdx-day", 19_000, 6)} {
		a := w.amend(change)
		a.NotBefore = begin
		rivals = append(rivals, w.proposed(a, [][]canon.Name{{"alice", "bob"}, {"bob", "carol"}}[i]...))
		w.granted("proposal", w.submit(rivals[i], w.names...))
	}
	slices.SortFunc(rivals, func(a, b *canon.CharterEntry) int {
		x, y := canon.KindAmendment.Digest(a.Amendment), canon.KindAmendment.Digest(b.Amendment)
		return bytes.Compare(x[:], y[:])
	})
	winner := w.enacted(rivals[0])
	w.follow(winner)
	w.refused("rival proposal", w.submit(rivals[1], w.names...), "chain", "amendment.number")
	w.refused("rival enacted with nobody's word", w.submit(enacting(rivals[1]), w.names...), "held", "entry.held")
	w.refused("rival enacted with words about the other", w.submit(enacting(rivals[1], winner.Held...), w.names...), "held", "held[0].amendment")
	w.stays()
	w.refusesToSign("acked under the charter before", evidence, certificate, "reservation", "reservation.charter_number")
	w.pays(must(w.paper(small))(w.T))
}

// rollback: what led to an earlier charter leads nowhere now.
func (w *world) rollback() {
	genesis := w.d.Charter
	old := w.amend(limit("eth-day", 13, 18))
	old.Previous = genesis.Digest()
	w.refused("next number after the first charter", w.submit(w.proposed(old, "alice", "bob"), w.names...), "chain", "amendment.number")
	old.Number = 2
	again := w.proposed(old, "alice", "bob")
	w.refused("number of the past", w.submit(again, w.names...), "chain", "amendment.previous")
	w.refused("number of the past, enacted at once", w.submit(enacting(again), w.names...), "held", "entry.held")

	// The state of the first charter, under the next number: raises limits, so it waits, and is vetoed.
	back := w.amend(func(g *canon.Genesis) { *g = *genesis.Genesis() })
	e := w.proposed(back, "alice", "bob")
	w.granted("proposal", w.submit(e, w.names...))
	w.tell("node-1", "carol", w.say("carol", canon.StateVeto, canon.KindAmendment.Digest(e.Amendment)))
	w.refused("state of the first charter, vetoed", w.submit(enacting(e), w.names...), "veto", "amendment")
	w.stays()
}
