package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Kinds of finding.
const (
	Broken          = "broken"           // charter.Lint refuses the charter
	Unreachable     = "unreachable"      // earlier rules decide all that the rule matches
	Shadowed        = "shadowed"         // earlier rules decide all that the rule matches of one name in it
	Nothing         = "matches-none"     // nothing can match the rule, or one name in it
	DeniesAll       = "denies-all"       // a denial decides all that the rules behind it match
	DeniesUpTo      = "denies-up-to"     // a denial is passed by with a larger amount, which a rule behind it lets through
	AboveLimit      = "above-limit"      // the amount is more than a limit of the rule ever lets through
	IdleLimit       = "idle-limit"       // the rule draws on a limit that nothing it matches is in the scope of
	UnusedLimit     = "unused-limit"     // no rule draws on it
	UnusedGroup     = "unused-group"     // in no quorum
	UnusedCall      = "unused-call"      // in no rule
	UnusedWallet    = "unused-wallet"    // no rule lets anything out of it
	Redundant       = "redundant"        // an alternative of a quorum that another makes needless
	NoSpare         = "no-spare"         // everybody who counts in a group must approve: one lost key stops it
	LongExpiry      = "long-expiry"      // an intent, or a reservation, stays good for very long
	NeverOpen       = "never-open"       // hours or dates of a rule that lie outside each other, or outside the charter
	Constant        = "constant"         // an expression that is always the same
	NoMoneyLimit    = "no-money-limit"   // lets through by value, and no limit counts money
	UnusedAuthority = "unused-authority" // nobody asks it for anything
	LaxAllocation   = "lax-allocation"   // a band laxer than every profile, or an asset of clients without one
	SingleDevice    = "single-device"    // one token and its PIN are all the money of a wallet
	HotTokens       = "hot-tokens"       // tokens alone sign for a wallet, on the network
	OnlyAttested    = "only-attested"    // tokens attest, and the chain does not ask for it
	NoSpareToken    = "no-spare-token"   // one lost token loses what lies on a wallet's addresses
	LeavesToken     = "leaves-token"     // keys may leave their token, wrapped
	RecoveryKey     = "recovery-key"     // a token and a recovery key spend without the MPC key
	SharedOperator  = "shared-operator"  // one operator has a token and a share of the MPC key next to it
	ColdOnline      = "cold-online"      // one signer's tokens sign for a cold wallet, and for one that is not
	TooLarge        = "too-large"        // the lists are so long that what rules leave to each other is not worked out
)

// Longest times about which nothing is said, in seconds: a request that a client forgot should not be signed weeks later, at another price and to
// a payee who may be gone, and a reservation keeps coins set aside as long as it can be signed.
const (
	longExpiry  = 7 * 24 * 3600
	longSigning = 24 * 3600
)

// Finding is something that a person should look at.
type Finding struct {
	Kind  string
	Rule  canon.Name // the rule that it is about; none for groups, limits and calls
	Field string     // path in a genesis with indices, for example "rules[2].amounts[0]"
	Words string
}

// Check returns what there is to say about the rules and wallets of a genesis that charter.Lint passed, in the order of its lists.
func Check(g *canon.Genesis) []Finding {
	l := newLinter(g)
	if l.large {
		l.add(TooLarge, "", "rules", "rules, accounts, wallets and assets make more than %d combinations: what rules leave to each other was not worked out", maxCells)
	}
	for i := range g.Rules {
		if !l.large {
			l.reach(i)
			l.denial(i)
			l.drawn(i)
		}
		l.times(i)
		l.conditions(i)
		if g.Rules[i].Action == canon.ActionApprove {
			l.quorum(g.Rules[i].Name, fmt.Sprintf("rules[%d].quorum.any_of", i), g.Rules[i].Quorum)
		}
	}
	l.quorum("", "amendment.any_of", g.Amendment)
	l.quorum("", "book.quorum.any_of", g.Book.Quorum)
	l.unused()
	l.authorities()
	l.allocation()
	l.devices()
	return l.findings
}

// Refused returns the failures of charter.Lint as findings, and nil for any other error.
func Refused(g *canon.Genesis, err error) []Finding {
	r := refusal.Of(err)
	if r == nil {
		return nil
	}
	out := make([]Finding, len(r.Failures))
	for i, f := range r.Failures {
		field, rule := place(g, f.Field)
		out[i] = Finding{Kind: Broken, Rule: rule, Field: field, Words: fmt.Sprintf("%s: expected %s, found %s", f.Rule, f.Expected, f.Found)}
	}
	return out
}

var named = regexp.MustCompile(`^([a-z_]+)\[([^\]]+)\](.*)$`)

// place turns a field as charter.Lint writes it, with names, into one with indices: "rules[small].quorum[0]" is "rules[1].quorum.any_of[0]".
func place(g *canon.Genesis, field string) (path string, rule canon.Name) {
	m := named.FindStringSubmatch(field)
	if m == nil {
		return elementPath(quorumPath(field)), ""
	}
	at := slices.IndexFunc(namesOf(g, m[1]), func(n string) bool { return n == m[2] })
	if at < 0 {
		return elementPath(quorumPath(field)), ""
	}
	if m[1] == "rules" {
		rule = canon.Name(m[2])
	}
	return fmt.Sprintf("%s[%d]%s", m[1], at, elementPath(quorumPath(m[3]))), rule
}

