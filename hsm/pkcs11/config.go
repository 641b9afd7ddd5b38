package pkcs11

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/strongroom/strongroom/hsm"
)

// Defaults and bounds of Config.
const (
	DefaultSessions = 4
	MaxSessions     = 64
	DefaultTimeout  = 10 * time.Second
	MaxTimeout      = 10 * time.Minute
)

// PIN is hsm.PIN.
type PIN = hsm.PIN

// Config names a token and how to use it.
type Config struct {
	// Module is the absolute path of the PKCS#11 module. A bare name would be searched for along the library path.
	Module string
	// TokenLabel is the token's label, 1 to 32 printable ASCII characters.
	TokenLabel string
	// Serial is the token's serial number. If it is empty, the label must fit only one token.
	Serial string
	// PIN is the user PIN. Open does not keep it; the caller may clear it afterwards.
	PIN PIN
	// Sessions is how many calls may run at once; 0 means DefaultSessions.
	Sessions int
	// Timeout bounds each operation on the token, and separately the wait for a free session; 0 means DefaultTimeout.
	Timeout time.Duration
	// Retry says that the login before this one failed, and may have counted as a wrong PIN: a token that counts one is not logged in to.
	Retry bool
	// LoggingIn, unless it is nil, is called right before the PIN goes to the token; an error of its keeps the PIN from it.
	LoggingIn func() error `json:"-"`
}

func (c Config) withDefaults() (Config, error) {
	if c.Sessions == 0 {
		c.Sessions = DefaultSessions
	}
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Sessions < 1 || c.Sessions > MaxSessions {
		return c, argument("sessions", fmt.Sprintf("1 to %d", MaxSessions), c.Sessions)
	}
	if c.Timeout < time.Millisecond || c.Timeout > MaxTimeout {
		return c, argument("timeout", fmt.Sprintf("1ms to %v", MaxTimeout), c.Timeout)
	}
	if err := checkModulePath(c.Module); err != nil {
		return c, err
	}
	if err := checkLabel("token label", c.TokenLabel, maxTokenLabel); err != nil {
		return c, err
	}
	if len(c.PIN) == 0 {
		// An empty PIN asks some modules for a PIN pad, others for no PIN at all.
		return c, argument("PIN", "at least one byte", "none")
	}
	return c, nil
}

const (
	maxTokenLabel = 32 // CK_TOKEN_INFO.label
	maxKeyLabel   = 140
)

func checkModulePath(path string) error {
	if !filepath.IsAbs(path) {
		return argument("module", "an absolute path", fmt.Sprintf("%q", path))
	}
	return nil
}

// checkLabel keeps labels to what survives every module unchanged: blanks at the end, for one, are padding in a token's label.
func checkLabel(field, label string, most int) error {
	if len(label) < 1 || len(label) > most {
		return argument(field, fmt.Sprintf("1 to %d characters", most), fmt.Sprintf("%d", len(label)))
	}
	for _, r := range label {
		if r < 0x20 || r > 0x7e {
			return argument(field, "printable ASCII", fmt.Sprintf("%q", label))
		}
	}
	if label[0] == ' ' || label[len(label)-1] == ' ' {
		return argument(field, "no blank at either end", fmt.Sprintf("%q", label))
	}
	return nil
}

func argument(field, expected string, found any) error {
	return fmt.Errorf("pkcs11: %w: %s: expected %s, found %v", hsm.ErrArgument, field, expected, found)
}
