package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/policy/charter"
	"github.com/strongroom/strongroom/proto/canon"
)

// revocations are the keys that officers said are theirs no longer. It is safe for concurrent use.
type revocations struct {
	store store.Statements

	mu  sync.RWMutex
	set *approval.Set
	by  map[canon.Digest]canon.Signed // by the key that is revoked
}

func openRevocations(ctx context.Context, stored store.Statements) (*revocations, error) {
	list, err := stored.Statements(ctx)
	if err != nil {
		return nil, err
	}
	v := &revocations{store: stored, set: approval.NewSet(), by: map[canon.Digest]canon.Signed{}}
	for _, st := range list {
		if err := v.include(st.Signed, st.Time); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// include takes a stored statement in. The caller holds mu, or nobody else has v yet.
func (v *revocations) include(signed canon.Signed, at time.Time) error {
	var st canon.Statement
	if err := canon.Decode(signed.Document, &st); err != nil {
		return err
	}
	if _, err := v.set.Add(signed, canon.TimeOf(at)); err != nil {
		return err
	}
	if _, known := v.by[st.Object]; !known {
		v.by[st.Object] = signed
	}
	return nil
}

// add stores a verified revocation, and reports whether the key was not revoked before: another one of the same key says nothing new and
// is not kept.
func (v *revocations) add(ctx context.Context, st *approval.Statement, at time.Time) (bool, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.set.Revoked(st.Object) {
		return false, nil
	}
	if err := v.set.Admit(st); err != nil {
		return false, err
	}
	if _, err := v.store.AddStatement(ctx, st.Signed, at); err != nil {
		return false, err
	}
	return true, v.include(st.Signed, at)
}

// admit refuses what is signed by a revoked key and was not recorded before.
func (v *revocations) admit(st *approval.Statement) error {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.Admit(st)
}

// Revoked implements book.Statements.
func (v *revocations) Revoked(key canon.Digest) bool {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.Revoked(key)
}

// About implements book.Statements.
func (v *revocations) About(object canon.Digest) []canon.Signed {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.set.About(object)
}

// of returns the revocations of keys that signed one of the approvals, each once.
func (v *revocations) of(c *charter.Charter, approvals []canon.Signed) []canon.Signed {
	v.mu.RLock()
	defer v.mu.RUnlock()
	var out []canon.Signed
	seen := map[canon.Digest]bool{}
	for _, a := range approvals {
		_, key, err := approval.OpenApproval(c, a)
		if err != nil {
			continue
		}
		id := approval.KeyDigest(key.Public)
		if signed, ok := v.by[id]; ok && !seen[id] {
			seen[id] = true
			out = append(out, signed)
		}
	}
	return out
}
