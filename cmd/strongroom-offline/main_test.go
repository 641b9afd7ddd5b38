package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/ceremony"
	"github.com/strongroom/strongroom/internal/pin"
)

const (
	userPIN    = "314159"
	officerPIN = "27182818"
	passphrase = "correct horse battery"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"strongroom-offline": main, "make-token": makeToken, "make-kek": makeKEK, "make-shared-token": makeSharedToken})
}

// makeToken initialises a token with the label that is its argument and prints its serial number.
func makeToken() {
	info, err := pkcs11.InitToken(context.Background(), os.Getenv("MODULE"), os.Args[1], []byte(officerPIN), []byte(userPIN))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print(info.Serial)
}

// makeSharedToken initialises a token with a PIN of which any two of three shares, written to the files share-1 to share-3, give it back.
func makeSharedToken() {
	shared, lines, err := pin.Split(3, 2, 16, pin.Base32)
	if err == nil {
		_, err = pkcs11.InitToken(context.Background(), os.Getenv("MODULE"), os.Args[1], []byte(officerPIN), shared)
	}
	for i, line := range lines {
		err = errors.Join(err, pin.WriteFile(fmt.Sprintf("share-%d", i+1), line))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// makeKEK leaves a key-encryption key in the token, for the use, that a ceremony did not take away.
func makeKEK() {
	use := map[string]pkcs11.KEKUse{"wraps": pkcs11.KEKWraps, "unwraps": pkcs11.KEKUnwraps}[os.Args[2]]
	cfg := pkcs11.Config{Module: os.Getenv("MODULE"), TokenLabel: os.Args[1], PIN: []byte(officerPIN)}
	if err := pkcs11.CreateKEK(context.Background(), cfg, "strongroom-kek", use, &[32]byte{1}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func TestScripts(t *testing.T) {
	module, err := pkcs11.FindModule()
	if err != nil {
		t.Fatalf("this test needs real tokens: %v", err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			conf, err := pkcs11.WriteSoftHSMConf(filepath.Join(env.WorkDir, "softhsm"))
			env.Setenv(pkcs11.SoftHSMConf, conf)
			env.Setenv("MODULE", module)
			for name, secret := range map[string]string{"pin": userPIN, "sopin": officerPIN, "passphrase": passphrase, "wrong": "000000", "wrong-so": "00000000"} {
				err = errors.Join(err, os.WriteFile(filepath.Join(env.WorkDir, name), []byte(secret), 0o600))
			}
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "token": token, "person": newPerson, "fill": fill, "answers": answers,
			"flip": flip, "glob": glob, "signs": signs, "publics": publics, "digest": digest, "noted": noted, "agent": startAgent},
	})
}

// exits CODE STDIN COMMAND...: runs a command with a file, or - for nothing, at its standard input and holds its exit code against the first argument.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	path, err := exec.LookPath(args[2])
	ts.Check(err)
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(path, args[3:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
	if args[1] != "-" {
		in, err := os.Open(ts.MkAbs(args[1]))
		ts.Check(err)
		defer in.Close()
		cmd.Stdin = in
	}
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "SSH_AUTH_SOCK", pkcs11.SoftHSMConf} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	var failed *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &failed) {
		ts.Check(err)
	}
	ts.Logf("%s%s", stdout.String(), stderr.String())
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o600))
	if found := cmd.ProcessState.ExitCode(); found != want {
		ts.Fatalf("expected exit code %d, found %d", want, found)
	}
	for _, secret := range []string{userPIN, officerPIN, passphrase} {
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			ts.Fatalf("a secret in the output")
		}
	}
}

// token VARIABLE LABEL: makes a token and puts its serial number into the variable.
func token(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(ts.Exec("make-token", args[1]))
	ts.Setenv(args[0], ts.ReadFile("stdout"))
}

