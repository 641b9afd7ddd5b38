package cli

import (
	"fmt"
	"strings"

	"github.com/strongroom/strongroom/proto/canon"
)

// IntentView is an intent from the bytes that officers approve.
type IntentView struct {
	Digest string   `json:"digest"`
	Words  []string `json:"words"`
	// Refusals are why the guard refuses the intent; then nothing below is set but the sources.
	Refusals    []RefusalView `json:"refusals,omitempty"`
	Withdrawal  string        `json:"withdrawal,omitempty"`
	RequestID   string        `json:"request_id,omitempty"`
	Client      string        `json:"client,omitempty"`
	ClientLabel string        `json:"client_label,omitempty"`
	Account     string        `json:"account,omitempty"`
	Wallet      string        `json:"wallet,omitempty"`
	WalletLabel string        `json:"wallet_label,omitempty"`
	Chain       string        `json:"chain,omitempty"`
	// CharterNumber is that of the charter under which the intent was made; one before the charter in force is refused if anything was
	// loosened since.
	CharterNumber  uint64        `json:"charter_number,omitempty"`
	CharterInForce uint64        `json:"charter_in_force,omitempty"`
	Payments       []PaymentView `json:"payments,omitempty"`
	// Call is the contract call that it makes instead of payments.
	Call *CallView `json:"call,omitempty"`
	// Totals are what it pays of each asset; of a call, what the charter counts as paid.
	Totals []AmountView `json:"totals,omitempty"`
	FeeCap *AmountView  `json:"fee_cap,omitempty"`
	// Transactions are the digests of the unsigned transactions that the intent allows, if it is exact; one of them is signed as it is.
	Transactions []string `json:"transactions,omitempty"`
	// BookUnknown is why it is not known which addresses are in the address book: fewer than a quorum of signers name the same version.
	BookUnknown string `json:"book_unknown,omitempty"`
	TravelRule  string `json:"travel_rule,omitempty"`
	// TravelData is the SHA-256 of travel-rule data that came with the request.
	TravelData string `json:"travel_data,omitempty"`
	// Requester is the treasury desk that asks, where it is not the client itself.
	Requester string `json:"requester,omitempty"`
	// Facts are the statements of authorities and signers that it rests on.
	Facts *FactsView `json:"facts,omitempty"`
	// Duties are what the rule asks for beside approvals: a delay, clearances.
	Duties     []string `json:"duties,omitempty"`
	MemoDigest string   `json:"memo_digest,omitempty"`
	Rule       string   `json:"rule,omitempty"`
	Quorum     string   `json:"quorum,omitempty"`
	QuorumMet  bool     `json:"quorum_met"`
	ApprovedBy []string `json:"approved_by,omitempty"`
	// NotCounted are approvals whose key was revoked.
	NotCounted   []NotCountedView `json:"not_counted,omitempty"`
	RejectedBy   []string         `json:"rejected_by,omitempty"`
	RequestTime  string           `json:"request_time,omitempty"`
	ExpireTime   string           `json:"expire_time,omitempty"`
	ExpiresIn    string           `json:"expires_in,omitempty"`
	ExpiringSoon bool             `json:"expiring_soon"`
	// Decided is "approved", "rejected" or "withdrawn" when the person who asks has said so.
	Decided string   `json:"decided,omitempty"`
	Sources []string `json:"sources,omitempty"`

	needsApproval bool
}

// NotCountedView is an approval that is genuine and does not count.
type NotCountedView struct {
	Officer string `json:"officer"`
	Key     string `json:"key"` // digest of the key that signed it
	Reason  string `json:"reason"`
}

// intentView renders an intent. The only inputs are the intent's bytes, verified decisions and proofs, the charter and the clock. What
// cannot be rendered is refused: one intent never hides the others.
func (s *Session) intentView(p *pending) IntentView {
	words := p.digest.Words()
	v := IntentView{Digest: p.digest.String(), Words: words[:], Sources: p.sources}
	if p.review != nil {
		full := v
		err := s.fill(&full, p)
		if err == nil {
			return full
		}
		p.review, p.refused = nil, err
	}
	v.Refusals = refusalOf(p.refused)
	return v
}

