package hsmtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// clientPlaces is where p11-kit's client module lies.
var clientPlaces = []string{
	"/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
	"/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
	"/usr/lib64/pkcs11/p11-kit-client.so",
	"/usr/lib/pkcs11/p11-kit-client.so",
}

// P11Kit is a p11-kit server of its own process that serves a SoftHSM token over a socket, as a network HSM would. It can be held up and killed. It passes
// on secp256k1, HMAC, RSA and plain AES; to Ed25519, AES-GCM and AES key wrapping it answers CKR_MECHANISM_INVALID.
type P11Kit struct {
	t        testing.TB
	provider string
	label    string
	socket   string
	server   *exec.Cmd
	ended    chan error
}

// socketDir is one per process: the client module reads the server's address once, when it is loaded. It is made anew for each test.
var socketDir = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "p11kit")
	if err != nil {
		return "", err
	}
	return dir, os.Remove(dir)
})

// StartP11Kit serves a token that NewToken made, and returns the server with how to open the token through it. One test can have one server.
func StartP11Kit(t testing.TB, cfg pkcs11.Config) (*P11Kit, pkcs11.Config) {
	t.Helper()
	client := ""
	for _, path := range clientPlaces {
		if _, err := os.Stat(path); err == nil && client == "" {
			client = path
		}
	}
	if client == "" {
		t.Fatalf("this test needs p11-kit (Debian: apt-get install p11-kit p11-kit-modules): none of %s", strings.Join(clientPlaces, ", "))
	}
	dir, err := socketDir()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatalf("making the socket's directory (has this test a server already?): %v", err)
	}
	k := &P11Kit{t: t, provider: cfg.Module, label: cfg.TokenLabel, socket: filepath.Join(dir, "sock")}
	t.Setenv("P11_KIT_SERVER_ADDRESS", "unix:path="+k.socket)
	t.Cleanup(func() {
		k.Kill()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	k.Start()
	cfg.Module = client
	return k, cfg
}

// Start starts the server, and again after Kill.
func (k *P11Kit) Start() {
	k.t.Helper()
	if err := os.Remove(k.socket); err != nil && !os.IsNotExist(err) {
		k.t.Fatal(err)
	}
	server := exec.Command("p11-kit", "server", "--foreground", "--sh", "--provider", k.provider, "--name", k.socket, "pkcs11:token="+k.label)
	// A process group of its own, since it serves each client in a child.
	server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stderr strings.Builder
	server.Stderr = &stderr
	out, err := server.StdoutPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		k.t.Fatalf("starting p11-kit: %v", err)
	}
	k.server, k.ended = server, make(chan error, 1)
	listening := make(chan struct{})
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), "P11_KIT_SERVER_ADDRESS=") {
				close(listening) // it prints this once, when it listens
			}
		}
		k.ended <- server.Wait()
	}()
	select {
	case <-listening:
	case err := <-k.ended:
		k.server = nil
		k.t.Fatalf("p11-kit ended: %v: %s", err, stderr.String())
	case <-time.After(time.Minute):
		k.t.Fatal("p11-kit does not listen")
	}
}

// Stop holds the server and its children up: calls into the module hang.
func (k *P11Kit) Stop() { k.signal(syscall.SIGSTOP) }

// Continue lets them go on.
func (k *P11Kit) Continue() { k.signal(syscall.SIGCONT) }

// Kill ends them at once and waits until the server is gone.
func (k *P11Kit) Kill() {
	if k.server == nil {
		return
	}
	k.signal(syscall.SIGKILL)
	select {
	case <-k.ended:
	case <-time.After(time.Minute):
		k.t.Error("p11-kit does not end")
	}
	k.server = nil
}

func (k *P11Kit) signal(s syscall.Signal) {
	if err := syscall.Kill(-k.server.Process.Pid, s); err != nil {
		k.t.Error(fmt.Errorf("signal %v to the p11-kit server: %w", s, err))
	}
}
