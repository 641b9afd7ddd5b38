package pkcs11

import (
	"context"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// Cryptoki is what a test may put between a Token and the module.
type Cryptoki = cryptoki

// Modules is a process's modules, for tests that need their own.
type Modules struct{ r *modules }

// NewModules loads real modules and passes them through wrap.
func NewModules(wrap func(Cryptoki) Cryptoki) *Modules {
	return &Modules{newModules(func(path string) (cryptoki, error) {
		c, err := process.load(path)
		if err != nil {
			return nil, err
		}
		return wrap(c), nil
	})}
}

// Open is Open on these modules.
func (m *Modules) Open(ctx context.Context, cfg Config) (*Token, error) { return open(ctx, m.r, cfg) }

// OnSession runs raw PKCS#11 calls on a session of the token's pool.
func OnSession(t *Token, f func(c *p11.Ctx, s p11.SessionHandle) error) error {
	_, err := onSession(context.Background(), t, "test", func(c cryptoki, s p11.SessionHandle) (struct{}, error) {
		real := c.(*module).cryptoki
		if stand, ok := real.(interface{ Real() Cryptoki }); ok {
			real = stand.Real()
		}
		return struct{}{}, f(real.(*p11.Ctx), s)
	})
	return err
}

// ParsePoint is parsePoint.
var ParsePoint = parsePoint

// FirstFile is firstFile.
var FirstFile = firstFile

// ParseECPoint is parseECPoint.
var ParseECPoint = parseECPoint

// CheckECDSA is checkECDSA.
var CheckECDSA = checkECDSA

// Profiles are the names, by type, of the attributes that a secp256k1 private key and its public key are checked for.
func Profiles(class hsm.KeyClass) (private, public map[uint]string) {
	names := func(p profile) map[uint]string {
		all := map[uint]string{}
		for _, a := range slices.Concat(p.declared, p.found) {
			all[a.kind] = a.name
		}
		return all
	}
	return names(ecdsaPrivate(class, false)), names(ecdsaPublic(false))
}
