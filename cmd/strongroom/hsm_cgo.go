//go:build cgo

package main

import (
	"context"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// openToken opens the token in this process: should the vendor's module crash, an inventory is lost and nothing else.
func openToken(ctx context.Context, c hsmInventory, pin hsm.PIN) (hsm.Token, error) {
	return pkcs11.Open(ctx, pkcs11.Config{Module: c.Module, TokenLabel: c.Label, Serial: c.Serial, PIN: pin, Sessions: 1})
}
