package charter

import (
	"fmt"

	"github.com/strongroom/strongroom/proto/canon"
)

// smallOrder holds the y coordinates of Ed25519 points of order 1, 2, 4 and 8, canonical and not, little endian without the sign bit.
// Under such a "key" anybody can make signatures: RFC 8032 section 8.9 leaves the check to the application.
var smallOrder = map[canon.PublicKey]bool{
	{}:     true, // 0
	{1}:    true, // 1
	fe(-1): true, // p-1
	fe(0):  true, // p, that is 0
	fe(1):  true, // p+1, that is 1
	{
		0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
		0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
	}: true, // order 8
	{
		0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
		0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
	}: true, // order 8
}

// fe returns p + d for p = 2^255 - 19, little endian, for a small d.
func fe(d int) canon.PublicKey {
	k := canon.PublicKey{31: 0x7f}
	for i := 1; i < 31; i++ {
		k[i] = 0xff
	}
	k[0] = byte(0xed + d)
	return k
}

// owner demands that a key is a key, and that nobody else in the charter has it: not another person, and not the same one for another
// purpose, since a device or an identity must not be able to sign what an officer or a client signs.
func (l *linter) owner(field string, k canon.PublicKey) {
	y := k
	y[31] &= 0x7f
	l.need(!smallOrder[y], "keys", field, "an Ed25519 key of large order", k)
	l.owns(field, "ed25519 "+string(k[:]))
}

func (l *linter) owns(field, material string) {
	l.ownsOf("keys", "a key of its own", field, material)
}

func (l *linter) ownsOf(rule, expected, field, material string) {
	other, taken := l.owners[material]
	l.need(!taken, rule, field, expected, "that of "+other)
	if !taken {
		l.owners[material] = field
	}
}

// signers checks the roster: 2q > n+f, so that any two certificates share an honest member (LIMITS).
func (l *linter) signers() {
	unique(l, "signers", pick(l.Signers, func(s canon.Signer) canon.Name { return s.Name }))
	for _, s := range l.Signers {
		l.owner(at("signers", s.Name)+".identity", s.Identity)
		l.need(s.Operator != canon.Any, "names", at("signers", s.Name)+".operator", "a name of one operator", s.Operator)
	}
	n, q, f := l.x.roster, l.Roster.Quorum, l.Roster.Faults
	l.need(q >= 1 && q <= n, "roster", "roster.quorum", fmt.Sprintf("1 to n=%d signers with a ledger", n), q)
	l.need(f < n, "roster", "roster.faults", fmt.Sprintf("below n=%d signers with a ledger", n), f)
	if q <= n && f < n {
		l.need(2*q > n+f, "roster", "roster.quorum", fmt.Sprintf("2q above n+f=%d", n+f), fmt.Sprintf("q=%d", q))
	}
}

// holders checks each key's threshold, and that no operator can sign alone.
func (l *linter) holders() {
	unique(l, "keys", pick(l.Keys, func(k canon.Key) canon.Name { return k.ID }))
	q, f := l.Roster.Quorum, l.Roster.Faults
	for _, k := range l.Keys {
		field := at("keys", k.ID)
		l.need(k.Threshold > f && k.Threshold <= q, "threshold", field+".threshold", fmt.Sprintf("above f=%d and at most q=%d", f, q), k.Threshold)
		l.need(k.Threshold <= uint64(len(k.Holders)), "threshold", field+".threshold", fmt.Sprintf("at most %d holders", len(k.Holders)), k.Threshold)
		l.need(k.Epoch > 0, "epoch", field+".epoch", "from 1", k.Epoch)
		unique(l, field+".holders", k.Holders)
		shares := map[canon.Name]uint64{}
		for _, h := range k.Holders {
			if refers(l, field+".holders", h, l.x.signers) {
				s := l.x.signers[h]
				l.need(s.Ledger, "holders", field+".holders", "signers with a ledger", h)
				shares[s.Operator]++
				l.need(shares[s.Operator] != k.Threshold, "operators", field+".holders",
					fmt.Sprintf("fewer than t=%d shares with one operator", k.Threshold), fmt.Sprintf("%d with %s", shares[s.Operator], s.Operator))
			}
		}
	}
}

