package charter

import (
	"crypto/sha256"
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// maxSeconds bounds every duration in a charter, ten years, so that no sum of times overflows.
const maxSeconds = 10 * 366 * 24 * 3600

// Names that verdicts use for denials without a rule; no rule may have them.
const (
	RuleDefaultDeny  = "default-deny"
	RuleContractCall = "contract-call"
	RuleOutputs      = "outputs"
)

// linter collects the broken rules of one genesis.
type linter struct {
	*canon.Genesis
	x index
	refusal.List
	owners map[string]string // key material -> field that has it
}

// Lint names every rule that the genesis breaks: size, and if that is kept form, names and references, roster and thresholds, persons and their keys, quorums,
// chains, assets and wallets, price sources and allocation, rules, limits and contract calls, the address book. The error is a *refusal.Refusal.
func Lint(g canon.Genesis) error {
	l := &linter{Genesis: &g, x: newIndex(&g), owners: map[string]string{}}
	if l.size(); l.Err() != nil {
		return l.Err()
	}
	_, err := canon.Encode(g)
	l.Join("form", "genesis", err)
	l.validity()
	l.signers()
	l.holders()
	l.officers()
	l.clients()
	l.others()
	l.statements()
	l.builds()
	l.chains()
	l.assets()
	l.accounts()
	l.wallets()
	l.sharedKeys()
	l.priceSources()
	l.allocation()
	l.limits()
	l.calls()
	l.rules()
	l.quorum("amendment", g.Amendment)
	l.quorum("book.quorum", g.Book.Quorum)
	l.book()
	return l.Err()
}

// need notes a broken rule unless ok.
func (l *linter) need(ok bool, rule, field, expected string, found any) {
	if !ok {
		l.Add(rule, field, expected, fmt.Sprint(found))
	}
}

// at returns the path of an entry of a list, by name, as people know it.
func at[N ~string](list string, name N) string { return list + "[" + string(name) + "]" }

// unique demands that names of one list are distinct and none is Any.
func unique[N ~string](l *linter, list string, names []N) {
	seen := map[N]bool{}
	for _, n := range names {
		l.need(string(n) != string(canon.Any), "names", list, "a name of one thing", n)
		l.need(!seen[n], "names", list, "distinct names", string(n)+" twice")
		seen[n] = true
	}
}

// pick returns the names of a list's entries.
func pick[V any, N ~string](list []V, name func(V) N) []N {
	names := make([]N, len(list))
	for i, v := range list {
		names[i] = name(v)
	}
	return names
}

// scope demands that list is Any alone, or at least one of distinct known names.
func scope[V any](l *linter, field string, list []canon.Name, known map[canon.Name]V) {
	if isAny(list) {
		return
	}
	l.need(len(list) > 0, "scope", field, "* alone or at least one name", "none")
	unique(l, field, list)
	for _, n := range list {
		_, ok := known[n]
		l.need(ok || n == canon.Any, "references", field, "a name that the charter defines", n)
	}
}

func isAny(list []canon.Name) bool { return len(list) == 1 && list[0] == canon.Any }

// refers demands that the name is one that the charter defines.
func refers[K ~string, V any](l *linter, field string, name K, known map[K]V) bool {
	_, ok := known[name]
	l.need(ok, "references", field, "a name that the charter defines", name)
	return ok
}

func (l *linter) validity() {
	l.need(l.NotBefore < l.NotAfter, "validity", "not_after", fmt.Sprintf("after not_before %d", l.NotBefore), l.NotAfter)
	l.need(!l.Salt.IsZero(), "salt", "salt", "32 random bytes", "zeros")
	d := l.Delays
	l.seconds("delays.loosening", d.Loosening, maxSeconds)
	l.seconds("delays.unfreeze", d.Unfreeze, maxSeconds)
	l.seconds("delays.freeze_lapse", d.FreezeLapse, maxSeconds)
	l.seconds("delays.book_cooldown", d.BookCooldown, maxSeconds)
	l.seconds("delays.clock_skew", d.ClockSkew, 3600)
	if len(l.Allocation) > 0 || d.Balances > 0 {
		l.seconds("delays.balances", d.Balances, maxSeconds)
	}
}

// seconds demands a duration from one second up to most.
func (l *linter) seconds(field string, found, most uint64) {
	l.need(found > 0 && found <= most, "duration", field, fmt.Sprintf("1 to %d seconds", most), found)
}

// book demands that size and root fit together. The entries themselves are checked when a proof shows one.
func (l *linter) book() {
	b := l.Book
	l.need(b.Serial > 0, "book", "book.serial", "from 1", b.Serial)
	l.need(b.Size <= MaxBook, "book", "book.size", fmt.Sprintf("at most %d", uint64(MaxBook)), b.Size)
	empty := canon.Digest(sha256.Sum256(nil)) // RFC 6962 section 2.1
	l.need((b.Size == 0) == (b.Root == empty), "book", "book.root", "SHA-256 of nothing for size 0, else another", b.Root)
	l.need(!b.Root.IsZero(), "book", "book.root", "the root of a tree", b.Root)
}