// fill renders what the guard examined.
func (s *Session) fill(v *IntentView, p *pending) error {
	i, r := p.review.Intent, p.review.Request
	client, _ := s.Charter.Client(r.Client)
	wallet, _ := s.Charter.Wallet(r.Wallet)
	sums, err := totals(s.Charter, r)
	if err != nil {
		return err
	}
	for _, t := range sums {
		v.Totals = append(v.Totals, amountView(s.Charter, t.id, t.sum))
	}
	coin, _ := s.Charter.NativeAsset(r.Chain)
	fee := amountView(s.Charter, coin.ID, i.FeeCap)
	v.Withdrawal, v.RequestID = i.Withdrawal.String(), r.RequestID
	v.Client, v.ClientLabel, v.Account = string(r.Client), string(client.Label), string(r.Account)
	v.Wallet, v.WalletLabel, v.Chain = string(r.Wallet), string(wallet.Label), string(r.Chain)
	entries := s.entries(p)
	v.Payments, v.Call, v.FeeCap = payments(s.Charter, r, entries), callView(s.Charter, r, entries), &fee
	grouped(v.Payments, p.review.Facts, entries)
	if v.Facts, err = factsView(s.Charter, p.review); err != nil {
		return err
	}
	v.Duties = dutiesOf(p.review.Rule)
	if desk, ok := s.Charter.ClientByKey(r.Requester); ok && desk.Name != r.Client {
		v.Requester = string(desk.Name)
	}
	for _, d := range i.Transactions {
		v.Transactions = append(v.Transactions, d.String())
	}
	if p.box.noBook != nil {
		v.BookUnknown = fmt.Sprintf("fewer than %d signers name the same newest version", s.Charter.Genesis().Roster.Quorum)
	}
	v.CharterNumber, v.CharterInForce = i.CharterNumber, s.Charter.Number()
	v.TravelRule = string(r.TravelRule)
	if len(r.TravelData) > 0 {
		v.TravelData = fmt.Sprintf("%x", r.TravelData)
	}
	if len(r.Memo) > 0 {
		v.MemoDigest = fmt.Sprintf("%x", r.Memo)
	}
	v.needsApproval = len(i.Quorum.AnyOf) > 0
	v.Rule, v.Quorum = string(i.Rule), quorumText(i.Quorum)
	v.RequestTime, v.ExpireTime = stamp(r.NotBefore), stamp(i.NotAfter)
	v.ExpiresIn, v.ExpiringSoon = span(s.until(i.NotAfter)), s.expiringSoon(p.review)
	v.Decided = s.decided(p)
	return s.votes(p, v)
}

// votes counts the verified decisions against the quorum.
func (s *Session) votes(p *pending, v *IntentView) error {
	result, err := p.tally(s)
	if err != nil {
		return err
	}
	v.QuorumMet = result.Met
	v.ApprovedBy, v.RejectedBy = toStrings(result.Approvers), toStrings(result.RejectedBy)
	for _, i := range result.Ignored {
		v.NotCounted = append(v.NotCounted, NotCountedView{string(i.Officer), i.Key.String(), i.Reason})
	}
	return nil
}

// waits reports whether officers still have something to do: to approve, or to reject what the guard refuses.
func (v IntentView) waits() bool {
	return len(v.Refusals) > 0 || (v.needsApproval && !v.QuorumMet && len(v.RejectedBy) == 0)
}

func (v IntentView) writeText(t *text) {
	t.field("Intent", v.Digest)
	t.field("Words", strings.Join(v.Words[:6], " "))
	t.wrap("", strings.Repeat(" ", labelWidth)+strings.Join(v.Words[6:], " "), 0)
	if len(v.Refusals) > 0 {
		t.gap()
		t.say("REFUSED: this intent does not follow from a client's request and the charter.")
		t.say("It cannot be approved. Shown by: %s", strings.Join(v.Sources, ", "))
		writeRefusals(t, 2, v.Refusals)
		return
	}
	t.gap()
	t.field("Client", labelled(canon.Name(v.Client), canon.Text(v.ClientLabel)))
	if v.Requester != "" {
		t.field("Asked by", "treasury desk "+v.Requester+", which moves assets between own wallets only")
	}
	t.field("Account", v.Account)
	t.field("Wallet", labelled(canon.Name(v.Wallet), canon.Text(v.WalletLabel)))
	t.field("Chain", v.Chain)
	t.gap()
	if v.Call != nil {
		writeCall(t, v.Call, v.Totals, v.BookUnknown == "")
	} else {
		writePayments(t, v.Payments, v.Totals, v.BookUnknown == "")
	}
	if v.BookUnknown != "" {
		t.field("Address book", "not known: "+v.BookUnknown+" (see strongroom book list)")
	}
	t.field("Fee", "at most "+v.FeeCap.Amount)
	for _, d := range v.Transactions {
		t.field("Transaction", "fixed, digest "+d)
	}
	if v.TravelRule != "" {
		t.field("Travel rule", v.TravelRule)
	}
	if v.TravelData != "" {
		t.field("Travel data", "came with the request, SHA-256 "+v.TravelData)
	}
	if v.MemoDigest != "" {
		t.field("Memo digest", v.MemoDigest)
	}
	if v.Facts != nil {
		t.gap()
		v.Facts.writeText(t)
	}
	t.gap()
	v.writeDecisions(t)
	t.gap()
	t.field("Withdrawal", v.Withdrawal)
	t.field("Request id", v.RequestID)
	t.field("Known to", strings.Join(v.Sources, ", "))
}

