package durable_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/durable"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// childMode is the argument by which this test's executable knows that it is a child.
const childMode = "hsm-child"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == childMode {
		opener := map[string]child.Opener{"pkcs11": openPKCS11, "slow": openSlow}[os.Args[2]]
		if err := child.Serve(context.Background(), opener); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func openPKCS11(ctx context.Context, o child.Opening) (hsm.Token, error) {
	token, err := pkcs11.Open(ctx, pkcs11.Config{
		Module: o.Module, TokenLabel: o.TokenLabel, Serial: o.Serial, PIN: o.PIN, Sessions: o.Sessions, Timeout: o.Timeout,
		Retry: o.Retry, LoggingIn: o.LoggingIn,
	})
	if err != nil {
		return nil, err
	}
	return token, nil
}

// openSlow is a device that takes 10 ms for a signature, and makes as many at once as it has sessions.
func openSlow(ctx context.Context, o child.Opening) (hsm.Token, error) {
	d := newDevice()
	sessions := make(chan struct{}, o.Sessions)
	d.sign = func(ctx context.Context) error {
		sessions <- struct{}{}
		defer func() { <-sessions }()
		<-time.After(10 * time.Millisecond)
		return nil
	}
	return d.open(ctx)
}

// inChild opens the token in a child process each time.
func inChild(cfg pkcs11.Config, mode string, variables ...string) durable.Opener {
	settings := child.Config{
		Args: []string{childMode, mode}, Env: child.Environment(append(variables, pkcs11.SoftHSMConf)...),
		Opening: child.Opening{Module: cfg.Module, TokenLabel: cfg.TokenLabel, Serial: cfg.Serial, PIN: cfg.PIN, Sessions: cfg.Sessions, Timeout: cfg.Timeout},
	}
	return child.Restarter(settings)
}

func startChild(t testing.TB, open durable.Opener, config durable.Config) *durable.Token {
	t.Helper()
	token, err := durable.New(t.Context(), open, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Error(err)
		}
	})
	return token
}
