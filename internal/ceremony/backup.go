package ceremony

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// BackupFile is the backup in the directory of the ceremony that made it.
const BackupFile = "keys.backup"

// backup has the token wrap the wallet's keys and writes them to a file.
func (r *run) backup(ctx context.Context) error {
	keys := r.plan.planned()
	r.room.say("\n4. %d keys of wallet %s will leave the token, wrapped under a key of which\n   each of %d people holds a component.", len(keys), r.plan.Keys.Wallet, len(r.plan.holds))
	r.room.say("   Whoever gets all components and the file has the keys.")
	if err := r.confirm("agreed to back up", text(fmt.Sprintf("%d keys of %s", len(keys), r.plan.Keys.Wallet)), r.plan.everybody()); err != nil {
		return err
	}
	err := r.open(ctx, func(token *pkcs11.Token) (err error) {
		r.keys, err = r.inventory(ctx, token, r.named())
		return err
	})
	if err != nil {
		return err
	}
	if err := r.checkClass(ClassWrap); err != nil {
		return err
	}
	key, err := r.components(true)
	if err != nil {
		return err
	}
	file := pkcs11.Backup{Token: pkcs11.Source{Label: string(r.token.Label), Serial: string(r.token.Serial),
		Manufacturer: string(r.token.Manufacturer), Model: string(r.token.Model)}}
	err = r.withKEK(ctx, pkcs11.KEKWraps, key, func(label string, kcv [pkcs11.KCVSize]byte) error {
		file.KCV = kcv[:]
		return r.open(ctx, func(token *pkcs11.Token) error { return r.wrap(ctx, token, &file, label, kcv) })
	})
	if err != nil {
		return err
	}
	return r.writeBackup(file)
}

func (r *run) wrap(ctx context.Context, token *pkcs11.Token, file *pkcs11.Backup, label string, kcv [pkcs11.KCVSize]byte) error {
	for _, k := range r.keys {
		w, err := token.Wrap(ctx, label, kcv, string(k.Label), is(&k, "CKA_ALWAYS_AUTHENTICATE"))
		if err != nil {
			return err
		}
		if !bytes.Equal(w.Public, k.Public) {
			return refusal.New("backup", string(k.Label), fmt.Sprintf("public key %x", k.Public), fmt.Sprintf("%x", w.Public))
		}
		file.Keys = append(file.Keys, w)
	}
	return nil
}

func (r *run) writeBackup(file pkcs11.Backup) error {
	b, err := file.Bytes()
	if err != nil {
		return err
	}
	path := filepath.Join(r.o.Dir, BackupFile)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // of an interrupted run: one backup per ceremony
	}
	if err := writeFile(path, b); err != nil {
		return err
	}
	digest := canon.Digest(pkcs11.BackupDigest(b))
	r.room.say("\n5. The backup:\n   %s", path)
	r.room.digest("SHA-256 of the file", digest)
	return errors.Join(r.journal.add(entry{Keys: r.keys}),
		r.record("wrapped the keys; SHA-256 of the backup", canon.Text(digest.String()), nil))
}

// restore has the token unwrap the keys of a backup, and each sign.
func (r *run) restore(ctx context.Context) error {
	file, err := r.readBackup()
	if err != nil {
		return err
	}
	r.room.say("\n4. %d keys of token %s, serial number %s,\n   will be restored in this token. The token that they came from keeps them.",
		len(file.Keys), file.Token.Label, file.Token.Serial)
	r.room.digest("SHA-256 of the backup", r.plan.file)
	if err := r.confirm("agreed to restore the backup of this SHA-256", canon.Text(r.plan.file.String()), r.plan.everybody()); err != nil {
		return err
	}
	key, err := r.components(false)
	if err != nil {
		return err
	}
	if err := expectKCV(file.KCV, key); err != nil {
		clear(key[:])
		return err
	}
	err = r.withKEK(ctx, pkcs11.KEKUnwraps, key, func(label string, kcv [pkcs11.KCVSize]byte) error {
		return r.open(ctx, func(token *pkcs11.Token) error {
			if err := r.count(ctx, token, keysOf(file)); err != nil {
				return err
			}
			for _, w := range file.Keys {
				if err := r.unwrap(ctx, token, label, kcv, w); err != nil {
					return err
				}
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	return r.readRestored(ctx, file)
}

func (r *run) unwrap(ctx context.Context, token *pkcs11.Token, label string, kcv [pkcs11.KCVSize]byte, w pkcs11.WrappedKey) error {
	there, err := token.ECDSA(ctx, w.Label, hsm.KeyClass{Restorable: true, Attended: w.Attended})
	if err == nil {
		if public := there.Public(); !bytes.Equal(public[:], w.Public) {
			return refusal.New("backup", w.Label, fmt.Sprintf("public key %x, or no key with this label", w.Public), fmt.Sprintf("%x", public))
		}
		return nil // restored before an interruption
	}
	// A key with one half is what a power cut leaves: the token's driver goes on from it, or refuses it.
	if !errors.Is(err, hsm.ErrNoKey) && !errors.Is(err, hsm.ErrKeyAttributes) {
		return err
	}
	var pin hsm.PIN
	if w.Attended {
		pin = r.pin
	}
	_, err = token.Restore(ctx, label, kcv, w, pin)
	return err
}

// keysOf lists the keys of a backup.
func keysOf(file *pkcs11.Backup) []planned {
	var all []planned
	for _, w := range file.Keys {
		all = append(all, planned{w.Label, "restored from token " + file.Token.Serial, kindWallet})
	}
	return all
}

// readRestored reads the keys back once the key-encryption key is gone, and holds them against the backup. Where the plan names the wallet it makes
// this token's part of the pool.
func (r *run) readRestored(ctx context.Context, file *pkcs11.Backup) error {
	var pool canon.KeyPool
	err := r.open(ctx, func(token *pkcs11.Token) (err error) {
		want := keysOf(file)
		if r.plan.Keys != nil {
			if err := r.identity(ctx, token); err != nil {
				return err
			}
			if r.signer != nil {
				want = append(want, r.named()[0])
			}
		}
		if r.keys, err = r.inventory(ctx, token, want); err != nil || r.signer == nil {
			return err
		}
		pool, err = r.make(ctx, token)
		return err
	})
	if err != nil {
		return err
	}
	for i, w := range file.Keys {
		if !bytes.Equal(r.keys[i].Public, w.Public) {
			return refusal.New("backup", w.Label, fmt.Sprintf("public key %x", w.Public), fmt.Sprintf("%x", r.keys[i].Public))
		}
	}
	if err := errors.Join(r.checkClass(ClassRestored), r.checkPool(&pool)); err != nil {
		return err
	}
	if err := errors.Join(r.journal.add(entry{Keys: r.keys}),
		r.record("restored, read back, test signatures verified", text(fmt.Sprintf("%d keys", len(file.Keys))), nil)); err != nil || r.plan.Keys == nil {
		return err
	}
	return r.writePool(pool)
}

func (r *run) readBackup() (*pkcs11.Backup, error) {
	f, err := os.Open(r.plan.Backup.File)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, pkcs11.MaxBackup+1))
	if err != nil {
		return nil, err
	}
	if found := canon.Digest(pkcs11.BackupDigest(b)); found != r.plan.file {
		return nil, refusal.New("backup", "file", "SHA-256 "+r.plan.file.String(), found.String())
	}
	file, err := pkcs11.ParseBackup(b)
	if err != nil {
		return nil, refusal.New("encoding", "backup", "a backup of keys", err.Error())
	}
	return file, nil
}
