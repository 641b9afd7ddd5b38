package ceremony

import (
	"bytes"
	"fmt"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Known is who a verifier knows, by their keys: that a transcript's signatures are those of the keys in it says nothing about whose keys these are.
type Known struct {
	keys map[string]bool // SSH wire format
	plan *Plan           // with names; nil for a list of keys
}

const maxKnown = 64 << 10

// LoadKnown reads a ceremony's plan, *.toml, or lines of authorized_keys.
func LoadKnown(path string) (*Known, error) {
	k := &Known{keys: map[string]bool{}}
	if filepath.Ext(path) == ".toml" {
		var err error
		if k.plan, err = LoadPlan(path); err != nil {
			return nil, err
		}
		return k, nil
	}
	rest, err := readAtMost(path, maxKnown)
	if err != nil {
		return nil, err
	}
	for rest = bytes.TrimSpace(rest); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var public ssh.PublicKey
		if public, _, _, rest, err = ssh.ParseAuthorizedKey(rest); err == nil {
			_, err = charter.ParseOfficerKey(public.Marshal())
		}
		if err != nil {
			return nil, refusal.New("encoding", "attendants", "a plan (*.toml) or lines of authorized_keys", err.Error())
		}
		k.keys[string(public.Marshal())] = true
	}
	if len(k.keys) == 0 {
		return nil, refusal.New("encoding", "attendants", "at least 1 key", "none")
	}
	return k, nil
}

// check refuses attendants with other keys than those that are known. A plan says who exactly was to be there, and is the one that they confirmed.
func (k *Known) check(l *refusal.List, t *canon.Transcript) {
	if k.plan == nil {
		for i, a := range t.Present {
			if !k.keys[string(a.Key)] {
				l.Add("transcript", fmt.Sprintf("present[%d].key", i), "a key of the list of attendants", fingerprint(a.Key))
			}
		}
		return
	}
	if len(t.Present) != len(k.plan.people) {
		l.Add("transcript", "present", fmt.Sprintf("the %d attendants of the plan", len(k.plan.people)), fmt.Sprint(len(t.Present)))
	}
	for i, a := range t.Present {
		if i < len(k.plan.people) && (a.Name != k.plan.people[i].Name || !bytes.Equal(a.Key, k.plan.people[i].Key)) {
			l.Add("transcript", fmt.Sprintf("present[%d]", i), fmt.Sprintf("%s with key %s, as in the plan", k.plan.people[i].Name, fingerprint(k.plan.people[i].Key)),
				fmt.Sprintf("%s with key %s", a.Name, fingerprint(a.Key)))
		}
	}
	confirmed := ""
	for _, s := range t.Steps {
		if s.Action == actionPlan {
			confirmed = string(s.Outcome)
		}
	}
	if confirmed != k.plan.digest.String() {
		l.Add("transcript", "steps", "the plan of SHA-256 "+k.plan.digest.String(), confirmed)
	}
}

// fingerprint is a key's SHA-256 as ssh-keygen -l prints it.
func fingerprint(key []byte) string {
	public, err := ssh.ParsePublicKey(key)
	if err != nil {
		return "no SSH key"
	}
	return ssh.FingerprintSHA256(public)
}
