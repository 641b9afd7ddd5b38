package ceremony

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/keypool"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// generate has the token generate the wallet's keys, reads them back and writes the token's part of the pool.
func (r *run) generate(ctx context.Context) error {
	keys, p := r.plan.planned(), r.plan.Keys
	r.room.say("\n4. %d keys of wallet %s will be generated in the token, from\n   %s to\n   %s", len(keys), p.Wallet, keys[0].label, keys[len(keys)-1].label)
	r.room.say("   class %s: %s", p.Class, meaning[p.Class])
	if p.SingleDevice {
		r.room.say("   THIS TOKEN ALONE SIGNS: whoever has it and its PIN has the money; if it is\n   lost or breaks, and there is no backup, so is the money.")
	}
	if err := r.confirm("agreed to generate", text(fmt.Sprintf("%d keys of %s, class %s", len(keys), p.Wallet, p.Class)), r.plan.everybody()); err != nil {
		return err
	}
	pool, err := r.made(ctx)
	if err != nil {
		return err
	}
	if err := errors.Join(r.journal.add(entry{Keys: r.keys}),
		r.record("generated in the token, read back, test signatures verified", text(fmt.Sprintf("%d keys", len(r.keys))), nil)); err != nil {
		return err
	}
	if p.Attestation {
		return nil // no address depends on it: the charter names the key itself, which stands in the transcript
	}
	return r.writePool(pool)
}

// made has the token generate what is missing and reads everything back.
func (r *run) made(ctx context.Context) (pool canon.KeyPool, err error) {
	err = r.open(ctx, func(token *pkcs11.Token) error {
		if err := r.identity(ctx, token); err != nil {
			return err
		}
		if err := r.count(ctx, token, r.plan.planned()); err != nil {
			return err
		}
		r.room.say("  generating; some tokens take a second for each key")
		if pool, err = r.make(ctx, token); err != nil {
			return err
		}
		r.keys, err = r.inventory(ctx, token, r.named())
		return err
	})
	if err == nil {
		err = r.checkClass(r.plan.Keys.Class)
	}
	if err == nil {
		err = r.checkPool(&pool)
	}
	return pool, err
}

// count shows and records how many of the keys are in the token before any is made: the others are born in this ceremony.
func (r *run) count(ctx context.Context, token hsm.Token, keys []planned) error {
	all, err := token.Inventory(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, k := range all.Keys {
		there[k.Label] = true
	}
	found := 0
	for _, k := range keys {
		if there[k.label] {
			found++
		}
	}
	r.room.say("  in the token already: %d of %d keys; to be made: %d", found, len(keys), len(keys)-found)
	return r.record("counted the keys that are in the token already", text(fmt.Sprintf("%d found, %d to be made", found, len(keys)-found)), nil)
}

// make has the token generate what is missing, and returns its part of the pool, if there is one: the signer's identity must be in the token to sign it.
func (r *run) make(ctx context.Context, token hsm.Token) (canon.KeyPool, error) {
	if r.plan.Keys.Attestation {
		_, err := keypool.MakeAttestation(ctx, token, r.plan.pool.Wallet)
		return canon.KeyPool{}, err
	}
	spec := r.plan.pool
	if spec.Class.Attended {
		spec.PIN = r.pin
	}
	if r.signer == nil {
		return canon.KeyPool{}, keypool.Generate(ctx, token, spec)
	}
	spec.Sign = r.signer
	return keypool.Make(ctx, token, spec)
}

// checkPool refuses a part of a pool with other keys than those that were read back and stand in the transcript.
func (r *run) checkPool(pool *canon.KeyPool) error {
	var l refusal.List
	for i := range pool.Devices {
		checkPart(&l, r.keys, pool, i)
	}
	return l.Err()
}

// meaning says in words what a class of keys is.
var meaning = map[string]string{
	ClassNone: "the keys never leave this token, under no key and no PIN",
	ClassWrap: "the keys can leave this token, wrapped by several people",
}

// named are all keys that the ceremony has to do with: the wallet's, and before them the signer's identity where this token has it.
func (r *run) named() []planned {
	var all []planned
	if k := r.plan.Keys; k != nil && k.IdentityLabel != "" && r.plan.Purpose != "backup" {
		all = append(all, planned{k.IdentityLabel, "identity of signer " + k.Signer, kindIdentity})
	}
	return append(all, r.plan.planned()...)
}

// identity finds or makes the signer's Ed25519 key, where the plan puts it into this token.
func (r *run) identity(ctx context.Context, token hsm.Token) error {
	label := r.plan.Keys.IdentityLabel
	if label == "" {
		return nil
	}
	key, err := token.Identity(ctx, label)
	if errors.Is(err, hsm.ErrNoKey) {
		key, err = token.CreateIdentity(ctx, label)
	}
	if err != nil {
		return err
	}
	r.signer, r.plan.pool.Identity = key, canon.PublicKey(key.Ed25519())
	r.room.say("  identity of signer %s:\n    %s", r.plan.Keys.Signer, r.plan.pool.Identity.String())
	return nil
}

// checkClass refuses a wallet's key whose attributes are not the class's.
func (r *run) checkClass(class string) error {
	var l refusal.List
	for i := range r.keys {
		if k := &r.keys[i]; len(k.Public) == 33 && classOf(k) != class {
			l.Add("attributes", "keys."+string(k.Label), "class "+class, classOf(k))
		}
	}
	return l.Err()
}

// actionPart is the step by which a later run finds what an interrupted one wrote.
const actionPart = canon.Text("wrote the token's part of the pool, of this digest")

// writePool writes the token's part of the pool, or says who will.
func (r *run) writePool(pool canon.KeyPool) error {
	if len(pool.Devices) == 0 {
		r.room.say("\n5. No part of the pool is written: the identity of signer %s is not in\n   this token. Its strongroom-node pool make writes the part and signs it; hold\n   that against the transcript.", r.plan.Keys.Signer)
		return r.record("wrote no part of the pool: the signer's identity is not in the token", canon.Text(r.plan.pool.Identity.String()), nil)
	}
	digest, err := keypool.Write(r.o.Dir, pool)
	if err != nil {
		return err
	}
	for _, s := range r.journal.steps { // proofs differ from run to run: what an interrupted one wrote is another part of the same keys
		before, err := canon.ParseDigest(string(s.Outcome))
		if s.Action != actionPart || err != nil || before == digest {
			continue
		}
		if err := os.Remove(filepath.Join(r.o.Dir, config.PoolFile(before))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	r.room.say("\n5. The token's part of the pool:\n   %s", filepath.Join(r.o.Dir, config.PoolFile(digest)))
	r.room.digest("digest of the part", digest)
	return r.record(actionPart, canon.Text(digest.String()), nil)
}
