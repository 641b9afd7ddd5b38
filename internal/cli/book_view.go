package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// BookChangeView is a change of the address book from the bytes that officers approve.
type BookChangeView struct {
	BookRoot string        `json:"book_root"` // digest of the canon.BookRoot: what officers approve
	Words    []string      `json:"words"`
	Serial   uint64        `json:"serial"`
	Previous string        `json:"previous"` // root of the version that it follows
	Root     string        `json:"root"`
	Size     uint64        `json:"size"`
	Reason   string        `json:"reason,omitempty"`
	Comes    []EntryOfBook `json:"comes"`
	Goes     []EntryOfBook `json:"goes"`
	// Checked says that the entries of the version that it follows are known here, that their root is the one that a quorum of the signers
	// names, and that the change makes the root that is to be signed of them.
	Checked  bool          `json:"checked"`
	Problems []RefusalView `json:"problems,omitempty"`
	// Cooldown is for how many seconds what comes waits at each signer.
	Cooldown   uint64        `json:"cooldown"`
	Quorum     string        `json:"quorum"`
	ApprovedBy []string      `json:"approved_by"`
	QuorumMet  bool          `json:"quorum_met"`
	Missing    []RefusalView `json:"missing,omitempty"`
	Invalid    []string      `json:"invalid,omitempty"` // approvals that do not verify
	Recorded   []ShelfView   `json:"recorded,omitempty"`
	// Done says that more signers recorded it than may lie, and that this is the change that made it.
	Done bool   `json:"done,omitempty"`
	File string `json:"file,omitempty"`
}

func (s *Session) bookChangeView(d *bookDraft) BookChangeView {
	words := d.digest.Words()
	g := s.Charter.Genesis()
	v := BookChangeView{BookRoot: d.digest.String(), Words: words[:], Serial: d.root.Serial, Previous: d.root.Previous.String(), Root: d.root.Root.String(), Size: d.root.Size,
		Reason: string(d.root.Reason), Comes: []EntryOfBook{}, Goes: []EntryOfBook{}, Checked: d.problem == nil, Cooldown: g.Delays.BookCooldown,
		Quorum: quorumText(g.Book.Quorum), ApprovedBy: toStrings(d.by), QuorumMet: d.missing == nil, Invalid: d.invalid, Done: d.stale}
	for i, e := range d.change.Add {
		item := s.entryOfBook(e)
		item.Shown = d.shown[i]
		v.Comes = append(v.Comes, item)
	}
	for _, e := range d.goes() {
		item := s.entryOfBook(e)
		item.Replaced = slices.ContainsFunc(d.change.Add, func(a canon.BookEntry) bool { return sameKey(keyOfEntry(a), keyOfEntry(e)) })
		v.Goes = append(v.Goes, item)
	}
	if d.problem != nil {
		v.Problems = refusalOf(d.problem)
	}
	if d.missing != nil {
		v.Missing = refusalOf(d.missing)
	}
	for _, h := range d.recorded {
		v.Recorded = append(v.Recorded, h.view())
	}
	return v
}

// goes returns what is removed: in full if the book that it was in is known, else what the change says of it.
func (d *bookDraft) goes() []canon.BookEntry {
	if len(d.removed) == len(d.change.Remove) {
		return d.removed
	}
	out := make([]canon.BookEntry, len(d.change.Remove))
	for i, key := range d.change.Remove {
		out[i] = canon.BookEntry{Chain: key.Chain, Address: key.Address, Client: key.Client, Account: canon.Any}
	}
	return out
}

func (v BookChangeView) writeText(t *text) {
	t.field("Book root", v.BookRoot)
	t.field("Words", strings.Join(v.Words[:6], " "))
	t.wrap("", strings.Repeat(" ", labelWidth)+strings.Join(v.Words[6:], " "), 0)
	t.field("Version", fmt.Sprint(v.Serial))
	t.field("Follows", v.Previous)
	t.field("Makes", v.Root+" of "+addresses(v.Size))
	if v.Reason != "" {
		t.field("Reason", v.Reason)
	}
	t.gap()
	if len(v.Comes) > 0 {
		t.say("Comes, and may be paid %s after each signer recorded it:", seconds(v.Cooldown))
	}
	for _, e := range v.Comes {
		e.writeText(t)
	}
	if len(v.Goes) > 0 {
		t.say("Goes, at each signer as soon as it recorded it:")
	}
	for _, e := range v.Goes {
		e.writeText(t)
	}
	t.gap()
	v.writeCheck(t)
	t.field("Needs", v.Quorum)
	t.field("Approved by", v.approvedBy())
	for _, i := range v.Invalid {
		t.say("WARNING: %s", i)
	}
	if !v.QuorumMet && !v.Done {
		t.say("Signers would not take it yet:")
		writeRefusals(t, 2, v.Missing)
	}
	if v.File != "" {
		t.field("File", v.File)
	}
}

func (v BookChangeView) writeCheck(t *text) {
	for _, h := range v.Recorded {
		for _, n := range h.Versions {
			t.say("%s recorded it at %s; what comes is payable there at %s", h.Signer, n.FirstSeen, n.PayableAt)
		}
	}
	switch {
	case v.Checked:
		t.say("Checked here: all entries of the version that it follows, their root, the change, and the root that it makes.")
	case v.Done:
		t.say("Checked here: the change makes that version of the one before it. There is nothing more to sign.")
	default:
		t.say("DO NOT SIGN. It does not check here:")
		writeRefusals(t, 2, v.Problems)
	}
}

func (v BookChangeView) approvedBy() string {
	approved := strings.Join(v.ApprovedBy, ", ")
	if v.QuorumMet {
		approved += " (enough)"
	}
	return approved
}