// elementPath cuts a path off before an element that it names, as in ".amounts[eip155:1/slip44:60]": the list is near enough.
func elementPath(rest string) string {
	for i := range len(rest) {
		if rest[i] == '[' && i+1 < len(rest) && (rest[i+1] < '0' || rest[i+1] > '9') {
			return rest[:i]
		}
	}
	return rest
}

// quorumPath writes alternatives as they stand in a charter's text.
func quorumPath(field string) string {
	for _, q := range []string{".quorum[", "amendment["} {
		if i := strings.Index(field, q); i >= 0 {
			cut := i + len(q) - 1
			return field[:cut] + ".any_of" + field[cut:]
		}
	}
	return field
}

func namesOf(g *canon.Genesis, list string) []string {
	switch list {
	case "rules":
		return pick(g.Rules, func(v canon.Rule) string { return string(v.Name) })
	case "limits":
		return pick(g.Limits, func(v canon.Limit) string { return string(v.Name) })
	case "calls":
		return pick(g.Calls, func(v canon.CallRule) string { return string(v.Name) })
	case "prices":
		return pick(g.Prices, func(v canon.PriceSource) string { return string(v.Asset) + " " + string(v.Currency) })
	case "groups":
		return pick(g.Groups, func(v canon.Group) string { return string(v.Name) })
	case "wallets":
		return pick(g.Wallets, func(v canon.Wallet) string { return string(v.Name) })
	case "officers":
		return pick(g.Officers, func(v canon.Officer) string { return string(v.Name) })
	case "clients":
		return pick(g.Clients, func(v canon.Client) string { return string(v.Name) })
	case "accounts":
		return pick(g.Accounts, func(v canon.Account) string { return string(v.Name) })
	case "assets":
		return pick(g.Assets, func(v canon.Asset) string { return string(v.ID) })
	case "chains":
		return pick(g.Chains, func(v canon.Chain) string { return string(v.ID) })
	case "signers":
		return pick(g.Signers, func(v canon.Signer) string { return string(v.Name) })
	case "keys":
		return pick(g.Keys, func(v canon.Key) string { return string(v.ID) })
	}
	return nil
}

func pick[V any](list []V, name func(V) string) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = name(v)
	}
	return out
}

// linter collects findings.
type linter struct {
	*canon.Genesis
	pairs    []pair
	cells    [][]cell // of each rule
	by       [][]int  // of each rule's cells: the first rule that decides all of it, or -1
	large    bool     // the cells are too many, and not there
	findings []Finding
}

func (l *linter) add(kind string, rule canon.Name, field, format string, args ...any) {
	l.findings = append(l.findings, Finding{Kind: kind, Rule: rule, Field: field, Words: fmt.Sprintf(format, args...)})
}

func (l *linter) times(i int) {
	r := l.Rules[i]
	if r.Action == canon.ActionDeny {
		return
	}
	if r.Expiry > longExpiry {
		l.add(LongExpiry, r.Name, fmt.Sprintf("rules[%d].expiry", i), "an intent can be approved and signed for %d days; more than %d is long", r.Expiry/86400, longExpiry/86400)
	}
	if r.Signing > longSigning {
		l.add(LongExpiry, r.Name, fmt.Sprintf("rules[%d].signing", i), "a reservation keeps coins or a nonce, and its share of limits, for %d hours; more than %d is long", r.Signing/3600, longSigning/3600)
	}
}

// unused looks for what nothing refers to.
func (l *linter) unused() {
	groups, limits, calls, wallets := map[canon.Name]bool{}, map[canon.Name]bool{}, map[canon.Name]bool{}, map[int]bool{}
	quorums := []canon.Quorum{l.Amendment, l.Book.Quorum}
	for i, r := range l.Rules {
		quorums = append(quorums, r.Quorum)
		for _, n := range r.Limits {
			limits[n] = true
		}
		for _, c := range l.Calls {
			calls[c.Name] = calls[c.Name] || charter.Covers(r.Calls, c.Name)
		}
		for _, c := range l.cells[i] {
			wallets[l.pairs[c.pair].wallet] = wallets[l.pairs[c.pair].wallet] || r.Action != canon.ActionDeny
		}
	}
	for _, q := range quorums {
		for _, parts := range q.AnyOf {
			for _, p := range parts {
				groups[p.Group] = true
			}
		}
	}
	for i, v := range l.Groups {
		if !groups[v.Name] {
			l.add(UnusedGroup, "", fmt.Sprintf("groups[%d]", i), "group %s is in no quorum", v.Name)
		}
	}
	for i, v := range l.Wallets {
		if !wallets[i] && !l.large {
			l.add(UnusedWallet, "", fmt.Sprintf("wallets[%d]", i), "no rule lets anything out of wallet %s", v.Name)
		}
	}
	for i, v := range l.Limits {
		if !limits[v.Name] {
			l.add(UnusedLimit, "", fmt.Sprintf("limits[%d]", i), "no rule draws on limit %s, so it limits nothing", v.Name)
		}
	}
	for i, v := range l.Calls {
		if !calls[v.Name] {
			l.add(UnusedCall, "", fmt.Sprintf("calls[%d]", i), "no rule names contract call %s, so nobody can make it", v.Name)
		}
	}
}