// person NAME...: makes a key file for each, and puts the public key into the variable NAME.
func newPerson(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Check(ts.Exec("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", name, "-f", ts.MkAbs(name)))
		ts.Setenv(name, strings.TrimSpace(ts.ReadFile(name+".pub")))
	}
}

// signs NAME FILE: has ssh-keygen sign a file for somebody, whose key it is given without its passphrase.
func signs(ts *testscript.TestScript, neg bool, args []string) {
	open := ts.MkAbs(args[0] + ".open")
	ts.Check(os.WriteFile(open, []byte(ts.ReadFile(args[0])), 0o600))
	ts.Check(ts.Exec("ssh-keygen", "-q", "-p", "-P", passphrase, "-N", "", "-f", open))
	ts.Check(ts.Exec("ssh-keygen", "-q", "-Y", "sign", "-n", "strongroom-ceremony@v1", "-f", open, ts.MkAbs(args[1])))
}

// fill FILE...: replaces ${VARIABLE} in files.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(os.Expand(ts.ReadFile(name), ts.Getenv)), 0o600))
	}
}

// answers FILE TIMES NAME...: writes names, one a line, so many times.
func answers(ts *testscript.TestScript, neg bool, args []string) {
	times, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Repeat(strings.Join(args[2:], "\n")+"\n", times)), 0o600))
}

// flip FILE OLD NEW: replaces text of the same length in a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	before := ts.ReadFile(args[0])
	after := strings.Replace(before, args[1], args[2], 1)
	if before == after || len(before) != len(after) {
		ts.Fatalf("expected %q in %s, and as long as %q", args[1], args[0], args[2])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(after), 0o600))
}

// glob VARIABLE PATTERN: puts the one file that fits into the variable.
func glob(ts *testscript.TestScript, neg bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if len(found) != 1 {
		ts.Fatalf("expected one file, found %v", found)
	}
	ts.Setenv(args[0], found[0])
}

// startAgent NAME: starts an ssh-agent that holds somebody's key.
func startAgent(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ssh.ParseRawPrivateKeyWithPassphrase([]byte(ts.ReadFile(args[0])), []byte(passphrase))
	ts.Check(err)
	ring := agent.NewKeyring()
	ts.Check(ring.Add(agent.AddedKey{PrivateKey: key}))
	dir, err := os.MkdirTemp("", "agent") // a socket's path must be short
	ts.Check(err)
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	ts.Check(err)
	ts.Defer(func() { ts.Check(errors.Join(l.Close(), os.RemoveAll(dir))) })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_ = agent.ServeAgent(ring, conn) // ends with the client
			_ = conn.Close()
		}
	}()
	ts.Setenv("SSH_AUTH_SOCK", filepath.Join(dir, "s"))
}

// publics FILE OUT: writes labels and public keys of a report in JSON.
func publics(ts *testscript.TestScript, neg bool, args []string) {
	var report ceremony.Report
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(ts.MkAbs(args[0]))), &report))
	var b strings.Builder
	for _, k := range report.Keys {
		fmt.Fprintf(&b, "%s %s\n", k.Label, k.Public)
	}
	if len(report.Keys) == 0 {
		ts.Fatalf("expected keys, found none")
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(b.String()), 0o600))
}

// noted FILE: puts a transcript's digest into NOTED, and the first four of its words into WORDS, as somebody takes them down in the room.
func noted(ts *testscript.TestScript, neg bool, args []string) {
	report, err := ceremony.Verify(ts.MkAbs(args[0]), ceremony.Expected{Aborted: true})
	if report == nil {
		ts.Check(err)
		return
	}
	ts.Setenv("NOTED", report.Digest)
	ts.Setenv("WORDS", strings.Join(report.Words[:4], " "))
}

// digest VARIABLE FILE: puts the SHA-256 of a file into the variable, in hexadecimal.
func digest(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv(args[0], fmt.Sprintf("%x", sha256.Sum256([]byte(ts.ReadFile(args[1])))))
}
