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
			{"Contract calls that rules may let through", callEntries(c)}, {"Limits", limitEntries(c)}, {"Prices that count", priceEntries(c)},
			{"Allocation", allocationEntries(c)}, {"Authorities", authorityEntries(g)},
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
		e := EntryView{string(s.Name), []string{fmt.Sprintf("run by %s in %s, %s", s.Operator, s.Jurisdiction, role), "identity " + s.Identity.String()}}
		if wallets := tokenOf(g, s.Name); len(wallets) > 0 {
			e.Lines = append(e.Lines, "its token signs or attests for "+names(wallets))
		}
		out = append(out, e)
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
			e.Lines = append(e.Lines, "key ("+word(k.Class, "hardware with presence", "token", "file")+") "+keyText(k.Public))
		}
		for _, d := range o.Devices {
			e.Lines = append(e.Lines, "device "+d.String())
		}
		out = append(out, e)
	}
	return out
}

// keyText writes a key in OpenSSH's form; bytes that are none as bytes.
func keyText(public []byte) string {
	if v, err := keyView(public, ""); err == nil {
		return v.PublicKey
	}
	return fmt.Sprintf("%x", public)
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
		if v.Treasury {
			e.Lines = append(e.Lines, "a treasury desk: owns nothing, and asks for moves between the wallets of any account")
		}
		for _, a := range v.Attributes {
			e.Lines = append(e.Lines, fmt.Sprintf("%s = %s", a.Name, quoted(string(a.Value))))
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
		out = append(out, EntryView{string(a.Name), []string{fmt.Sprintf("of client %s, number %d, %s", a.Client, a.Number, word(a.Kind, "segregated", "omnibus", "the pool of omnibus wallets"))}})
	}
	return out
}

func chainEntries(g *canon.Genesis) (out []EntryView) {
	for _, c := range g.Chains {
		e := EntryView{Name: string(c.ID), Lines: []string{fmt.Sprintf("%s, coin type %d, final after %d confirmations", word(c.Kind, "Bitcoin", "EVM"), c.CoinType, c.Depth)}}
		if c.HRP != "" {
			e.Lines = append(e.Lines, "addresses begin with "+c.HRP)
		}
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
		e := EntryView{labelled(w.Name, w.Label), []string{walletLine(w), "accounts " + names(w.Accounts)}}
		e.Lines = append(e.Lines, deviceLines(w)...)
		if w.StartNonce > 0 {
			e.Lines = append(e.Lines, fmt.Sprintf("first nonce of each address %d", w.StartNonce))
		}
		out = append(out, e)
	}
	return out
}

func authorityEntries(g *canon.Genesis) (out []EntryView) {
	for _, a := range g.Authorities {
		e := EntryView{string(a.Name), []string{purposeText(a.Purpose) + ", key " + a.Key.String()}}
		if a.MaxAge > 0 {
			e.Lines = append(e.Lines, "what it states counts for at most "+exactly(a.MaxAge))
		}
		out = append(out, e)
	}
	return out
}

func changeEntries(g *canon.Genesis) []EntryView {
	d := g.Delays
	return []EntryView{
		{"amendments", []string{quorumText(g.Amendment)}},
		{"delays", []string{fmt.Sprintf("loosening %s, unfreezing %s, a freeze lapses after %s", exactly(d.Loosening), exactly(d.Unfreeze), exactly(d.FreezeLapse)),
			fmt.Sprintf("new addresses %s, clocks may differ by %s", exactly(d.BookCooldown), exactly(d.ClockSkew)), balancesText(d)}},
		{"recovery", append([]string{recoveryText(g)}, recoveryLines(g)...)},
		{"lifted freezes", statementLines(g.Lifted)},
		{"confirmed freezes, which do not lapse", statementLines(g.Confirmed)},
	}
}

func balancesText(d canon.Delays) string {
	if d.Balances == 0 {
		return "no statement of balances counts"
	}
	return "statements of balances count for " + exactly(d.Balances)
}

func statementLines(list []canon.Digest) []string {
	if len(list) == 0 {
		return []string{"none"}
	}
	var out []string
	for _, d := range list {
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
	return fmt.Sprintf("%d of %d offline keys may replace officers, after %s", g.RecoveryCount, len(g.Recovery), exactly(g.Delays.Recovery))
}

func bookEntries(g *canon.Genesis) []EntryView {
	return []EntryView{
		{fmt.Sprintf("first version, %d", g.Book.Serial), []string{addresses(g.Book.Size) + " under root " + g.Book.Root.String()}},
		{"next version", []string{quorumText(g.Book.Quorum)}},
		{"ownership", []string{ownedText(g.Book.Owned)}},
	}
}

func ownedText(owned bool) string {
	if owned {
		return "only entries with evidence of it are paid"
	}
	return "entries without evidence of it are paid too"
}

func recoveryLines(g *canon.Genesis) (out []string) {
	for _, k := range g.Recovery {
		out = append(out, "key "+keyText(k))
	}
	return out
}

// word names a value that counts from 1; a value without a name shows as its number.
func word[T ~uint8](v T, words ...string) string {
	if int(v) < 1 || int(v) > len(words) {
		return fmt.Sprint(uint8(v))
	}
	return words[v-1]
}
