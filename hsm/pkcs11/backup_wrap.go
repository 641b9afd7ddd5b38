package pkcs11

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2"
	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// wrapping is the mechanisms that wrap, best first. A PKCS#8 key need not be a multiple of eight bytes, which RFC 3394 alone demands. How the first one
// pads is left to the module (PKCS#11 v2.40 mechanisms, section 2.14), so that a backup may need a token of the same maker to be restored.
var wrapping = []uint{p11.CKM_AES_KEY_WRAP_PAD, p11.CKM_AES_KEY_WRAP}

// Wrap has the token wrap a restorable key under its trusted key-encryption key, whose check value the caller knows. A key of another class, and a
// key-encryption key that may do anything but wrap, are refused with hsm.ErrKeyAttributes before the token is asked to wrap.
func (t *Token) Wrap(ctx context.Context, kekLabel string, kcv [KCVSize]byte, label string, attended bool) (WrappedKey, error) {
	if err := errors.Join(checkLabel("key label", kekLabel, maxKeyLabel), checkLabel("key label", label, maxKeyLabel)); err != nil {
		return WrappedKey{}, err
	}
	w := WrappedKey{Label: label, Attended: attended}
	return onSession(ctx, t, "wrapping a key", func(c cryptoki, s p11.SessionHandle) (WrappedKey, error) {
		under, err := findKEK(c, s, kekLabel, KEKWraps, kcv)
		if err != nil {
			return WrappedKey{}, err
		}
		private, err := ecdsaPrivate(w.class(), false).findOne(c, s, label)
		if err != nil {
			return WrappedKey{}, err
		}
		k, err := openECDSA(c, s, private, label, w.class())
		if err != nil {
			return WrappedKey{}, err
		}
		if err := ecdsaPrivate(w.class(), false).check(c, s, private, label); err != nil {
			return WrappedKey{}, err // restored: it cannot leave again
		}
		w.ID, w.Public = k.id, k.public.SerializeCompressed()
		if w.Mechanism, w.Wrapped, err = wrapKey(c, s, under, private); err != nil {
			return WrappedKey{}, err
		}
		return w, w.check()
	})
}

func wrapKey(c cryptoki, s p11.SessionHandle, under, key p11.ObjectHandle) (uint64, []byte, error) {
	var err error
	for _, m := range wrapping {
		var wrapped []byte
		wrapped, err = c.WrapKey(s, []*p11.Mechanism{p11.NewMechanism(m, nil)}, under, key)
		if err == nil {
			return uint64(m), wrapped, nil
		}
		if !returned(err, p11.CKR_MECHANISM_INVALID, p11.CKR_KEY_SIZE_RANGE) {
			break
		}
	}
	if returned(err, p11.CKR_KEY_NOT_WRAPPABLE, p11.CKR_KEY_UNEXTRACTABLE) {
		return 0, nil, fmt.Errorf("pkcs11: C_WrapKey: %w: %w", hsm.ErrKeyAttributes, err)
	}
	return 0, nil, typed("C_WrapKey", err)
}

// Restore has the token unwrap a key as one that is sensitive and cannot leave again, adds the public key, and has the key sign once: it counts only if
// the signature verifies under the public key of the backup. Otherwise what was made is destroyed. Where an earlier call ended between the two halves, it
// goes on from the private key that is there. The PIN is nil except for attended keys.
// hsm.ErrKeyExists if the label is taken; hsm.ErrAuthentication if the wrapped key was altered or another key-encryption key made it.
func (t *Token) Restore(ctx context.Context, kekLabel string, kcv [KCVSize]byte, w WrappedKey, pin PIN) (hsm.ECDSA, error) {
	if err := errors.Join(checkLabel("key label", kekLabel, maxKeyLabel), w.check()); err != nil {
		return nil, err
	}
	w.Wrapped, w.ID, w.Public = bytes.Clone(w.Wrapped), bytes.Clone(w.ID), bytes.Clone(w.Public)
	public, err := btcec.ParsePubKey(w.Public)
	if err != nil {
		return nil, fmt.Errorf("%w: public: expected a point of secp256k1, found %x", ErrBackup, w.Public)
	}
	secret := PIN(bytes.Clone(pin))
	_, err = exclusively(ctx, t, "unwrapping a key", func(c cryptoki, s p11.SessionHandle) (struct{}, error) {
		defer clear(secret)
		under, err := findKEK(c, s, kekLabel, KEKUnwraps, kcv)
		if err != nil {
			return struct{}{}, err
		}
		return struct{}{}, (&restoring{t, c, s, w, public}).run(under, secret)
	})
	if err != nil {
		return nil, err
	}
	return t.ECDSA(ctx, w.Label, w.class())
}

