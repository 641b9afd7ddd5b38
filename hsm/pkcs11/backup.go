package pkcs11

import (
	"bytes"
	"context"
	"crypto/aes"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// KEKUse is what a key-encryption key does in a token. One key never does both: what can wrap and unwrap can move keys in and out under any template.
type KEKUse uint8

// Uses of key-encryption keys.
const (
	KEKWraps   KEKUse = 1 // in the token that keys leave: CKA_TRUSTED, CKA_WRAP
	KEKUnwraps KEKUse = 2 // in the token that keys enter: CKA_UNWRAP
)

func (u KEKUse) String() string {
	switch u {
	case KEKWraps:
		return "wraps"
	case KEKUnwraps:
		return "unwraps"
	}
	return fmt.Sprintf("use %d", uint8(u))
}

// KCVSize is the size of a check value in bytes.
const KCVSize = 3

// KCV is the check value of an AES-256 key: the first three bytes of the encryption of a block of zeros (PKCS#11 v2.40 section 4.10, CKA_CHECK_VALUE, and
// ANSI X9.24-1). It tells people whether they typed a component right; 24 bits say nothing of use about a key of 256.
func KCV(key *[32]byte) [KCVSize]byte {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 32 bytes are a key of AES-256
	}
	var zeros [aes.BlockSize]byte
	block.Encrypt(zeros[:], zeros[:])
	return [KCVSize]byte(zeros[:])
}

// kek is the key-encryption key's profile. It is public in the sense of CKA_PRIVATE, because a security officer's session, the only one that may set
// CKA_TRUSTED (PKCS#11 v2.40 section 4.10), cannot make private objects; that lets a session without a PIN see the object, not its value.
func kek(use KEKUse) profile {
	return profile{
		kind: "key-encryption key",
		declared: []attribute{
			{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_SECRET_KEY)},
			{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(p11.CKK_AES)},
			{p11.CKA_TOKEN, "CKA_TOKEN", true},
			{p11.CKA_PRIVATE, "CKA_PRIVATE", false},
			{p11.CKA_TRUSTED, "CKA_TRUSTED", use == KEKWraps},
			{p11.CKA_WRAP, "CKA_WRAP", use == KEKWraps},
			{p11.CKA_UNWRAP, "CKA_UNWRAP", use == KEKUnwraps},
			{p11.CKA_ENCRYPT, "CKA_ENCRYPT", false},
			{p11.CKA_DECRYPT, "CKA_DECRYPT", false},
			{p11.CKA_SIGN, "CKA_SIGN", false},
			{p11.CKA_VERIFY, "CKA_VERIFY", false},
			{p11.CKA_DERIVE, "CKA_DERIVE", false},
			{p11.CKA_SENSITIVE, "CKA_SENSITIVE", true},
			{p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false},
			{p11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false},
			{p11.CKA_COPYABLE, "CKA_COPYABLE", false},
			{p11.CKA_DESTROYABLE, "CKA_DESTROYABLE", true},
		},
		found: []attribute{
			{p11.CKA_VALUE_LEN, "CKA_VALUE_LEN", uint(32)},
			{p11.CKA_LOCAL, "CKA_LOCAL", false},
		},
	}
}

// CreateKEK puts a key-encryption key into a token, in a session of the security officer, whose PIN stands in cfg. It reads every attribute back and the
// check value too, if the token gives one, and removes the key again if anything is other than it must be. The token must not be open in this process:
// user and security officer cannot both be logged in. hsm.ErrKeyExists if an AES key has the label.
func CreateKEK(ctx context.Context, cfg Config, label string, use KEKUse, key *[32]byte) error {
	if err := errors.Join(checkLabel("key label", label, maxKeyLabel), checkUse(use)); err != nil {
		return err
	}
	value := bytes.Clone(key[:])
	return asOfficer(ctx, process, cfg, "creating a key-encryption key", func(c cryptoki, s p11.SessionHandle) error {
		defer clear(value)
		p := kek(use)
		if err := absent(c, s, label, p); err != nil {
			return err
		}
		made, err := c.CreateObject(s, append(p.template(label, newID()), p11.NewAttribute(p11.CKA_VALUE, value)))
		if err != nil {
			return typed("C_CreateObject", err)
		}
		if err := checkKEK(c, s, made, label, use, KCV((*[32]byte)(value))); err != nil {
			return errors.Join(err, typed("C_DestroyObject", c.DestroyObject(s, made)))
		}
		return nil
	})
}

