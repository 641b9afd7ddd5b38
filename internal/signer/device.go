package signer

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	"github.com/strongroom/strongroom/wallets/keyset"
)

// Token is what this signer asks of a token; every hsm.Token is one. It is used for the keys of one wallet and nothing else.
type Token interface {
	// ECDSA finds the secp256k1 key with this label and checks that it is of the class.
	ECDSA(ctx context.Context, label string, class hsm.KeyClass) (hsm.ECDSA, error)
	// Check has the token make a signature with a key that signs nothing else, and verifies it.
	Check(ctx context.Context) error
}

// Device is a token of this signer with which it signs for one wallet, as one of the wallet's devices in the charter. The caller opens and closes
// the token; nothing but Cosign signs with its keys.
type Device struct {
	// Token has the wallet's keys under keyset.Label, on EVM chains its attestation key under keyset.AttestationLabel.
	Token Token
	// Generation returns how often the token was opened since the process started; nil means once.
	Generation func() uint64
	// Health returns why the token cannot sign now, as of its last health check, and does not wait; nil means that this signer runs Token.Check
	// now and then by itself.
	Health func() error
}

// ruleDevice names the checks of tokens in refusals.
const ruleDevice = "device"

// deviceOf returns the signer's place among the devices of a wallet.
func deviceOf(w canon.Wallet, signer canon.Name) (canon.Device, bool) {
	i := slices.IndexFunc(w.Devices, func(d canon.Device) bool { return d.Signer == signer })
	if i < 0 {
		return canon.Device{}, false
	}
	return w.Devices[i], true
}

// tokenKey says which key a token must have: where, and of which public key.
type tokenKey struct {
	label  string
	public [33]byte // compressed
}

// ownKey returns the key of this signer's token that signs, or attests, for an address with these keys in devices.
func (s *Signer) ownKey(w canon.Wallet, devices []keyset.DeviceKey) (tokenKey, error) {
	named, ok := deviceOf(w, s.config.Self)
	if !ok {
		return tokenKey{}, refusal.New(ruleDevice, "wallet.devices", fmt.Sprintf("%s among the devices of wallet %s", s.config.Self, w.Name), fmt.Sprint(signersOf(w)))
	}
	if len(devices) == 0 {
		if len(named.Attestation) != len(tokenKey{}.public) {
			return tokenKey{}, refusal.New(ruleDevice, "wallet.devices", "an attestation key of "+string(s.config.Self), "none")
		}
		return tokenKey{keyset.AttestationLabel(w.Name), [33]byte(named.Attestation)}, nil
	}
	i := slices.IndexFunc(devices, func(d keyset.DeviceKey) bool { return d.Signer == s.config.Self })
	if i < 0 {
		return tokenKey{}, refusal.New(ruleDevice, "pool", "a key of "+string(s.config.Self), "none")
	}
	return tokenKey{devices[i].Label, devices[i].Public}, nil
}

func signersOf(w canon.Wallet) []canon.Name {
	all := make([]canon.Name, len(w.Devices))
	for i, d := range w.Devices {
		all[i] = d.Signer
	}
	return all
}

// openKey finds a key in this signer's token for the wallet, with the public key that others know it by. A signature is worth nothing, and an address
// nothing but lost money, if the token has another.
func (s *Signer) openKey(ctx context.Context, w canon.Wallet, want tokenKey) (hsm.ECDSA, error) {
	device, ok := s.config.Devices[w.Name]
	if !ok {
		return nil, refusal.New(ruleDevice, "token", "a token for wallet "+string(w.Name)+" in this signer's configuration", "none")
	}
	key, err := device.Token.ECDSA(ctx, want.label, hsm.KeyClass{Restorable: w.Backup == canon.BackupWrap})
	if err != nil {
		return nil, tokenError(want, err)
	}
	if found := key.Public(); found != want.public {
		return nil, refusal.New(ruleDevice, "token.key "+want.label, fmt.Sprintf("public key %x", want.public), fmt.Sprintf("%x", found))
	}
	return key, nil
}

// tokenError turns what a token answered into what a coordinator can act upon: a refusal where trying again is in vain, Unavailable where the token may
// come back, FAILED_PRECONDITION where a person must give a PIN.
func tokenError(key tokenKey, err error) error {
	for _, final := range []error{hsm.ErrNoKey, hsm.ErrAmbiguous, hsm.ErrKeyAttributes, hsm.ErrUnsupported, hsm.ErrArgument} {
		if errors.Is(err, final) {
			return refusal.New(ruleDevice, "token.key "+key.label, fmt.Sprintf("one of public key %x, of the wallet's class", key.public), err.Error())
		}
	}
	if errors.Is(err, hsm.ErrPIN) {
		return status.Errorf(codes.FailedPrecondition, "device: key %s: expected an open token, found %v", key.label, err)
	}
	return status.Errorf(codes.Unavailable, "device: key %s: expected an answer of the token, found %v", key.label, err)
}

// checkToken makes sure, where this signer is a device of the wallet, that its token has the key that an address with these keys in devices needs.
func (s *Signer) checkToken(ctx context.Context, w canon.Wallet, devices []keyset.DeviceKey) error {
	if _, ok := deviceOf(w, s.config.Self); !ok {
		return nil
	}
	want, err := s.ownKey(w, devices)
	if err != nil {
		return err
	}
	_, err = s.openKey(ctx, w, want)
	return err
}
