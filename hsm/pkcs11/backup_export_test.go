package pkcs11

import (
	"context"

	p11 "github.com/miekg/pkcs11"
)

// AsOfficer runs raw PKCS#11 calls in a session of the security officer.
func AsOfficer(cfg Config, f func(c *p11.Ctx, s p11.SessionHandle) error) error {
	return asOfficer(context.Background(), process, cfg, "test", func(c cryptoki, s p11.SessionHandle) error {
		return f(c.(*module).cryptoki.(*p11.Ctx), s)
	})
}