// DestroyKEK removes the AES keys with the label that are key-encryption keys of this package's kind, in a session of the security officer. It is no error
// if there is none. A key with the label that is anything else belongs to somebody: hsm.ErrKeyAttributes, and nothing is removed.
func DestroyKEK(ctx context.Context, cfg Config, label string) error {
	if err := checkLabel("key label", label, maxKeyLabel); err != nil {
		return err
	}
	return asOfficer(ctx, process, cfg, "destroying a key-encryption key", func(c cryptoki, s p11.SessionHandle) error {
		found, err := find(c, s, kek(KEKWraps).search(label))
		if err != nil || len(found) == 0 {
			return err
		}
		for _, o := range found {
			if wraps := kek(KEKWraps).check(c, s, o, label); wraps != nil {
				if unwraps := kek(KEKUnwraps).check(c, s, o, label); unwraps != nil {
					return fmt.Errorf("not ours to destroy: %w", errors.Join(wraps, unwraps))
				}
			}
		}
		for _, o := range found {
			if err := typed("C_DestroyObject", c.DestroyObject(s, o)); err != nil {
				return err
			}
		}
		return absent(c, s, label, kek(KEKWraps))
	})
}

func checkUse(use KEKUse) error {
	if use != KEKWraps && use != KEKUnwraps {
		return argument("use", "wraps or unwraps", use)
	}
	return nil
}

// checkKEK reads a key-encryption key back. A token that gives no check value is believed: a wrong key shows when what it wrapped does not unwrap.
func checkKEK(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, label string, use KEKUse, kcv [KCVSize]byte) error {
	p := kek(use)
	if err := p.check(c, s, key, label); err != nil {
		return err
	}
	got, err := read(c, s, key, p11.CKA_CHECK_VALUE)
	if err != nil && !returned(err, p11.CKR_ATTRIBUTE_TYPE_INVALID) {
		return err
	}
	if len(got) > 0 && !bytes.Equal(got, kcv[:]) {
		return p.refuse(label, "CKA_CHECK_VALUE", fmt.Sprintf("%x", kcv), fmt.Errorf("found %x", got))
	}
	return nil
}

// findKEK finds the one key-encryption key with the label and checks it. The check value is the one that the caller expects.
func findKEK(c cryptoki, s p11.SessionHandle, label string, use KEKUse, kcv [KCVSize]byte) (p11.ObjectHandle, error) {
	key, err := kek(use).findOne(c, s, label)
	if err != nil {
		return 0, err
	}
	return key, checkKEK(c, s, key, label, use, kcv)
}

// asOfficer runs f in a session of the security officer and leaves none behind.
func asOfficer(ctx context.Context, r *modules, cfg Config, op string, f func(c cryptoki, s p11.SessionHandle) error) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	return r.with(ctx, cfg.Module, setUpTimeout, func(m *module) error {
		found, err := findToken(ctx, m, cfg.TokenLabel, cfg.Serial, cfg.Timeout)
		if err != nil {
			return err
		}
		if err := officerMayTry(m, found, cfg.PIN); err != nil {
			return err
		}
		pin := string(cfg.PIN)
		return do(ctx, op, setUpTimeout, func() error {
			s, err := m.OpenSession(found.slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
			if err != nil {
				return typed("C_OpenSession", err)
			}
			if err := m.Login(s, p11.CKU_SO, pin); err != nil {
				return errors.Join(typed("C_Login as security officer", err), typed("C_CloseSession", m.CloseSession(s)))
			}
			return errors.Join(f(m, s), typed("C_Logout", m.Logout(s)), typed("C_CloseSession", m.CloseSession(s)))
		})
	})
}

// officerMayTry refuses to spend a try on a PIN that cannot be right, or the last try before the token locks for ever.
func officerMayTry(m *module, t slotToken, pin PIN) error {
	switch {
	case m.logins[t.slot] != nil:
		return fmt.Errorf("pkcs11: token %q: %w: expected it not open, since user and security officer cannot both be logged in, found it open", t.Label, hsm.ErrArgument)
	case t.Flags&p11.CKF_SO_PIN_LOCKED != 0:
		return fmt.Errorf("pkcs11: token %q: %w: the security officer's PIN is locked", t.Label, hsm.ErrPINLocked)
	case t.Flags&p11.CKF_SO_PIN_FINAL_TRY != 0:
		return fmt.Errorf("pkcs11: token %q: %w: one wrong PIN of the security officer's locks it for ever", t.Label, hsm.ErrPINLocked)
	}
	return t.checkLength(pin)
}
