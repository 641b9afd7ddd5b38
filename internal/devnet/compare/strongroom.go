package main

import (
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/policy"
	"github.com/strongroom/strongroom/policy/book"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/policy/charter/chartertest"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

func strongroomOf(rules []rule) (engine, error) {
	e, _, err := strongroomRead(rules)
	return e, err
}

// strongroomRead opens a charter with the rules, and returns a second way to ask, by which the reasons of a denial are read too. Charters have at most 256
// rules; to see how the cost grows beyond, the rest is put behind the charter's back.
func strongroomRead(rules []rule) (e engine, read func(request) func() (bool, error), err error) {
	c, err := opened(chartertest.Genesis())
	if err != nil {
		return e, nil, err
	}
	like := c.Genesis().Rules[1]
	list := make([]canon.Rule, len(rules))
	for i, r := range rules {
		v := like
		v.Name, v.Clients, v.Accounts, v.Wallets = canon.Name(fmt.Sprintf("rule-%d", i)), []canon.Name{canon.Name(r.client)}, []canon.Name{canon.Any}, []canon.Name{canon.Name(r.wallet)}
		v.To = []canon.Target{{Kind: canon.TargetBook, Name: canon.Name(r.group)}}
		v.Amounts = []canon.AssetAmount{{Asset: chartertest.BTC, Amount: amount(r.most)}}
		if r.deny {
			v.Action = canon.ActionDeny
		}
		list[i] = v
	}
	c.Genesis().Rules = list
	ask := func(r request, also func(policy.Verdict) error) func() (bool, error) {
		facts := factsOf(r)
		return func() (bool, error) {
			v := policy.Decide(c, facts)
			return v.Action == canon.ActionAllow, also(v)
		}
	}
	e = engine{name: "Strongroom", prepare: func(r request) func() (bool, error) { return ask(r, func(policy.Verdict) error { return nil }) }}
	return e, func(r request) func() (bool, error) {
		return ask(r, func(v policy.Verdict) error {
			if v.Action == canon.ActionDeny && refusal.Of(v.Explanation) == nil {
				return errors.New("expected the reasons of a denial, found none")
			}
			return nil
		})
	}, nil
}

func factsOf(r request) policy.Facts {
	return policy.Facts{
		Request: &canon.Request{
			Client: canon.Name(r.client), Account: "acme-main", Wallet: canon.Name(r.wallet), Chain: chartertest.Bitcoin, NotBefore: 1_000_000, NotAfter: 1_003_600,
			Outputs: []canon.Output{{Address: payee(0), Asset: chartertest.BTC, Amount: amount(r.amount)}},
		},
		Destinations: []canon.Destination{{Groups: []canon.Name{canon.Name(r.group)}}},
	}
}

func opened(g canon.Genesis) (*charter.Charter, error) {
	b, d, err := canon.Seal(g)
	if err != nil {
		return nil, err
	}
	return charter.Open(b, d)
}

// payee is a payment script of version 0 for a hash.
func payee(i int) []byte {
	return append([]byte{0, 20}, []byte(fmt.Sprintf("%020d", i))...)
}

// withBook answers a request as a signer does that holds the payee against a book of n entries: proof first, then the rules on the groups proven.
func withBook(n int) (func() (bool, error), error) {
	entries := make([]canon.BookEntry, n)
	for i := range entries {
		entries[i] = canon.BookEntry{Chain: chartertest.Bitcoin, Address: payee(i), Client: "acme", Account: canon.Any, Groups: []canon.Name{"exchanges"}}
	}
	tree, err := book.Build(entries)
	if err != nil {
		return nil, err
	}
	g := chartertest.Genesis()
	g.Book.Size, g.Book.Root = tree.Size(), tree.Root()
	c, err := opened(g)
	if err != nil {
		return nil, err
	}
	r := request{client: "acme", wallet: "btc-hot", amount: 1_000_000}
	i := 0
	return func() (bool, error) {
		i++
		address := payee(i * 7919 % n)
		proof, ok := tree.Prove(chartertest.Bitcoin, address, "acme")
		if !ok {
			return false, fmt.Errorf("no proof of payee %d", i)
		}
		entry, err := book.Of(c).Check(c, proof)
		if err != nil {
			return false, err
		}
		f := factsOf(r)
		f.Request.Outputs[0].Address, f.Destinations[0].Groups = address, entry.Groups
		return policy.Decide(c, f).Action == canon.ActionAllow, nil
	}, nil
}
