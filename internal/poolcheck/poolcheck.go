package poolcheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Directory is where the files of pools are. It keeps what it read.
type Directory struct {
	path string
	find func(canon.Digest) (*keyset.Pool, error)
}

// In returns the directory of a path; the empty path is no directory, where no pool is.
func In(path string) *Directory { return &Directory{path: path, find: config.Pools(path)} }

// Result is what is known of the pool of one wallet.
type Result struct {
	Wallet   canon.Name
	Pool     canon.Digest
	Previous *canon.Digest     // pool that the wallet has in the charter before, if that is another
	New      bool              // no charter before has the wallet
	Document *canon.KeyPool    // nil if the pool is not here, or is none
	Compared bool              // it has all keys of Previous
	Missing  []canon.Name      // accounts of the wallet that it has no keys for
	Unknown  []string          // what could not be checked, and why
	Refused  []refusal.Failure // why nobody should agree to it
}

// Check returns what is known of the pools that people decide about when they agree to a charter: those of wallets that are new, or whose pool, devices,
// class of keys or accounts are other ones than in the charter before; nil before a genesis. A wallet that is as it was is left out: its device's signer may
// have another identity by now, which strands no assets.
func (d *Directory) Check(before, next *charter.Charter) []Result {
	var out []Result
	for _, w := range next.Genesis().Wallets {
		var old canon.Wallet
		had := false
		if before != nil {
			old, had = before.Wallet(w.Name)
		}
		same := had && sameKeys(old, w)
		if len(w.Pool) != len(canon.Digest{}) || same && slices.Equal(old.Accounts, w.Accounts) {
			continue
		}
		r := Result{Wallet: w.Name, Pool: canon.Digest(w.Pool), New: !had}
		if had && len(old.Pool) == len(canon.Digest{}) && !slices.Equal(old.Pool, w.Pool) {
			previous := canon.Digest(old.Pool)
			r.Previous = &previous
		}
		d.fill(&r, w, next, same)
		out = append(out, r)
	}
	return out
}

// sameKeys reports whether two charters' entries of a wallet ask the same of its pool, but for its accounts.
func sameKeys(a, b canon.Wallet) bool {
	return slices.Equal(a.Pool, b.Pool) && a.Chain == b.Chain && a.Scheme == b.Scheme && a.Backup == b.Backup && a.SingleDevice == b.SingleDevice &&
		slices.EqualFunc(a.Devices, b.Devices, func(x, y canon.Device) bool { return x.Signer == y.Signer })
}

// fill reads the pool and holds it against the charter, unless the entry is the same but for accounts, and against the pool before.
func (d *Directory) fill(r *Result, w canon.Wallet, next *charter.Charter, same bool) {
	pool, why, err := d.read(r.Pool)
	if pool == nil {
		r.unread(fmt.Sprintf("pool %s not checked", r.Pool), why, err)
		return
	}
	r.Document, r.Missing = pool.Document(), next.MissingFrom(w, pool.Document())
	if !same {
		r.refuse(next.CheckPool(w, pool.Document()))
	}
	if r.Previous == nil {
		return
	}
	old, why, err := d.read(*r.Previous)
	if old == nil {
		r.unread(fmt.Sprintf("pool %s not held against the one before, %s", r.Pool, *r.Previous), why, err)
		return
	}
	err = keyset.Extends(old, pool, w.Scheme)
	r.Compared = err == nil
	r.refuse(err)
}

// read returns a pool; without its file none, and why; else the error.
func (d *Directory) read(digest canon.Digest) (pool *keyset.Pool, why string, err error) {
	name := config.PoolFile(digest)
	if d.path == "" {
		return nil, "no directory of pools is given", nil
	}
	if _, err := os.Stat(filepath.Join(d.path, name)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Sprintf("no file %s in %s", name, d.path), nil
	}
	pool, err = d.find(digest)
	return pool, "", err
}

// unread notes a pool that is not here, or refuses one that cannot be read.
func (r *Result) unread(what, why string, err error) {
	if err != nil {
		r.refuse(err)
		return
	}
	r.Unknown = append(r.Unknown, what+": "+why)
}

func (r *Result) refuse(err error) {
	if err == nil {
		return
	}
	failures := []refusal.Failure{{Rule: "pool", Field: "pool", Expected: "a file that can be read", Found: err.Error()}}
	if known := refusal.Of(err); known != nil {
		failures = slices.Clone(known.Failures)
	}
	for _, f := range failures {
		f.Field = fmt.Sprintf("wallet %s, pool %s: %s", r.Wallet, r.Pool, f.Field)
		r.Refused = append(r.Refused, f)
	}
}

// Checked reports whether nothing was left unchecked and nothing refused.
func (r Result) Checked() bool { return len(r.Unknown) == 0 && len(r.Refused) == 0 }

// Words says in one line what was found, if there was a pool to look at and it is not refused.
func (r Result) Words() string {
	p := r.Document
	if p == nil || len(r.Refused) > 0 {
		return ""
	}
	devices := make([]string, len(p.Devices))
	keys := 0
	for i, d := range p.Devices {
		devices[i] = string(d.Signer)
		keys += len(d.Keys)
	}
	words := fmt.Sprintf("%s: pool %s checked: %d keys of %s, backup %s", r.Wallet, r.Pool, keys, strings.Join(devices, ", "),
		map[bool]string{true: "wrap", false: "none"}[p.Devices[0].Backup == canon.BackupWrap])
	if slices.ContainsFunc(p.Devices, func(d canon.PoolDevice) bool { return d.Attended }) {
		words += ", a PIN for every signature"
	}
	switch {
	case r.New:
		words += "; a new wallet"
	case r.Compared:
		words += fmt.Sprintf("; has all keys of the pool before, %s", *r.Previous)
	case r.Previous == nil:
		words += "; the pool that the wallet had"
	}
	return words
}

// Warnings are what whoever agrees must have seen, a line each.
func (r Result) Warnings() (out []string) {
	for _, u := range r.Unknown {
		out = append(out, fmt.Sprintf("%s: %s", r.Wallet, u))
	}
	if len(r.Missing) > 0 {
		list := make([]string, len(r.Missing))
		for i, n := range r.Missing {
			list[i] = string(n)
		}
		out = append(out, fmt.Sprintf("%s: pool %s has no keys for %s: no addresses there until another pool has them", r.Wallet, r.Pool, strings.Join(list, ", ")))
	}
	return out
}

// Refused returns what is refused of all pools, as a *refusal.Refusal, or nil.
func Refused(results []Result) error {
	var l refusal.List
	for _, r := range results {
		for _, f := range r.Refused {
			l.Add(f.Rule, f.Field, f.Expected, f.Found)
		}
	}
	return l.Err()
}