func (v IntentView) writeDecisions(t *text) {
	t.field("Charter", charterText(v.CharterNumber, v.CharterInForce))
	t.field("Rule", v.Rule+": "+v.Quorum)
	for _, d := range v.Duties {
		t.field("", d)
	}
	approved := strings.Join(v.ApprovedBy, ", ")
	if v.QuorumMet {
		approved += " (enough)"
	}
	t.field("Approved by", approved)
	for _, n := range v.NotCounted {
		t.field("Not counted", n.Officer+": "+n.Reason)
	}
	t.field("Rejected by", strings.Join(v.RejectedBy, ", "))
	switch v.Decided {
	case "":
	case "withdrawn":
		t.field("You", "have withdrawn your approval of this")
	default:
		t.field("You", "have "+v.Decided+" this")
	}
	expires := clock(v.ExpireTime) + ", in " + v.ExpiresIn
	if v.ExpiringSoon {
		expires += " (soon)"
	}
	t.field("Expires", expires)
}

// charterText says under which charter something was made.
func charterText(number, inForce uint64) string {
	if number == inForce {
		return fmt.Sprintf("number %d, in force", number)
	}
	return fmt.Sprintf("number %d; number %d is in force, and nothing was loosened since", number, inForce)
}

func writePayments(t *text, payments []PaymentView, totals []AmountView, bookKnown bool) {
	for _, p := range payments {
		t.field("Pays", p.Amount)
		t.field("  to", p.Address)
		writeDestination(t, p, bookKnown)
	}
	if len(payments) > 1 {
		for _, a := range totals {
			t.field("In total", a.Amount)
		}
	}
}

// clock writes a time for people.
func clock(stamp string) string { return strings.NewReplacer("T", " ", "Z", " UTC").Replace(stamp) }

// quorumText says who must approve, for example "2 of treasury, or 1 of board and 1 of risk".
func quorumText(q canon.Quorum) string {
	if len(q.AnyOf) == 0 {
		return "allowed without approval"
	}
	alternatives := make([]string, len(q.AnyOf))
	for i, parts := range q.AnyOf {
		texts := make([]string, len(parts))
		for j, p := range parts {
			texts[j] = fmt.Sprintf("%d of %s", p.Count, p.Group)
		}
		alternatives[i] = strings.Join(texts, " and ")
	}
	return strings.Join(alternatives, ", or ")
}

// InboxView lists intents, oldest first.
type InboxView struct {
	Intents []IntentView `json:"intents"`
	// Amendments are the digests of those that wait to be enacted.
	Amendments  []string          `json:"amendments,omitempty"`
	Unreachable []UnreachableView `json:"unreachable,omitempty"`
}

func (v InboxView) writeText(t *text) {
	if len(v.Intents) == 0 {
		t.say("Nothing waits for approval.")
	}
	for i, p := range v.Intents {
		if i > 0 {
			t.gap()
		}
		writeInboxItem(t, p)
	}
	if len(v.Amendments) > 0 {
		t.gap()
		t.say("Amendments that wait to be enacted: %s. See strongroom amendment list.", len(v.Amendments))
	}
	if len(v.Unreachable) > 0 {
		t.gap()
	}
	writeUnreachable(t, v.Unreachable)
}

// writeInboxItem writes two or three lines: enough to choose, not enough to approve.
func writeInboxItem(t *text, p IntentView) {
	short := p.Digest[:16]
	if len(p.Refusals) > 0 {
		t.say("%s  REFUSED, shown by %s", short, strings.Join(p.Sources, ", "))
		for _, r := range p.Refusals {
			t.say("  %s: %s", r.Rule, r.Field)
		}
		return
	}
	marks := ""
	for _, m := range []struct {
		on   bool
		text string
	}{{p.Decided != "", "  [" + p.Decided + " by you]"}, {len(p.RejectedBy) > 0, "  [rejected]"}, {p.QuorumMet, "  [enough approvals]"}, {p.ExpiringSoon, "  [expires soon]"}} {
		if m.on {
			marks += m.text
		}
	}
	t.say("%s  %s%s", short, headline(p.Call, p.Totals), marks)
	t.say("  for %s, account %s, from %s", labelled(canon.Name(p.Client), canon.Text(p.ClientLabel)), p.Account, p.Wallet)
	for _, pay := range p.Payments {
		if pay.Own != nil {
			t.say("  to own wallet %s, index %s", pay.Own.Wallet, pay.Own.Index)
			continue
		}
		t.say("  to %s", pay.Address)
	}
	if p.Call != nil {
		t.say("  contract %s", p.Call.Contract)
	}
	by := "nobody"
	if len(p.ApprovedBy) > 0 {
		by = strings.Join(p.ApprovedBy, ", ")
	}
	needs := "needs " + p.Quorum + "; approved by " + by
	if !p.needsApproval {
		needs = p.Quorum
	}
	t.say("  %s; expires in %s", needs, p.ExpiresIn)
}
