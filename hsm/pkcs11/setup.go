package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// setUpTimeout is longer than a key operation's: devices erase themselves while they are initialised.
const setUpTimeout = time.Minute

// slotToken is a token as found in a slot.
type slotToken struct {
	slot uint
	p11.TokenInfo
}

func (t slotToken) describe() hsm.Info {
	return hsm.Info{Label: t.Label, Serial: t.SerialNumber, Manufacturer: t.ManufacturerID, Model: t.Model,
		Hardware: version(t.HardwareVersion), Firmware: version(t.FirmwareVersion)}
}

// mayTry refuses to spend a try on a PIN that cannot be right, or the last try before the token locks.
func (t slotToken) mayTry(pin PIN) error {
	switch {
	case t.Flags&p11.CKF_USER_PIN_INITIALIZED == 0:
		return fmt.Errorf("pkcs11: token %q: %w: no user PIN is set: its set-up was not finished", t.Label, hsm.ErrPIN)
	case t.Flags&p11.CKF_USER_PIN_LOCKED != 0:
		return fmt.Errorf("pkcs11: token %q: %w: locked", t.Label, hsm.ErrPINLocked)
	case t.Flags&p11.CKF_USER_PIN_FINAL_TRY != 0:
		return fmt.Errorf("pkcs11: token %q: %w: one wrong PIN locks it, so a person must log in first", t.Label, hsm.ErrPINLocked)
	}
	return t.checkLength(pin)
}

func (t slotToken) checkLength(pin PIN) error {
	if n := uint(len(pin)); n < t.MinPinLen || n > t.MaxPinLen {
		return fmt.Errorf("pkcs11: token %q: %w: length: expected %d to %d bytes", t.Label, hsm.ErrPIN, t.MinPinLen, t.MaxPinLen)
	}
	return nil
}

// tokens lists the tokens present. A slot that cannot be read is left out: it is not the one that is looked for, or else
// looking for it fails.
func tokens(ctx context.Context, m *module, limit time.Duration) ([]slotToken, error) {
	return step(ctx, "listing tokens", limit, func() ([]slotToken, error) {
		slots, err := m.GetSlotList(true)
		if err != nil {
			return nil, typed("C_GetSlotList", err)
		}
		var all []slotToken
		for _, slot := range slots {
			if info, err := m.GetTokenInfo(slot); err == nil {
				all = append(all, slotToken{slot, info})
			}
		}
		return all, nil
	})
}

// findToken finds the one initialised token with the label and, unless it is empty, the serial number.
func findToken(ctx context.Context, m *module, label, serial string, limit time.Duration) (slotToken, error) {
	all, err := tokens(ctx, m, limit)
	if err != nil {
		return slotToken{}, err
	}
	var fits []slotToken
	for _, t := range all {
		initialised := t.Flags&p11.CKF_TOKEN_INITIALIZED != 0
		if initialised && t.Label == label && (serial == "" || t.SerialNumber == serial) {
			fits = append(fits, t)
		}
	}
	switch len(fits) {
	case 0:
		return slotToken{}, fmt.Errorf("pkcs11: %w: label %q, serial %q, among %d tokens", hsm.ErrNoToken, label, serial, len(all))
	case 1:
		return fits[0], nil
	}
	return slotToken{}, fmt.Errorf("pkcs11: %w: %d tokens have label %q, serial %q", hsm.ErrAmbiguous, len(fits), label, serial)
}

// InitToken sets up the first token that is not initialised yet: label, security officer's PIN and user PIN. It never touches a
// token that is initialised, and refuses with hsm.ErrTokenExists if one has this label. If it fails half-way, the token
// may exist without a user PIN; Open says so.
func InitToken(ctx context.Context, module, label string, soPIN, pin PIN) (hsm.Info, error) {
	return initToken(ctx, process, module, label, soPIN, pin)
}

func initToken(ctx context.Context, r *modules, path, label string, soPIN, pin PIN) (hsm.Info, error) {
	if err := errors.Join(checkModulePath(path), checkLabel("token label", label, maxTokenLabel)); err != nil {
		return hsm.Info{}, err
	}
	var info hsm.Info
	err := r.with(ctx, path, setUpTimeout, func(m *module) error {
		free, err := freeToken(ctx, m, label)
		if err != nil {
			return err
		}
		if err := errors.Join(free.checkLength(soPIN), free.checkLength(pin)); err != nil {
			return err
		}
		so, user := string(soPIN), string(pin)
		err = do(ctx, "C_InitToken", setUpTimeout, func() error { return m.InitToken(free.slot, so, label) })
		if err != nil {
			return err
		}
		// The token may have moved to another slot.
		made, err := findToken(ctx, m, label, "", setUpTimeout)
		if err != nil {
			return err
		}
		info = made.describe()
		return do(ctx, "setting the user PIN", setUpTimeout, func() error { return setUserPIN(m, made.slot, so, user) })
	})
	if err != nil {
		return hsm.Info{}, err
	}
	return info, nil
}

// freeToken finds a token that is not initialised, provided that no other has the label.
func freeToken(ctx context.Context, m *module, label string) (slotToken, error) {
	all, err := tokens(ctx, m, setUpTimeout)
	if err != nil {
		return slotToken{}, err
	}
	var free []slotToken
	for _, t := range all {
		switch initialised := t.Flags&p11.CKF_TOKEN_INITIALIZED != 0; {
		case !initialised:
			free = append(free, t)
		case t.Label == label:
			return slotToken{}, fmt.Errorf("pkcs11: %w: label %q, serial %q", hsm.ErrTokenExists, label, t.SerialNumber)
		}
	}
	if len(free) == 0 {
		return slotToken{}, fmt.Errorf("pkcs11: %w: expected one that is not initialised, found %d that are", hsm.ErrNoToken, len(all))
	}
	return free[0], nil
}

func setUserPIN(c cryptoki, slot uint, soPIN, pin string) error {
	s, err := c.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
	if err != nil {
		return typed("C_OpenSession", err)
	}
	if err := c.Login(s, p11.CKU_SO, soPIN); err != nil {
		return errors.Join(typed("C_Login as security officer", err), typed("C_CloseSession", c.CloseSession(s)))
	}
	return errors.Join(
		typed("C_InitPIN", c.InitPIN(s, pin)),
		typed("C_Logout", c.Logout(s)),
		typed("C_CloseSession", c.CloseSession(s)),
	)
}

func version(v p11.Version) string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }
