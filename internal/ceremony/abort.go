package ceremony

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// Abort ends a ceremony that was interrupted. Its transcript lists every key of the plan's that is in the token by then; where the token cannot be
// read any more, the keys that the journal has, and a step says why. A key-encryption key that was left in the token is destroyed.
func Abort(ctx context.Context, plan *Plan, o Options) (*Result, error) {
	r, err := enter(plan, o)
	if err != nil {
		return nil, err
	}
	defer r.leave()
	if len(r.journal.steps) == 0 {
		return nil, refusal.New("ceremony", "journal", "a ceremony that was interrupted", "none")
	}
	r.room.say("\nThe ceremony will be ended as aborted.")
	if plan.Backup != nil {
		if err := r.clean(ctx); err != nil {
			return nil, err
		}
	}
	if err := r.open(ctx, func(token *pkcs11.Token) error { return r.left(ctx, token) }); err != nil {
		r.room.say("  the token was not read: %s", err.Error())
		if r.journal.token == nil || errors.Is(err, hsm.ErrPIN) {
			return nil, err // there is nothing to make a record of; or somebody mistyped
		}
		r.token, r.keys = *r.journal.token, r.journal.keys
		if err := r.record("token not read; keys as the journal has them", text(err.Error()), nil); err != nil {
			return nil, err
		}
	}
	if err := r.leftFile(); err != nil {
		return nil, err
	}
	r.room.say("  %d keys are listed in the record.", len(r.keys))
	return r.end(outcomeAborted)
}

// clean takes a key-encryption key out of the token that an interruption may have left there. A token that cannot be reached does not keep people from
// ending the ceremony; the record says so.
func (r *run) clean(ctx context.Context) (err error) {
	if r.so, err = r.secret(ctx, r.o.SOPIN, "security officer's PIN of the token"); err != nil {
		return err
	}
	outcome := text(r.plan.Backup.Label)
	action := canon.Text("destroyed the key-encryption key in the token, if there was one")
	if err := r.destroyKEK(ctx); err != nil {
		action, outcome = "the key-encryption key may still be in the token", text(err.Error())
	}
	return r.record(action, outcome, nil)
}

// leftFile records a backup that was written: it opens with the components, whether or not the ceremony came to its end.
func (r *run) leftFile() error {
	b, err := readAtMost(filepath.Join(r.o.Dir, BackupFile), pkcs11.MaxBackup)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	digest := canon.Digest(pkcs11.BackupDigest(b))
	r.room.digest("SHA-256 of a backup that was written and is left", digest)
	return r.record("a backup was written and is left; SHA-256 of the file", canon.Text(digest.String()), nil)
}

// left lists the plan's keys that are in the token. Those that a transcript of this purpose cannot have, and those that share their label, become steps.
func (r *run) left(ctx context.Context, token *pkcs11.Token) error {
	all, err := token.Inventory(ctx)
	if err != nil {
		return err
	}
	uses := map[string]planned{}
	for _, p := range r.named() {
		uses[p.label] = p
	}
	if r.plan.Purpose == "restore" {
		file, err := r.readBackup()
		if err != nil {
			return err
		}
		for _, w := range keysOf(file) {
			uses[w.label] = w
		}
	}
	byLabel := map[string][]hsm.KeyInfo{}
	for _, k := range all.Keys {
		byLabel[k.Label] = append(byLabel[k.Label], k)
	}
	var found []planned
	for _, label := range slices.Sorted(maps.Keys(uses)) {
		if len(byLabel[label]) == 0 {
			continue
		}
		info, err := uses[label].one(byLabel[label])
		if err == nil {
			err = r.fits(info)
		}
		if err == nil {
			found = append(found, uses[label])
		} else if err := r.record(text("key "+label+" is in the token and not one of this ceremony's"), text(err.Error()), nil); err != nil {
			return err
		}
	}
	r.keys, err = r.inventory(ctx, token, found)
	return err
}

// fits refuses a key of a class that the purpose leaves no keys of.
func (r *run) fits(info hsm.KeyInfo) error {
	k := canon.CeremonyKey{Public: info.Public, Attributes: attributes(info)}
	if may := classesOf(purposes[r.plan.Purpose], &k); !slices.Contains(may, classOf(&k)) {
		return refusal.New("attributes", info.Label, fmt.Sprintf("class %v", may), classOf(&k))
	}
	return nil
}
