package child_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// A program that does not say that it is hardened is never told the PIN.
func TestThePINWaitsUntilTheChildIsHardened(t *testing.T) {
	got := filepath.Join(t.TempDir(), "got")
	for name, script := range map[string]string{
		"silent":       "exec cat <&3 >" + got,
		"out of order": `printf '\000\000\000\011\210\000\100\140\000\100\366\364\002' >&3; exec cat <&3 >` + got,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := child.Start(t.Context(), child.Config{
				Command: "/bin/sh", Args: []string{"-c", script}, OpenTimeout: 300 * time.Millisecond,
				Opening: child.Opening{Module: "/m", TokenLabel: "l", PIN: hsm.PIN(hsmtest.UserPIN)},
			})
			if !errors.Is(err, hsm.ErrTimeout) && !errors.Is(err, hsm.ErrTokenLost) {
				t.Errorf("got %v, want ErrTimeout or ErrTokenLost", err)
			}
			if b, err := os.ReadFile(got); err == nil && len(b) > 0 {
				t.Errorf("a program that hardened nothing was told %q", b)
			}
			wantNoChild(t)
		})
	}
}

// Whoever runs as the same user can open the pipes of a process through /proc, and write requests into them. Sockets cannot be opened.
func TestNobodyCanOpenWhatTheChildIsToldThrough(t *testing.T) {
	start(t, configured(t, "pkcs11"))
	pid := childOf(t)
	paths := []string{fmt.Sprintf("/proc/%d/fd/3", pid)} // where the child reads
	for _, path := range must[[]string](t)(filepath.Glob("/proc/self/fd/*")) {
		if link, err := os.Readlink(path); err == nil && strings.HasPrefix(link, "socket:") {
			paths = append(paths, path)
		}
	}
	if len(paths) < 2 {
		t.Errorf("expected both ends of a pair of sockets, found %v", paths)
	}
	for _, path := range paths {
		if f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
			t.Errorf("%s can be opened", path)
			_ = f.Close()
		}
	}
}

// Until the child begins to log in, its end cost no try at the PIN; from then on nobody knows.
func TestAnEndDuringTheLoginIsToldApart(t *testing.T) {
	for mode, want := range map[string]struct {
		kind  error
		login bool
	}{
		"crash at opening": {hsm.ErrTokenLost, false}, "hang at opening": {hsm.ErrTimeout, false},
		"crash at login": {hsm.ErrTokenLost, true}, "hang at login": {hsm.ErrTimeout, true},
	} {
		t.Run(mode, func(t *testing.T) {
			cfg := configured(t, mode)
			cfg.OpenTimeout = time.Second
			_, err := child.Start(t.Context(), cfg)
			wantError(t, err, want.kind)
			if errors.Is(err, hsm.ErrLogin) != want.login {
				t.Errorf("expected ErrLogin %v, found %v", want.login, err)
			}
		})
	}
	cfg := configured(t, "pkcs11")
	cfg.Opening.PIN = hsm.PIN("271828")
	_, err := child.Start(t.Context(), cfg)
	wantError(t, err, hsm.ErrPIN)
	if errors.Is(err, hsm.ErrLogin) {
		t.Errorf("a refused PIN is known to be one, found %v", err)
	}
	// The token counts a wrong PIN now: a login that is tried again is not.
	cfg.Opening.PIN, cfg.Opening.Retry = hsm.PIN(hsmtest.UserPIN), true
	_, err = child.Start(t.Context(), cfg)
	wantError(t, err, hsm.ErrPINLocked)
	cfg.Opening.Retry = false
	start(t, cfg)
}

// Another token with the label, put in the place of the one that was opened first, is not given the PIN.
func TestARestartedChildOpensTheSameToken(t *testing.T) {
	cfg := configured(t, "pkcs11")
	label := cfg.Opening.TokenLabel
	cfg.Opening.Serial = ""
	restart := child.Restarter(cfg)
	first := must[hsm.Token](t)(restart(t.Context()))
	must0(first.Close())
	stored := filepath.Join(filepath.Dir(os.Getenv(pkcs11.SoftHSMConf)), "tokens")
	must0(os.Rename(stored, stored+".away"))
	must0(os.Mkdir(stored, 0o700))
	other := must[hsm.Info](t)(pkcs11.InitToken(t.Context(), cfg.Opening.Module, label, hsm.PIN(hsmtest.SecurityOfficerPIN), hsm.PIN("271828")))
	_, err := restart(t.Context())
	wantError(t, err, hsm.ErrNoToken)
	_, err = child.Restarter(cfg)(t.Context())
	wantError(t, err, hsm.ErrPIN) // what the other token, the only one with the label, says to it
	if other.Serial == first.Info().Serial {
		t.Fatal("expected another serial number")
	}
	must0(os.RemoveAll(stored))
	must0(os.Rename(stored+".away", stored))
	again := must[hsm.Token](t)(restart(t.Context()))
	if !bytes.Equal([]byte(again.Info().Serial), []byte(first.Info().Serial)) {
		t.Errorf("serial number %q, want %q", again.Info().Serial, first.Info().Serial)
	}
	must0(again.Close())
}
