// Package hsmtest gives tests a real token in SoftHSM, in a directory that goes away with the test.
//
// SoftHSM reads its configuration once, when a process first uses it and no token is open. So all tokens of one test, with
// its subtests, share one directory, and a test must close the tokens it opened: Open does so by itself. Tests that use
// this package cannot run in parallel. Where SoftHSM is missing the test fails.
package hsmtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// PINs of the tokens that NewToken makes.
const (
	UserPIN            = "314159"
	SecurityOfficerPIN = "27182818"
)

// current is the SoftHSM configuration of the test that runs now.
var current struct {
	sync.Mutex
	conf string
	made int
}

// NewToken makes a token with a label of its own and returns how to open it. The token is not open yet. The second and
// later calls of a test add tokens to the first one's directory.
func NewToken(t testing.TB) pkcs11.Config {
	t.Helper()
	module, err := pkcs11.FindModule()
	if err != nil {
		t.Fatalf("this test needs a real token: %v", err)
	}
	cfg := pkcs11.Config{Module: module, TokenLabel: nextLabel(t), PIN: []byte(UserPIN)}
	info, err := pkcs11.InitToken(context.Background(), module, cfg.TokenLabel, []byte(SecurityOfficerPIN), cfg.PIN)
	if err != nil {
		t.Fatalf("setting up a SoftHSM token (did an earlier test leave one open?): %v", err)
	}
	cfg.Serial = info.Serial
	return cfg
}

// Open makes a token, opens it, and closes it when the test ends.
func Open(t testing.TB) *pkcs11.Token {
	t.Helper()
	cfg := NewToken(t)
	return OpenConfig(t, cfg)
}

// OpenConfig opens a token that NewToken made, and closes it when the test ends.
func OpenConfig(t testing.TB, cfg pkcs11.Config) *pkcs11.Token {
	t.Helper()
	token, err := pkcs11.Open(context.Background(), cfg)
	if err != nil {
		t.Fatalf("opening a SoftHSM token: %v", err)
	}
	t.Cleanup(func() {
		if err := token.Close(); err != nil {
			t.Errorf("closing a SoftHSM token: %v", err)
		}
	})
	return token
}

// nextLabel points SoftHSM to this test's directory, if that was not done yet, and returns a label that is new there.
func nextLabel(t testing.TB) string {
	t.Helper()
	current.Lock()
	defer current.Unlock()
	if current.conf == "" || os.Getenv(pkcs11.SoftHSMConf) != current.conf {
		conf, err := pkcs11.WriteSoftHSMConf(memoryDir(t))
		if err != nil {
			t.Fatalf("writing SoftHSM's configuration: %v", err)
		}
		t.Setenv(pkcs11.SoftHSMConf, conf)
		current.conf = conf
		t.Cleanup(func() {
			current.Lock()
			defer current.Unlock()
			current.conf = ""
		})
	}
	current.made++
	return fmt.Sprintf("test-%d", current.made)
}

// memoryDir is a directory that goes away with the test, in memory where there is a file system for that: SoftHSM waits for the disk at every change.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "softhsm")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