func (w WrappedKey) class() hsm.KeyClass {
	return hsm.KeyClass{Restorable: true, Attended: w.Attended}
}

// restoring makes the two objects of a restored key pair, or none.
type restoring struct {
	token  *Token
	c      cryptoki
	s      p11.SessionHandle
	key    WrappedKey
	public *btcec.PublicKey
}

func (r *restoring) run(under p11.ObjectHandle, pin PIN) error {
	privateKind, publicKind := ecdsaPrivate(r.key.class(), true), ecdsaPublic(true)
	private, unfinished, err := r.unfinished(privateKind, publicKind)
	if err != nil {
		return err
	}
	undo := func() error { return r.destroy(private) }
	if unfinished {
		undo = func() error { return nil } // not made by this call
	} else {
		if err := absent(r.c, r.s, r.key.Label, privateKind, publicKind); err != nil {
			return err
		}
		if private, err = r.unwrap(under, privateKind); err != nil {
			return err
		}
	}
	point := append([]byte{0x04, 65}, r.public.SerializeUncompressed()...) // a DER octet string
	template := append(publicKind.template(r.key.Label, r.key.ID), p11.NewAttribute(p11.CKA_EC_POINT, point))
	public, err := r.c.CreateObject(r.s, template)
	if err != nil {
		return errors.Join(typed("C_CreateObject", err), undo())
	}
	if err := r.prove(private, pin); err != nil {
		return errors.Join(err, undo(), r.destroy(public))
	}
	return nil
}

// unfinished finds the one private key with the label and CKA_ID of the backup that has no public key: what is left where the power went between
// C_UnwrapKey and C_CreateObject. Whether it is the backup's key shows when it signs.
func (r *restoring) unfinished(privateKind, publicKind profile) (p11.ObjectHandle, bool, error) {
	privates, err := find(r.c, r.s, privateKind.search(r.key.Label))
	if err != nil || len(privates) != 1 {
		return 0, false, err
	}
	publics, err := find(r.c, r.s, publicKind.search(r.key.Label))
	if err != nil || len(publics) > 0 {
		return 0, false, err
	}
	id, err := read(r.c, r.s, privates[0], p11.CKA_ID)
	if err != nil || !bytes.Equal(id, r.key.ID) {
		return 0, false, err
	}
	return privates[0], true, privateKind.check(r.c, r.s, privates[0], r.key.Label)
}

func (r *restoring) unwrap(under p11.ObjectHandle, kind profile) (p11.ObjectHandle, error) {
	mechanism := []*p11.Mechanism{p11.NewMechanism(uint(r.key.Mechanism), nil)}
	private, err := r.c.UnwrapKey(r.s, mechanism, under, r.key.Wrapped, kind.template(r.key.Label, r.key.ID))
	if returned(err, p11.CKR_WRAPPED_KEY_INVALID, p11.CKR_WRAPPED_KEY_LEN_RANGE, p11.CKR_GENERAL_ERROR) {
		// SoftHSM answers CKR_GENERAL_ERROR where RFC 3394's integrity check fails. A token that is lost says so at the next call.
		return 0, fmt.Errorf("pkcs11: C_UnwrapKey %q: %w: expected a key wrapped under this key-encryption key, found another or an altered one: %w",
			r.key.Label, hsm.ErrAuthentication, err)
	}
	return private, typed("C_UnwrapKey", err)
}

// prove reads the private key back and has it sign. The signature must be one of the backup's public key.
func (r *restoring) prove(private p11.ObjectHandle, pin PIN) error {
	k, err := openECDSA(r.c, r.s, private, r.key.Label, r.key.class())
	if err != nil {
		return err
	}
	if k.token = r.token; !bytes.Equal(k.public.SerializeCompressed(), r.key.Public) {
		return fmt.Errorf("pkcs11: restored key %q: %w: public key: expected %x, found %x", r.key.Label, hsm.ErrKeyAttributes, r.key.Public, k.public.SerializeCompressed())
	}
	if _, err = k.sign(r.c, r.s, probeDigest(), pin); errors.Is(err, hsm.ErrSignature) {
		// The token is well: the backup's public key is another key's.
		return fmt.Errorf("pkcs11: restored key %q: %w: expected the private key of %x, found another: %v", r.key.Label, hsm.ErrAuthentication, r.key.Public, err)
	}
	return err
}

func (r *restoring) destroy(o p11.ObjectHandle) error {
	return typed("C_DestroyObject", r.c.DestroyObject(r.s, o))
}
