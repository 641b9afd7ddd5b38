package pkcs11

import (
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// aeadDecryptFailed is CKR_AEAD_DECRYPT_FAILED of PKCS#11 v3.0.
const aeadDecryptFailed = 0x42

// kinds says what a return value means to a caller. Values that are not listed are plain device errors.
var kinds = map[p11.Error]error{
	p11.CKR_PIN_INCORRECT: hsm.ErrPIN,
	p11.CKR_PIN_INVALID:   hsm.ErrPIN,
	p11.CKR_PIN_LEN_RANGE: hsm.ErrPIN,
	p11.CKR_PIN_EXPIRED:   hsm.ErrPIN,
	p11.CKR_PIN_LOCKED:    hsm.ErrPINLocked,

	p11.CKR_USER_PIN_NOT_INITIALIZED: hsm.ErrPIN,

	p11.CKR_MECHANISM_INVALID:       hsm.ErrUnsupported,
	p11.CKR_MECHANISM_PARAM_INVALID: hsm.ErrUnsupported,
	p11.CKR_FUNCTION_NOT_SUPPORTED:  hsm.ErrUnsupported,
	p11.CKR_DOMAIN_PARAMS_INVALID:   hsm.ErrUnsupported, // of a curve that the module does not know
	p11.CKR_CURVE_NOT_SUPPORTED:     hsm.ErrUnsupported,
	p11.CKR_KEY_SIZE_RANGE:          hsm.ErrUnsupported,

	// After any of these the handles this process holds may be dead or name other objects.
	p11.CKR_GENERAL_ERROR:            hsm.ErrTokenLost,
	p11.CKR_DEVICE_ERROR:             hsm.ErrTokenLost,
	p11.CKR_DEVICE_REMOVED:           hsm.ErrTokenLost,
	p11.CKR_TOKEN_NOT_PRESENT:        hsm.ErrTokenLost,
	p11.CKR_TOKEN_NOT_RECOGNIZED:     hsm.ErrTokenLost,
	p11.CKR_SLOT_ID_INVALID:          hsm.ErrTokenLost,
	p11.CKR_SESSION_HANDLE_INVALID:   hsm.ErrTokenLost,
	p11.CKR_SESSION_CLOSED:           hsm.ErrTokenLost,
	p11.CKR_OBJECT_HANDLE_INVALID:    hsm.ErrTokenLost,
	p11.CKR_KEY_HANDLE_INVALID:       hsm.ErrTokenLost,
	p11.CKR_CRYPTOKI_NOT_INITIALIZED: hsm.ErrTokenLost,
	p11.CKR_USER_NOT_LOGGED_IN:       hsm.ErrTokenLost,
}

// typed wraps what a call into a module returned in one of hsm's errors. Errors of our own pass unchanged.
func typed(call string, err error) error {
	rv, ok := err.(p11.Error)
	if !ok {
		return err
	}
	kind, ok := kinds[rv]
	if !ok {
		kind = hsm.ErrDevice
	}
	return fmt.Errorf("pkcs11: %s: %w: %w", call, kind, rv)
}

func returned(err error, values ...p11.Error) bool {
	var rv p11.Error
	if !errors.As(err, &rv) {
		return false
	}
	for _, v := range values {
		if rv == v {
			return true
		}
	}
	return false
}