// officers checks persons, their keys and their groups.
func (l *linter) officers() {
	unique(l, "officers", pick(l.Officers, func(o canon.Officer) canon.Name { return o.Name }))
	for _, o := range l.Officers {
		field := at("officers", o.Name)
		l.need(len(o.Keys) > 0, "keys", field+".keys", "at least one key", "none")
		for i, k := range o.Keys {
			l.officerKey(fmt.Sprintf("%s.keys[%d]", field, i), k)
		}
		for i, k := range o.Devices {
			l.owner(fmt.Sprintf("%s.devices[%d]", field, i), k)
		}
	}
	unique(l, "groups", pick(l.Groups, func(g canon.Group) canon.Name { return g.Name }))
	for _, g := range l.Groups {
		field := at("groups", g.Name)
		l.need(len(g.Members) > 0, "groups", field+".members", "at least one officer", "none")
		unique(l, field+".members", g.Members)
		for _, m := range g.Members {
			refers(l, field+".members", m, l.x.officers)
		}
	}
}

func (l *linter) officerKey(field string, k canon.OfficerKey) {
	key, err := ParseOfficerKey(k.Public)
	if err != nil {
		l.Add("keys", field, "an SSH key that officers may have", err.Error())
		return
	}
	// Only sk- keys put the touch under the signature; of any other hardware nobody but its owner knows.
	l.need(k.Class != canon.ClassPresence || presence(key), "keys", field+".class", "2 or 3 unless it is an sk- key", "1 for "+key.Type())
	l.owns(field, material(key))
}

func (l *linter) clients() {
	unique(l, "clients", pick(l.Clients, func(v canon.Client) canon.Name { return v.Name }))
	for _, v := range l.Clients {
		field := at("clients", v.Name)
		l.need(len(v.Keys) > 0, "keys", field+".keys", "at least one key", "none")
		for i, k := range v.Keys {
			l.owner(fmt.Sprintf("%s.keys[%d]", field, i), k)
		}
		for i, k := range v.Devices {
			l.owner(fmt.Sprintf("%s.devices[%d]", field, i), k)
		}
		l.need(!v.Treasury || !v.House, "clients", field+".treasury", "a treasury desk or the house's own assets", "both")
		unique(l, field+".attributes", pick(v.Attributes, func(a canon.ClientAttribute) canon.Name { return a.Name }))
		for _, a := range v.Attributes {
			l.need(a.Name != "" && a.Value != "", "attributes", at(field+".attributes", a.Name), "a name and a value", fmt.Sprintf("%q", a.Value))
		}
	}
}

// others checks coordinators, authorities and recovery keys.
func (l *linter) others() {
	unique(l, "coordinator", pick(l.Coordinator, func(v canon.Coordinator) canon.Name { return v.Name }))
	for _, v := range l.Coordinator {
		l.owner(at("coordinator", v.Name)+".tls", v.TLS)
	}
	unique(l, "authorities", pick(l.Authorities, func(v canon.Authority) canon.Name { return v.Name }))
	for _, v := range l.Authorities {
		l.owner(at("authorities", v.Name)+".key", v.Key)
		l.need(v.MaxAge <= maxSeconds, "duration", at("authorities", v.Name)+".max_age", fmt.Sprintf("at most %d seconds", maxSeconds), v.MaxAge)
	}
	for i, wire := range l.Recovery {
		field := fmt.Sprintf("recovery[%d]", i)
		if key, err := ParseOfficerKey(wire); err != nil {
			l.Add("keys", field, "an SSH key that officers may have", err.Error())
		} else {
			l.owns(field, material(key))
		}
	}
	l.recovery()
}

// recovery demands that recovery keys have no say at all, or one for which several must sign and that takes no less time than officers'.
func (l *linter) recovery() {
	_, taken := l.x.officers[RecoveryOfficer]
	l.need(!taken, "names", at("officers", RecoveryOfficer), "a name that is not reserved", RecoveryOfficer)
	n, delay := l.RecoveryCount, l.Delays.Recovery
	if n == 0 {
		l.need(delay == 0, "duration", "delays.recovery", "none where recovery_count is 0", delay)
		return
	}
	l.need(n >= 2 && n <= uint64(len(l.Recovery)), "quorum", "recovery_count", fmt.Sprintf("0, or 2 to %d, the recovery keys", len(l.Recovery)), n)
	l.seconds("delays.recovery", delay, maxSeconds)
	l.need(delay >= l.Delays.Loosening, "duration", "delays.recovery", fmt.Sprintf("at least that of loosening, %d", l.Delays.Loosening), delay)
}

// statements demands digests that can be those of freezes, each lifted or confirmed and not both.
func (l *linter) statements() {
	seen := map[canon.Digest]string{}
	distinct := func(list, expected string, digests []canon.Digest) {
		for i, d := range digests {
			field := fmt.Sprintf("%s[%d]", list, i)
			l.need(!d.IsZero(), list, field, "the digest of "+expected, "zeros")
			l.need(seen[d] == "", list, field, "distinct digests of "+expected, d.String()+" in "+seen[d]+" too")
			seen[d] = field
		}
	}
	distinct("lifted", "a statement", l.Lifted)
	distinct("confirmed", "a freeze that is not lifted", l.Confirmed)
}

// builds demands digests that can be those of executables.
func (l *linter) builds() {
	seen := map[canon.Digest]bool{}
	for i, d := range l.Builds {
		field := fmt.Sprintf("builds[%d]", i)
		l.need(!d.IsZero(), "builds", field, "the SHA-256 of an executable", "zeros")
		l.need(!seen[d], "builds", field, "distinct executables", d.String()+" twice")
		seen[d] = true
	}
}

// quorum demands that the quorum can be reached, and by no single person.
func (l *linter) quorum(field string, q canon.Quorum) {
	l.need(len(q.AnyOf) > 0, "quorum", field, "at least one alternative", "none")
	for i, parts := range q.AnyOf {
		l.alternative(fmt.Sprintf("%s[%d]", field, i), parts)
	}
}

func (l *linter) alternative(field string, parts []canon.Part) {
	unique(l, field, pick(parts, func(p canon.Part) canon.Name { return p.Group }))
	var counts []uint64
	var eligible [][]canon.Name
	var persons uint64
	for _, p := range parts {
		if !refers(l, field, p.Group, l.x.groups) {
			return
		}
		members := l.voters(l.x.groups[p.Group])
		if p.Count < 1 || p.Count > uint64(len(members)) {
			l.Add("quorum", at(field, p.Group), fmt.Sprintf("1 to %d, the members with a key of the group's class", len(members)), fmt.Sprint(p.Count))
			return
		}
		counts, eligible, persons = append(counts, p.Count), append(eligible, members), persons+p.Count
	}
	l.need(persons >= 2, "quorum", field, "at least 2 distinct persons", persons)
	l.need(Assign(counts, eligible), "quorum", field, "parts that distinct persons can fill", "too few persons in its groups together")
}

// voters returns the group's distinct members with a key of a class that counts in it.
func (l *linter) voters(g canon.Group) []canon.Name {
	var out []canon.Name
	seen := map[canon.Name]bool{}
	for _, m := range g.Members {
		for _, k := range l.x.officers[m].Keys {
			if k.Class <= g.Weakest && !seen[m] {
				seen[m] = true
				out = append(out, m)
			}
		}
	}
	return out
}
