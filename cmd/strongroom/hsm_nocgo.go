//go:build !cgo

package main

import (
	"context"
	"errors"

	"github.com/strongroom/strongroom/hsm"
)

// openToken says that this build cannot call a module.
func openToken(context.Context, hsmInventory, hsm.PIN) (hsm.Token, error) {
	return nil, errors.New("hsm: this build of strongroom has no PKCS#11: expected one with cgo")
}
