package hsm

import (
	"errors"
	"fmt"
)

// Errors that every implementation reports; test for them with errors.Is.
var (
	// ErrPIN: the token refused the PIN, or the PIN was not even tried because it could not be right.
	ErrPIN = errors.New("hsm: PIN refused")
	// ErrPINLocked: the token is locked, or one more wrong PIN would lock it. It is an ErrPIN too.
	ErrPINLocked = fmt.Errorf("%w: PIN locked or at its last try", ErrPIN)
	// ErrLogin: the login failed for another reason than the PIN, or nobody knows how it ended. It may have counted as a wrong PIN. It comes with the error
	// that says what happened.
	ErrLogin = errors.New("hsm: login failed, perhaps at the cost of a try")
	// ErrNoModule: the module that leads to the token is missing or cannot be loaded.
	ErrNoModule = errors.New("hsm: module not found")
	// ErrNoToken: no initialised token has the label and serial number asked for.
	ErrNoToken = errors.New("hsm: no such token")
	// ErrTokenExists: a token with this label is there already.
	ErrTokenExists = errors.New("hsm: token exists already")
	// ErrNoKey: no key has this label.
	ErrNoKey = errors.New("hsm: no such key")
	// ErrKeyExists: the label is taken.
	ErrKeyExists = errors.New("hsm: key exists already")
	// ErrAmbiguous: more than one token or key fits.
	ErrAmbiguous = errors.New("hsm: more than one fits")
	// ErrKeyAttributes: the key exists, but is not one that was generated in the token, sensitive and not extractable,
	// for exactly our purpose, or not of the class asked for. The error names the attribute.
	ErrKeyAttributes = errors.New("hsm: key attributes refused")
	// ErrUnsupported: the token lacks the mechanism.
	ErrUnsupported = errors.New("hsm: not supported by the token")
	// ErrDevice: the token failed.
	ErrDevice = errors.New("hsm: device error")
	// ErrTokenLost: the token failed in a way that makes its handles worthless. Nothing works until it is closed and
	// opened again. It is an ErrDevice too.
	ErrTokenLost = fmt.Errorf("%w: token lost", ErrDevice)
	// ErrSignature: the token returned a signature that its public key does not verify. It is an ErrDevice too.
	ErrSignature = fmt.Errorf("%w: signature does not verify", ErrDevice)
	// ErrTimeout: a call did not end by its deadline; its outcome is unknown.
	ErrTimeout = errors.New("hsm: deadline passed")
	// ErrClosed: the token was closed.
	ErrClosed = errors.New("hsm: token closed")
	// ErrFormat: the bytes are not a sealed blob.
	ErrFormat = errors.New("hsm: not a sealed blob")
	// ErrAuthentication: the sealed blob was altered, or was sealed by another key or with other aad.
	ErrAuthentication = errors.New("hsm: sealed blob not authentic")
	// ErrArgument: an argument is outside its stated limits.
	ErrArgument = errors.New("hsm: argument out of range")
)
