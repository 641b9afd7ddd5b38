package cli

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// DigestView is the digest of a genesis.
type DigestView struct {
	Digest string   `json:"digest"`
	Words  []string `json:"words"`
	// Pinned says that it is the one of the configuration, and that the charter keeps the rules of package charter.
	Pinned bool `json:"pinned"`
}

func (v DigestView) writeText(t *text) {
	t.field("Digest", v.Digest)
	t.field("Words", strings.Join(v.Words[:6], " "))
	t.wrap("", strings.Repeat(" ", labelWidth)+strings.Join(v.Words[6:], " "), 0)
	if v.Pinned {
		t.say("The genesis has the pinned digest and keeps the rules of a charter.")
	}
}

func digestView(d canon.Digest, pinned bool) DigestView {
	words := d.Words()
	return DigestView{Digest: d.String(), Words: words[:], Pinned: pinned}
}

// CharterDigest prints the digest of a genesis file, which need not be the pinned one; empty for that of the configuration.
func (a *App) CharterDigest(file string) error {
	if file != "" {
		b, err := a.read(file, maxGenesis)
		if err != nil {
			return err
		}
		if err := canon.Decode(b, new(canon.Genesis)); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return a.Print(digestView(canon.KindGenesis.Digest(b), false))
	}
	return a.VerifyCharter()
}

// VerifyCharter holds the genesis against the pinned digest.
func (a *App) VerifyCharter() error {
	s, err := a.Open()
	if err != nil {
		return err
	}
	defer s.Close()
	return a.Print(digestView(s.Charter.Organisation(), true))
}

// ShowCharter prints the charter in force in plain words.
func (s *Session) ShowCharter() error {
	if err := s.Print(charterView(s.Charter)); err != nil {
		return err
	}
	return s.trusted()
}

// CharterView is a charter in plain words.
type CharterView struct {
	DigestView
	Organisation string          `json:"organisation"`
	Number       uint64          `json:"number"`
	InForce      string          `json:"in_force"` // digest of the amendment that made it; of the genesis for number 1
	NotBefore    string          `json:"not_before"`
	NotAfter     string          `json:"not_after"`
	Quorum       uint64          `json:"quorum"`
	Faults       uint64          `json:"faults"`
	Sections     []SectionOfView `json:"sections"`
}

// SectionOfView is a list of the charter, one entry a line.
type SectionOfView struct {
	Title   string      `json:"title"`
	Entries []EntryView `json:"entries"`
}

// EntryView is one entry: a name and what there is to say about it.
type EntryView struct {
	Name  string   `json:"name"`
	Lines []string `json:"lines"`
}

func charterView(c *charter.Charter) CharterView {
	g := c.Genesis()
	return CharterView{
		DigestView: digestView(c.Organisation(), true), Organisation: string(g.Label), Number: c.Number(), InForce: c.Digest().String(),
		NotBefore: stamp(g.NotBefore), NotAfter: stamp(g.NotAfter), Quorum: g.Roster.Quorum, Faults: g.Roster.Faults,
		Sections: []SectionOfView{
			{"Signers", signerEntries(g)}, {"Coordinators", coordinatorEntries(g)}, {"Officers", officerEntries(g)}, {"Groups", groupEntries(g)},
			{"Clients", clientEntries(g)}, {"Accounts", accountEntries(g)}, {"Chains and assets", chainEntries(g)}, {"Keys", keyEntries(g)},
			{"Wallets", walletEntries(g)}, {"Rules, tried in order; what none of them matches is denied", ruleEntries(c)},
			{"Contract calls that rules may let through", callEntries(c)}, {"Limits", limitEntries(c)}, {"Allocation", allocationEntries(c)}, {"Authorities", authorityEntries(g)},
			{"Changing the charter", changeEntries(g)}, {"Executables of signers that may run, by SHA-256", buildEntries(g)},
			{"Address book", bookEntries(g)},
		},
	}
}

func (v CharterView) writeText(t *text) {
	t.field("Organisation", v.Organisation)
	v.DigestView.writeText(t)
	t.field("In force", fmt.Sprintf("number %d", v.Number))
	if v.Number > 1 {
		t.field("by amendment", v.InForce)
	}
	t.field("Valid", v.NotBefore+" to "+v.NotAfter)
	t.field("Roster", fmt.Sprintf("%d acknowledgements make a certificate; up to %d signers may lie", v.Quorum, v.Faults))
	for _, section := range v.Sections {
		if len(section.Entries) == 0 {
			continue
		}
		t.gap()
		t.say("%s", section.Title)
		for _, e := range section.Entries {
			t.say("  %s", e.Name)
			for _, line := range e.Lines {
				t.say("    %s", line)
			}
		}
	}
}

func signerEntries(g *canon.Genesis) (out []EntryView) {
	for _, s := range g.Signers {
		role := "keeps the ledger"
		if !s.Ledger {
			role = "keeps no ledger"
		}
		out = append(out, EntryView{string(s.Name), []string{
			fmt.Sprintf("run by %s in %s, %s", s.Operator, s.Jurisdiction, role), "identity " + s.Identity.String()}})
	}
	return out
}

func coordinatorEntries(g *canon.Genesis) (out []EntryView) {
	for _, c := range g.Coordinator {
		out = append(out, EntryView{string(c.Name), []string{"TLS key " + c.TLS.String()}})
	}
	return out
}

func officerEntries(g *canon.Genesis) (out []EntryView) {
	for _, o := range g.Officers {
		e := EntryView{Name: labelled(o.Name, o.Label)}
		for _, k := range o.Keys {
			line := fmt.Sprintf("%x", k.Public)
			if v, err := keyView(k.Public, ""); err == nil {
				line = v.PublicKey
			}
			e.Lines = append(e.Lines, "key ("+word(k.Class, "hardware with presence", "token", "file")+") "+line)
		}
		for _, d := range o.Devices {
			e.Lines = append(e.Lines, "device "+d.String())
		}
		out = append(out, e)
	}
	return out
}

func groupEntries(g *canon.Genesis) (out []EntryView) {
	for _, v := range g.Groups {
		out = append(out, EntryView{string(v.Name), []string{names(v.Members), "weakest key that counts: " + word(v.Weakest, "hardware with presence", "token", "file")}})
	}
	return out
}

func clientEntries(g *canon.Genesis) (out []EntryView) {
	for _, v := range g.Clients {
		e := EntryView{Name: labelled(v.Name, v.Label)}
		if v.House {
			e.Lines = append(e.Lines, "the custodian's own")
		}
		for _, k := range v.Keys {
			e.Lines = append(e.Lines, "key "+k.String())
		}
		for _, d := range v.Devices {
			e.Lines = append(e.Lines, "device "+d.String())
		}
		out = append(out, e)
	}
	return out
}

func accountEntries(g *canon.Genesis) (out []EntryView) {
	for _, a := range g.Accounts {
		out = append(out, EntryView{string(a.Name), []string{fmt.Sprintf("of client %s, number %d, %s", a.Client, a.Number, word(a.Kind, "segregated", "omnibus"))}})
	}
	return out
}

func chainEntries(g *canon.Genesis) (out []EntryView) {
	for _, c := range g.Chains {
		e := EntryView{Name: string(c.ID), Lines: []string{fmt.Sprintf("%s, coin type %d, final after %d confirmations", word(c.Kind, "Bitcoin", "EVM"), c.CoinType, c.Depth)}}
		for _, a := range g.Assets {
			if a.ID.Chain() == c.ID {
				e.Lines = append(e.Lines, fmt.Sprintf("%s, %d decimals: %s", a.Symbol, a.Decimals, a.ID))
			}
		}
		out = append(out, e)
	}
	return out
}

func keyEntries(g *canon.Genesis) (out []EntryView) {
	for _, k := range g.Keys {
		out = append(out, EntryView{string(k.ID), []string{
			fmt.Sprintf("%s, epoch %d: any %d of %s sign", word(k.Algorithm, "ECDSA secp256k1", "EdDSA 25519"), k.Epoch, k.Threshold, names(k.Holders))}})
	}
	return out
}

func walletEntries(g *canon.Genesis) (out []EntryView) {
	for _, w := range g.Wallets {
		out = append(out, EntryView{labelled(w.Name, w.Label), []string{
			fmt.Sprintf("%s, %s, key %s, number %d, on %s", word(w.Tier, "hot", "warm", "cold"), word(w.Scheme, "MPC", "HSM", "MPC and HSM"), w.Key, w.Number, w.Chain),
			"accounts " + names(w.Accounts)}})
	}
	return out
}

func authorityEntries(g *canon.Genesis) (out []EntryView) {
	for _, a := range g.Authorities {
		out = append(out, EntryView{string(a.Name), []string{word(a.Purpose, "prices", "screening", "travel rule", "balances") + ", key " + a.Key.String()}})
	}
	return out
}

func changeEntries(g *canon.Genesis) []EntryView {
	d := g.Delays
	return []EntryView{
		{"amendments", []string{quorumText(g.Amendment)}},
		{"delays", []string{fmt.Sprintf("loosening %s, unfreezing %s, a freeze lapses after %s", seconds(d.Loosening), seconds(d.Unfreeze), seconds(d.FreezeLapse)),
			fmt.Sprintf("new addresses %s, clocks may differ by %s", seconds(d.BookCooldown), seconds(d.ClockSkew))}},
		{"recovery", []string{recoveryText(g)}},
		{"lifted freezes", []string{fmt.Sprint(len(g.Lifted))}},
		{"confirmed freezes, which do not lapse", confirmedLines(g)},
	}
}

func confirmedLines(g *canon.Genesis) []string {
	if len(g.Confirmed) == 0 {
		return []string{"none"}
	}
	var out []string
	for _, d := range g.Confirmed {
		out = append(out, "statement "+d.String())
	}
	return out
}

func buildEntries(g *canon.Genesis) []EntryView {
	out := []EntryView{}
	for _, d := range g.Builds {
		out = append(out, EntryView{d.String(), []string{}})
	}
	return out
}

func recoveryText(g *canon.Genesis) string {
	if g.RecoveryCount == 0 {
		return fmt.Sprintf("%d offline keys, without a say", len(g.Recovery))
	}
	return fmt.Sprintf("%d of %d offline keys may replace officers, after %s", g.RecoveryCount, len(g.Recovery), seconds(g.Delays.Recovery))
}

func bookEntries(g *canon.Genesis) []EntryView {
	return []EntryView{
		{fmt.Sprintf("first version, %d", g.Book.Serial), []string{addresses(g.Book.Size) + " under root " + g.Book.Root.String()}},
		{"next version", []string{quorumText(g.Book.Quorum)}},
	}
}

// word names a value that counts from 1; a value without a name shows as its number.
func word[T ~uint8](v T, words ...string) string {
	if int(v) < 1 || int(v) > len(words) {
		return fmt.Sprint(uint8(v))
	}
	return words[v-1]
}
