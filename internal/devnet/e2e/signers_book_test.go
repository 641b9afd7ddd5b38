//go:build chains

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/devnet/hostile"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
	pb "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// register is the address book as officers change it, with each signer's view of it.
type register struct {
	*world
	at       map[canon.Name]pb.BookServiceClient
	entries  []canon.BookEntry
	versions []*book.Tree // from the genesis's own on: serial 1
}

// coolsDown: officers put an address into the book. It is paid when each signer has known that for the cool-down, by its own clock, and no
// sooner, whatever the coordinator shows; and no more from the moment at which they take it out. Others are paid all the time.
func (w *world) coolsDown() {
	before := w.build.Book
	defer func() { w.build.Book = before }()
	r := &register{world: w, at: w.books(), versions: []*book.Tree{before},
		entries: must(genesis.ReadBook(must(os.ReadFile(w.d.Book()))(w.T), w.d.Charter.Genesis().Chains))(w.T)}

	nothing := w.unsigned(w.names...)
	w.build.Book = r.with(0)
	w.refusesToReserve("an address that no officer signed", must(w.paper(large, "alice", "bob"))(w.T), "whitelist", "outputs[0].address")
	nothing()
	after := r.cooling()
	nothing = w.unsigned(w.names...)
	w.build.Book = before
	w.refusesToReserve("another address, shown in the old book only", must(w.paper(large, "alice", "bob"))(w.T), "whitelist", "outputs[0].address")
	nothing()

	w.build.Book = after
	r.payable()
	w.pays(must(w.paper(large, "alice", "bob"))(w.T))

	nothing = w.unsigned(w.names...)
	evidence, certificate := w.certified(must(w.paper(large, "alice", "bob"))(w.T))
	r.tell("node-2", before)
	w.refusesToSign("an address that was taken out since the acks", evidence, certificate, "whitelist", "outputs[0].address")
	w.refusesToReserve("an address that was taken out", must(w.paper(large, "alice", "bob"))(w.T), "whitelist", "outputs[0].address")
	nothing()
	w.build.Book = before
	w.pays(r.everywhere(must(w.paper(large, "alice", "bob"))(w.T)))
	r.payable()
}

// tries is how often a new address is put into the book. More would take more proofs for one address than signers read.
const tries = 3

// with returns the book with new addresses as well, as many as tries begun. The last one is the first in order: papers pay to it.
func (r *register) with(try int) *book.Tree {
	r.Helper()
	own := slices.IndexFunc(r.entries, func(e canon.BookEntry) bool { return e.Chain == r.d.BTC.Chain() && e.Client == "acme" })
	entries := slices.Clone(r.entries)
	for i := range try + 1 {
		fresh := r.entries[own]
		fresh.Address = append([]byte{0, 20}, make([]byte, 20)...)
		fresh.Address[21] = byte(tries - i)
		entries = append(entries, fresh)
	}
	return must(book.Build(entries))(r.T)
}

// cooling puts an address into the book, and asks each signer for a payment to it and for one to an old address while it cools down there. If
// the cool-down is over before they could be asked, it is made longer for another address.
func (r *register) cooling() *book.Tree {
	r.Helper()
	old := r.versions[0]
	for try := range tries {
		if try > 0 {
			r.enact(r.amend(func(g *canon.Genesis) { g.Delays.BookCooldown *= 2 }), "alice", "bob")
		}
		after := r.with(try)
		r.tell(r.names[2-try], after)
		nothing := r.unsigned(r.names...)
		r.build.Book = after
		late := r.tooNew(r.everywhere(must(r.paper(large, "alice", "bob"))(r.T)))
		nothing()
		r.build.Book = old
		r.pays(r.everywhere(must(r.paper(large, "alice", "bob"))(r.T)))
		if !late && len(r.over(canon.TimeOf(time.Now()))) == 0 {
			return after
		}
		r.Logf("the cool-down of version %d was over before all signers had answered", len(r.versions))
	}
	r.Fatalf("expected to ask within one of %d cool-downs, found each of them over", tries)
	return nil
}

// tooNew asks that every signer refuses an address of the newest version, unless its cool-down is over there by the signer's own account: then
// the question came too late.
func (r *register) tooNew(p *hostile.Paper) (late bool) {
	r.Helper()
	_, errs := r.reserve(must(r.build.Question(p))(r.T))
	over := r.over(canon.TimeOf(time.Now()))
	for name, err := range errs {
		if err == nil && over[name] {
			late = true
			continue
		}
		r.refused("an address in its cool-down", map[canon.Name]error{name: err}, "whitelist", "outputs[0].address")
	}
	return late
}

