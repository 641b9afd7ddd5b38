package charter

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// Bounds on the lists of a charter. They lie far above what an organisation needs, and keep what Lint and Compare cost small: the work
// that some checks do grows with the product of several lists.
const (
	maxAlternatives = 16   // of a quorum
	maxParts        = 16   // of an alternative
	maxKeys         = 16   // of one person or client, and devices as many
	maxSigners      = 64   // and coordinators, authorities, recovery keys, groups, chains and keys as many
	maxOfficers     = 256  // and assets, wallets, limits, rules and calls as many
	maxClients      = 1024 // and accounts as many
	maxLifted       = 4096 // grows by one with each freeze that is lifted; confirmed ones as many
	maxBuilds       = 64   // and values of an argument of a call as many
	maxArguments    = 16   // of a call
	maxConditions   = 16   // of one kind in a rule: hours, attributes, holds, clearances
	maxExpressions  = 512  // of all rules together: each takes time to compile
	maxPairings     = 1 << 26
)

// size demands lists of bounded length, and a bounded number of pairings of assets, clients, wallets and limits that bounded looks at. All
// that follows in Lint relies on it.
func (l *linter) size() {
	l.most("signers", len(l.Signers), maxSigners)
	l.most("coordinator", len(l.Coordinator), maxSigners)
	l.most("authorities", len(l.Authorities), maxSigners)
	l.most("recovery", len(l.Recovery), maxSigners)
	l.most("chains", len(l.Chains), maxSigners)
	l.most("keys", len(l.Keys), maxSigners)
	l.most("groups", len(l.Groups), maxSigners)
	l.most("officers", len(l.Officers), maxOfficers)
	l.most("assets", len(l.Assets), maxOfficers)
	l.most("wallets", len(l.Wallets), maxOfficers)
	l.most("limits", len(l.Limits), maxOfficers)
	l.most("rules", len(l.Rules), maxOfficers)
	l.most("allocation", len(l.Allocation), maxOfficers)
	l.most("clients", len(l.Clients), maxClients)
	l.most("accounts", len(l.Accounts), maxClients)
	l.most("lifted", len(l.Lifted), maxLifted)
	l.most("confirmed", len(l.Confirmed), maxLifted)
	l.most("builds", len(l.Builds), maxBuilds)
	l.most("calls", len(l.Calls), maxOfficers)
	l.most("prices", len(l.Prices), maxClients)
	l.sizeOfCalls()
	l.sizeOfEntries()
	l.sizeOfQuorum("amendment", l.Amendment)
	l.sizeOfQuorum("book.quorum", l.Book.Quorum)
	l.sizeOfRules()
}

func (l *linter) most(field string, found, most int) {
	l.need(found <= most, "size", field, fmt.Sprintf("at most %d", most), found)
}

func (l *linter) sizeOfEntries() {
	for _, k := range l.Keys {
		l.most(at("keys", k.ID)+".holders", len(k.Holders), maxSigners)
	}
	for _, g := range l.Groups {
		l.most(at("groups", g.Name)+".members", len(g.Members), maxOfficers)
	}
	for _, o := range l.Officers {
		l.most(at("officers", o.Name)+".keys", len(o.Keys), maxKeys)
		l.most(at("officers", o.Name)+".devices", len(o.Devices), maxKeys)
	}
	for _, c := range l.Clients {
		l.most(at("clients", c.Name)+".keys", len(c.Keys), maxKeys)
		l.most(at("clients", c.Name)+".devices", len(c.Devices), maxKeys)
	}
	for _, c := range l.Clients {
		l.most(at("clients", c.Name)+".attributes", len(c.Attributes), maxSigners)
	}
	for _, p := range l.Prices {
		l.most(at("prices", p.Asset)+".authorities", len(p.Authorities), maxSigners)
	}
	for _, w := range l.Wallets {
		l.most(at("wallets", w.Name)+".accounts", len(w.Accounts), maxClients)
		l.most(at("wallets", w.Name)+".devices", len(w.Devices), canon.MaxDevices)
	}
	for _, v := range l.Limits {
		l.most(at("limits", v.Name)+".clients", len(v.Clients), maxClients)
		l.most(at("limits", v.Name)+".wallets", len(v.Wallets), maxOfficers)
		l.most(at("limits", v.Name)+".accounts", len(v.Accounts), maxClients)
		l.most(at("limits", v.Name)+".tiers", len(v.Tiers), int(canon.Cold))
		l.most(at("limits", v.Name)+".to", len(v.To), maxOfficers)
	}
}

func (l *linter) sizeOfCalls() {
	for _, r := range l.Calls {
		field := at("calls", r.Name)
		l.most(field+".arguments", len(r.Arguments), maxArguments)
		for i, a := range r.Arguments {
			l.most(fmt.Sprintf("%s.arguments[%d].values", field, i), len(a.Values), maxBuilds)
		}
	}
}

func (l *linter) sizeOfQuorum(field string, q canon.Quorum) {
	l.most(field, len(q.AnyOf), maxAlternatives)
	for i, parts := range q.AnyOf {
		l.most(fmt.Sprintf("%s[%d]", field, i), len(parts), maxParts)
	}
}

func (l *linter) sizeOfConditions(field string, r canon.Rule) {
	l.most(field+".to", len(r.To), maxOfficers)
	l.most(field+".above", len(r.Above), maxOfficers)
	l.most(field+".tiers", len(r.Tiers), int(canon.Cold))
	l.most(field+".hours", len(r.Hours), maxConditions)
	l.most(field+".attributes", len(r.Attributes), maxConditions)
	for _, a := range r.Attributes {
		l.most(at(field+".attributes", a.Name)+".values", len(a.Values), maxBuilds)
	}
	l.most(field+".clearances", len(r.Clearances), maxConditions)
	l.most(field+".holds", len(r.Holds), maxConditions)
}

func (l *linter) sizeOfRules() {
	pairings, expressions := 0, 0
	for _, r := range l.Rules {
		if expressions += len(r.Holds); r.When != "" {
			expressions++
		}
		field := at("rules", r.Name)
		l.most(field+".clients", len(r.Clients), maxClients)
		l.most(field+".accounts", len(r.Accounts), maxClients)
		l.most(field+".wallets", len(r.Wallets), maxOfficers)
		l.most(field+".amounts", len(r.Amounts), maxOfficers)
		l.most(field+".fee_caps", len(r.FeeCaps), maxOfficers)
		l.most(field+".limits", len(r.Limits), maxOfficers)
		l.most(field+".calls", len(r.Calls), maxOfficers)
		l.sizeOfConditions(field, r)
		l.sizeOfQuorum(field+".quorum", r.Quorum)
		clients, wallets := len(r.Clients), len(r.Wallets)
		if isAny(r.Clients) {
			clients = len(l.Clients)
		}
		if isAny(r.Wallets) {
			wallets = len(l.Wallets)
		}
		assets := len(r.Amounts)
		if len(r.Calls) > 0 {
			assets += len(l.Chains) // whose coins pay for calls
		}
		pairings += assets * clients * wallets * len(r.Limits)
	}
	l.need(expressions <= maxExpressions, "size", "rules", fmt.Sprintf("at most %d expressions in when and holds", maxExpressions), expressions)
	l.need(pairings <= maxPairings, "size", "rules", fmt.Sprintf("at most %d pairings of asset, client, wallet and limit", maxPairings), pairings)
}
