package genesis

import (
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/proto/canon"
)

// Draft compiles the TOML of a charter without asking charter.Lint, for those who say what is wrong with it. It begins with an empty address book.
func Draft(from []byte) (*canon.Genesis, error) {
	g, err := read(from)
	if err != nil {
		return nil, err
	}
	return beginning(g)
}

// beginning gives a genesis an empty address book.
func beginning(g *canon.Genesis) (*canon.Genesis, error) {
	tree, err := book.Build(nil)
	if err != nil {
		return nil, fmt.Errorf("book: %w", err)
	}
	g.Book.Size, g.Book.Root = tree.Size(), tree.Root()
	return g, nil
}

// Overlay compiles the TOML of a charter together with the table policy of another text: rules and bands of allocation there take the place of the
// charter's, groups, limits and calls there are added, or replace those of the same name. Nothing else may stand in that table; other tables of that
// text are passed over. Like Draft it asks no charter.Lint.
func Overlay(from, other []byte) (*canon.Genesis, error) {
	var f file
	if err := decode(from, &f, maxText); err != nil {
		return nil, fmt.Errorf("genesis: %w", err)
	}
	if len(other) > maxText {
		return nil, fmt.Errorf("policy: size: expected at most %d bytes, found %d", maxText, len(other))
	}
	var o struct {
		Policy policyText `toml:"policy"`
	}
	meta, err := toml.Decode(string(other), &o)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	for _, key := range meta.Undecoded() {
		if key[0] == "policy" {
			return nil, fmt.Errorf("policy: %w", &KeyError{Key: key.String()})
		}
	}
	p := o.Policy
	if len(p.Rules) > 0 {
		f.Rules = p.Rules
	}
	f.Groups = overlaid(f.Groups, p.Groups, func(v groupText) canon.Name { return v.Name })
	f.Limits = overlaid(f.Limits, p.Limits, func(v limitText) canon.Name { return v.Name })
	f.Calls = overlaid(f.Calls, p.Calls, func(v callText) canon.Name { return v.Name })
	if len(p.Allocation) > 0 {
		f.Allocation = p.Allocation
	}
	g, err := compiled(f)
	if err != nil {
		return nil, err
	}
	return beginning(g)
}

type policyText struct {
	Rules      []ruleText       `toml:"rules"`
	Groups     []groupText      `toml:"groups"`
	Limits     []limitText      `toml:"limits"`
	Calls      []callText       `toml:"calls"`
	Allocation []allocationText `toml:"allocation"`
}

func overlaid[V any](base, more []V, name func(V) canon.Name) []V {
	for _, v := range more {
		if at := slices.IndexFunc(base, func(b V) bool { return name(b) == name(v) }); at >= 0 {
			base[at] = v
		} else {
			base = append(base, v)
		}
	}
	return base
}