// everywhere shows the payee's address in each version of the book that has it, once for versions with the same entries.
func (r *register) everywhere(p *hostile.Paper) *hostile.Paper {
	p.Addresses = nil
	for _, tree := range r.versions {
		proof, ok := tree.Prove(p.Request.Chain, p.Request.Outputs[0].Address, p.Request.Client)
		if same := func(o canon.BookProof) bool { return o.Root == proof.Root }; ok && !slices.ContainsFunc(p.Addresses, same) {
			p.Addresses = append(p.Addresses, proof)
		}
	}
	return p
}

// over returns the signers that say that the cool-down of the newest version is over at that second.
func (r *register) over(now canon.Time) map[canon.Name]bool {
	r.Helper()
	all := map[canon.Name]bool{}
	for _, name := range r.names {
		v := r.newest(r.Context(), name)
		if v == nil {
			r.Fatalf("%s: expected version %d of the book, found none", name, len(r.versions))
		}
		if canon.TimeOf(v.GetPayableTime().AsTime()) <= now {
			all[name] = true
		}
	}
	return all
}

// payable waits until every signer pays to the addresses of the newest version, and asks that none did so before the cool-down.
func (r *register) payable() {
	r.Helper()
	cooldown := time.Duration(r.chain.Current().Genesis().Delays.BookCooldown) * time.Second
	for _, name := range r.names {
		r.until(fmt.Sprintf("%s pays by version %d of the book", name, len(r.versions)), func(ctx context.Context) (bool, error) {
			v := r.newest(ctx, name)
			if v == nil {
				return false, nil
			}
			if since := v.GetPayableTime().AsTime().Sub(v.GetFirstSeenTime().AsTime()); since != cooldown {
				return false, fmt.Errorf("expected a cool-down of %s, found %s", cooldown, since)
			}
			if early := time.Now().Before(v.GetPayableTime().AsTime()); early && v.GetPayable() {
				return false, fmt.Errorf("expected it to be payable from %s on, found it payable now", v.GetPayableTime().AsTime())
			}
			return v.GetPayable(), nil
		})
	}
}

// tell has officers sign the next version of the book and take it to one signer, and waits until all others have it.
func (r *register) tell(signer canon.Name, after *book.Tree) {
	r.Helper()
	before := r.versions[len(r.versions)-1]
	r.versions = append(r.versions, after)
	organisation := r.chain.Current().Organisation()
	root := must(canon.Encode(canon.BookRoot{Organisation: organisation, Serial: uint64(len(r.versions)), Previous: before.Root(),
		Size: after.Size(), Root: after.Root()}))(r.T)
	update := canon.BookUpdate{Organisation: organisation, Root: root}
	for _, officer := range []canon.Name{"alice", "bob"} {
		update.Approvals = append(update.Approvals, must(r.approval(r.build.Officers[officer], officer, canon.ObjectBookRoot, canon.KindBookRoot.Digest(root),
			canon.TimeOf(time.Now())+1200))(r.T))
	}
	device := pb.NewBookServiceClient(r.dial(signer, filepath.Join(r.d.Officers[0].Dir, "tls.key")))
	if _, err := device.SubmitBookUpdate(r.Context(), &pb.SubmitBookUpdateRequest{Update: must(canon.Encode(update))(r.T)}); err != nil {
		r.Fatal(err)
	}
	for _, name := range r.names {
		r.until(fmt.Sprintf("%s has version %d of the book", name, len(r.versions)), func(ctx context.Context) (bool, error) {
			return r.newest(ctx, name) != nil, nil
		})
	}
}

// newest returns what a signer says of the newest version, nil if it has not recorded that.
func (r *register) newest(ctx context.Context, signer canon.Name) *pb.BookVersion {
	r.Helper()
	answer := must(r.at[signer].GetBook(ctx, &pb.GetBookRequest{}))(r.T)
	for _, v := range answer.GetVersions() {
		if v.GetSerial() == uint64(len(r.versions)) && v.GetNewest() && len(v.GetUpdate()) > 0 {
			return v
		}
	}
	return nil
}

// books connects to every signer's book as the coordinator.
func (w *world) books() map[canon.Name]pb.BookServiceClient {
	w.Helper()
	all := map[canon.Name]pb.BookServiceClient{}
	for _, name := range w.names {
		all[name] = pb.NewBookServiceClient(w.dial(name, w.d.CoordinatorKey()))
	}
	return all
}
