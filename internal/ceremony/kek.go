package ceremony

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets"
)

// component is one person's part of a key-encryption key: the key is the exclusive or of all, so that all but one of them together know nothing of it.
type component [32]byte

// drawn is what a person types to have a component drawn.
const drawn = "new"

// components asks each holder for his and returns the key. New ones are drawn here, shown to the holder once and typed back.
func (r *run) components(mayDraw bool) (key *[32]byte, err error) {
	key = new([32]byte)
	defer func(sum *[32]byte) {
		if err != nil {
			clear(sum[:])
			key = nil
		}
	}(key)
	holders, seen := r.plan.holds, map[component]bool{{}: true}
	defer clear(seen)
	for i, holder := range holders {
		r.room.say("\nComponent %d of %d, held by %s. Everybody else looks away.", i+1, len(holders), string(holder))
		c, err := r.component(holder, mayDraw, seen)
		if err != nil {
			return nil, err
		}
		for at := range key {
			key[at] ^= c[at]
		}
		kcv := pkcs11.KCV((*[32]byte)(c))
		r.room.say("  check value of the component: %X", kcv)
		clear(c[:])
		if err := r.confirm(text(fmt.Sprintf("component %d of %d", i+1, len(holders))), text(fmt.Sprintf("check value %X", kcv)), []canon.Name{holder}); err != nil {
			return nil, err
		}
	}
	kcv := pkcs11.KCV(key)
	r.room.say("\nCheck value of the whole key: %X", kcv)
	return key, r.confirm("key-encryption key", text(fmt.Sprintf("check value %X", kcv)), holders)
}

func (r *run) component(holder canon.Name, mayDraw bool, seen map[component]bool) (*component, error) {
	hint := ""
	if mayDraw = mayDraw && r.o.Terminal; mayDraw {
		hint = ", or new to have one drawn"
	}
	for range tries {
		typed, err := r.room.person.Secret(fmt.Sprintf("  %s types 64 hexadecimal digits%s: ", holder, hint))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInterrupted, err)
		}
		if string(typed) == drawn && mayDraw {
			if err := r.draw(holder); err != nil {
				return nil, err
			}
			continue // typed back like one that the holder brought
		}
		c, err := parseComponent(typed)
		clear(typed)
		if err == nil && seen[*c] {
			err = errors.New("expected a component of the holder's own, found zeros or another's")
		}
		if err == nil {
			seen[*c] = true
			return c, nil
		}
		r.room.say("  %s", err.Error())
	}
	return nil, fmt.Errorf("%w: %d components that were none", ErrInterrupted, tries)
}

// draw shows a new component until the holder has written it down.
func (r *run) draw(holder canon.Name) error {
	var c component
	rand.Read(c[:])
	defer clear(c[:])
	r.room.say("  Write this down, keep it where nobody else gets at it, and show it to nobody:\n")
	for i := 0; i < len(c); i += 16 {
		r.room.say("    %x %x  %x %x  %x %x  %x %x", c[i:i+2], c[i+2:i+4], c[i+4:i+6], c[i+6:i+8], c[i+8:i+10], c[i+10:i+12], c[i+12:i+14], c[i+14:i+16])
	}
	r.room.say("\n  check value %X", pkcs11.KCV((*[32]byte)(&c)))
	if err := r.room.confirm([]canon.Name{holder}); err != nil {
		return err
	}
	fmt.Fprint(r.o.Out, r.o.Clear)
	return nil
}

// parseComponent reads hexadecimal digits with blanks and hyphens between them.
func parseComponent(typed []byte) (*component, error) {
	digits := slices.DeleteFunc(bytes.Clone(typed), func(b byte) bool { return b == ' ' || b == '-' })
	defer clear(digits[:cap(digits)])
	var c component
	if n, err := hex.Decode(c[:], digits[:min(len(digits), 2*len(c))]); err != nil || n != len(c) || len(digits) != 2*len(c) {
		clear(c[:])
		return nil, fmt.Errorf("expected %d hexadecimal digits, found %d characters or others", 2*len(c), len(digits))
	}
	return &c, nil
}

// withKEK puts the key-encryption key into the token, runs f, and takes the key out again whatever f does: while it is there, whoever has the
// user PIN could use it.
func (r *run) withKEK(ctx context.Context, use pkcs11.KEKUse, key *[32]byte, f func(label string, kcv [pkcs11.KCVSize]byte) error) (err error) {
	defer clear(key[:])
	if r.so == nil {
		if r.so, err = r.secret(ctx, r.o.SOPIN, "security officer's PIN of token "+wallets.EscapeText(r.plan.Token.Label)); err != nil {
			return err
		}
	}
	label, kcv := r.plan.Backup.Label, pkcs11.KCV(key)
	if err := r.destroyKEK(ctx); err != nil {
		return err // of an interrupted ceremony
	}
	if err := pkcs11.CreateKEK(ctx, r.config(r.so), label, use, key); err != nil {
		return err
	}
	err = r.record("put the key-encryption key into the token, read back", text(fmt.Sprintf("%s, %v, check value %X", label, use, kcv)), nil)
	if err == nil {
		err = f(label, kcv)
	}
	if gone := r.destroyKEK(context.WithoutCancel(ctx)); gone != nil {
		return errors.Join(err, fmt.Errorf("the key-encryption key may still be in the token: %w", gone))
	}
	return errors.Join(err, r.record("destroyed the key-encryption key in the token", text(label), nil))
}

func (r *run) destroyKEK(ctx context.Context) error {
	return pkcs11.DestroyKEK(ctx, r.config(r.so), r.plan.Backup.Label)
}

// expectKCV refuses components that are not those of the backup.
func expectKCV(want []byte, key *[32]byte) error {
	if got := pkcs11.KCV(key); string(want) != string(got[:]) {
		return refusal.New("backup", "kcv", fmt.Sprintf("check value %X, of the key that the backup was made under", want), fmt.Sprintf("%X", got))
	}
	return nil
}
