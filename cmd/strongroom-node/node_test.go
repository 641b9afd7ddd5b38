package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/proto/canon"
)

// mainArgument has this test's executable be strongroom-node with the arguments after it.
const mainArgument = "as-strongroom-node"

// TestMain lets this test's executable be the child process of a token, as strongroom-node is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == mainArgument {
		os.Args = append(os.Args[:1], os.Args[2:]...)
		main()
		os.Exit(0)
	}
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		if err := (childCommand{}).Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	check(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// initialised runs init on a token of SoftHSM and returns its answer.
func initialised(t *testing.T, c initCommand) made {
	t.Helper()
	var out bytes.Buffer
	c.JSON = true
	check(t, c.run(t.Context(), &out))
	var m made
	check(t, json.Unmarshal(out.Bytes(), &m))
	return m
}

func commandFor(t *testing.T) initCommand {
	t.Helper()
	cfg := hsmtest.NewToken(t)
	return initCommand{
		tokenFlags: tokenFlags{Module: cfg.Module, Label: cfg.TokenLabel, PINFile: write(t, "pin", string(cfg.PIN)+"\n")},
		Identity:   "strongroom-identity", Sealing: "strongroom-sealing",
	}
}

func TestInitMakesTheKeysOnce(t *testing.T) {
	c := commandFor(t)
	first := initialised(t, c)
	if _, err := canon.ParsePublicKey(first.Identity); err != nil {
		t.Error(err)
	}
	if again := initialised(t, c); !reflect.DeepEqual(again, first) {
		t.Errorf("expected %v again, found %v", first, again)
	}
	var out bytes.Buffer
	check(t, c.run(t.Context(), &out))
	if out.String() != first.Identity+"\n" {
		t.Errorf("expected the public key alone, found %q", out.String())
	}
}

func TestInitSetsUpAFreshTokenAndNoOther(t *testing.T) {
	c := commandFor(t)
	c.InitToken, c.SOPINFile = true, write(t, "so-pin", "27182818")
	if err := c.run(t.Context(), &bytes.Buffer{}); !errors.Is(err, hsm.ErrTokenExists) {
		t.Errorf("a token that is initialised: expected ErrTokenExists, found %v", err)
	}
	c.Label = "another"
	if m := initialised(t, c); m.Token != "another" || m.Identity == "" {
		t.Errorf("expected keys in token another, found %v", m)
	}
}

func TestSecretsThatOthersCanReadAreRefused(t *testing.T) {
	c := commandFor(t)
	check(t, os.Chmod(c.PINFile, 0o640))
	if err := c.run(t.Context(), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "mode") {
		t.Errorf("expected an error about the mode, found %v", err)
	}
}

// organisation compiles the documented example with this node's identity and returns the genesis file and its digest.
func organisation(t *testing.T, identity string) (path, digest string) {
	t.Helper()
	text := strings.ReplaceAll(genesis.Example, strings.Repeat("0b", 32), identity)
	c, err := genesis.Build([]byte(text), []byte(genesis.ExampleBook))
	check(t, err)
	return write(t, "genesis.cbor", string(c.Document)), c.Digest.String()
}

// configured writes a configuration for the token's node.
func configured(t *testing.T, c initCommand, genesisPath, digest, extra string) string {
	t.Helper()
	data := t.TempDir()
	check(t, os.Chmod(data, 0o700))
	return write(t, "node.toml", fmt.Sprintf(`organisation = %q
genesis = %q
name = "node-1"
data = %q
listen = "127.0.0.1:0"
%s
[token]
module = %q
label = %q
pin_file = %q
identity = %q
sealing = %q
[peers]
node-2 = "127.0.0.1:1"
`, digest, genesisPath, data, extra, c.Module, c.Label, c.PINFile, c.Identity, c.Sealing))
}

// awaited is a log that tells when a line with a message came.
type awaited struct {
	mu      sync.Mutex
	text    bytes.Buffer
	message string
	came    chan struct{}
}

func (a *awaited) Write(b []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if bytes.Contains(b, []byte(a.message)) {
		close(a.came)
	}
	return a.text.Write(b)
}

func (a *awaited) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.text.String()
}

func TestANodeRunsSaysWhereAndStops(t *testing.T) {
	c := commandFor(t)
	genesisPath, digest := organisation(t, initialised(t, c).Identity)
	path := configured(t, c, genesisPath, digest, "")
	log := &awaited{message: `"msg":"listening"`, came: make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, path, slog.New(slog.NewJSONHandler(log, nil))) }()
	select {
	case <-log.came:
	case err := <-ended:
		t.Fatalf("expected a node that listens, found it ended: %v", err)
	}
	loaded, hash, err := loadConfig(path)
	check(t, err)
	address, err := loaded.address()
	check(t, err)
	if _, port, err := net.SplitHostPort(address); err != nil || port == "0" {
		t.Errorf("address file: expected the port that the system picked, found %q", address)
	}
	var out bytes.Buffer
	check(t, statusCommand{Config: path, JSON: true}.run(t.Context(), &out))
	var s status
	check(t, json.Unmarshal(out.Bytes(), &s))
	if s.Signer != "node-1" || s.LedgerLength != 1 || s.Address != address || s.Charter != 1 || s.CharterDigest != digest || s.Hindrance != "" {
		t.Errorf("status: expected node-1 with one record, found %+v", s)
	}
	if build := executable(t); s.Build != build || !strings.Contains(log.said(), build) {
		t.Errorf("build: expected %s in status and log, found %s", build, s.Build)
	}
	stop()
	check(t, <-ended)
	if _, err := os.Stat(loaded.addressFile()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("address file: expected none after the end, found %v", err)
	}
	if build, err := loaded.build(); build != "" || err != nil {
		t.Errorf("build file: expected none after the end, found %q, %v", build, err)
	}
	out.Reset()
	check(t, verifyCommand{Config: path, JSON: true}.run(&out))
	var v verified
	check(t, json.Unmarshal(out.Bytes(), &v))
	if v.Length != 1 || v.Head != s.LedgerHead || v.Organisation != digest || v.Incomplete {
		t.Errorf("ledger: expected the record that status told of, found %+v", v)
	}
	text := log.said()
	if !strings.Contains(text, hash) || strings.Contains(text, hsmtest.UserPIN) {
		t.Errorf("log: expected the configuration's hash and no PIN, found %s", text)
	}
}

// A node without a share, such as one that signs with a token, makes a ledger once and no second one.
func TestALedgerThatVanishedIsNotReplaced(t *testing.T) {
	c := commandFor(t)
	genesisPath, digest := organisation(t, initialised(t, c).Identity)
	path := configured(t, c, genesisPath, digest, "")
	loaded, _, err := loadConfig(path)
	check(t, err)
	serves := func(path string) error {
		log := &awaited{message: `"msg":"listening"`, came: make(chan struct{})}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, path, slog.New(slog.NewJSONHandler(log, nil))) }()
		select {
		case <-log.came:
			stop()
			if err := <-ended; !errors.Is(err, grpc.ErrServerStopped) { // before it began to serve
				return err
			}
			return nil
		case err := <-ended:
			return err
		}
	}
	check(t, serves(path))
	check(t, serves(path))
	check(t, os.RemoveAll(filepath.Join(loaded.Data, ledgerDirectory)))
	for name, path := range map[string]string{"the ledger is gone": path, "everything is gone": configured(t, c, genesisPath, digest, "")} {
		if err := serves(path); !errors.Is(err, ledger.ErrMissing) {
			t.Errorf("%s: expected ErrMissing, found %v", name, err)
		}
	}
}

// executable is the SHA-256 of the file that this test runs from.
func executable(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	check(t, err)
	b, err := os.ReadFile(path)
	check(t, err)
	return canon.Digest(sha256.Sum256(b)).String()
}

func TestANodeRefusesAnotherOrganisationAndAnotherIdentity(t *testing.T) {
	c := commandFor(t)
	identity := initialised(t, c).Identity
	genesisPath, digest := organisation(t, identity)
	quiet := slog.New(slog.DiscardHandler)
	other := configured(t, c, genesisPath, strings.Repeat("ab", 32), "")
	if err := run(t.Context(), other, quiet); err == nil || !strings.Contains(err.Error(), digest) {
		t.Errorf("another digest: expected an error that names %s, found %v", digest, err)
	}
	strange, strangeDigest := organisation(t, strings.Repeat("0b", 32))
	if err := run(t.Context(), configured(t, c, strange, strangeDigest, ""), quiet); err == nil || !strings.Contains(err.Error(), identity) {
		t.Errorf("another identity: expected an error that names %s, found %v", identity, err)
	}
}

func TestConfigurationIsStrict(t *testing.T) {
	c := initCommand{tokenFlags: tokenFlags{Module: "/m", Label: "l", PINFile: "/p"}, Identity: "i", Sealing: "s"}
	good := configured(t, c, "/genesis", strings.Repeat("ab", 32), "")
	_, _, err := loadConfig(good)
	check(t, err)
	if _, _, err := loadConfig(configured(t, c, "/genesis", strings.Repeat("ab", 32), "colour = 1")); err == nil || !strings.Contains(err.Error(), "colour") {
		t.Errorf("unknown key: expected an error that names it, found %v", err)
	}
	text, err := os.ReadFile(good)
	check(t, err)
	for from, to := range map[string]string{
		`name = "node-1"`: `name = "Node 1"`, `"127.0.0.1:0"`: `"localhost"`, `label = "l"`: `label = ""`, strings.Repeat("ab", 32): "ab",
		`node-2 = "127.0.0.1:1"`: "", `genesis = "/genesis"`: "",
	} {
		if _, _, err := loadConfig(write(t, "bad.toml", strings.Replace(string(text), from, to, 1))); err == nil {
			t.Errorf("%s for %s: expected an error, found none", to, from)
		}
	}
}

func TestTheExampleIsAConfiguration(t *testing.T) {
	var c configFile
	_, err := config.Load(write(t, "example.toml", example), &c)
	check(t, err)
	check(t, c.check())
	if len(c.bitcoin()) != 1 || len(c.evm()) != 1 {
		t.Errorf("expected a node of each kind of chain, found %d and %d", len(c.bitcoin()), len(c.evm()))
	}
}

func TestChainsOfTheConfigurationAreChecked(t *testing.T) {
	for from, to := range map[string]string{
		`chain = "eip155:1337"`: `chain = ""`, `url = "http://127.0.0.1:8545"`: `url = ""`, "start_height = 0": "start_height = -1", `genesis = ""  `: `genesis = "0x12"  `,
		`chain = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"`: `chain = "eip155:1337"`, `timeout = "15s"`: `timeout = "15"`, `password_file`: `password`,
	} {
		if !strings.Contains(example, from) {
			t.Fatalf("expected %s in the example, found none", from)
		}
		if _, _, err := loadConfig(write(t, "bad.toml", strings.Replace(example, from, to, 1))); err == nil {
			t.Errorf("%s for %s: expected an error, found none", to, from)
		}
	}
}

// A node that is away keeps no signer from starting: it is dialled when it is needed, and says then what is wrong.
func TestChainsAreDialledLater(t *testing.T) {
	c := configFile{Bitcoin: []bitcoinConfig{{Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", URL: "http://127.0.0.1:1", User: "u", PasswordFile: write(t, "password", "secret")}},
		EVM: []evmConfig{{Chain: "eip155:1337", URL: "http://127.0.0.1:1/key"}}}
	check(t, c.checkChains())
	for _, b := range c.bitcoin() {
		if _, err := b.Dial(t.Context()); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("expected an error without the password, found %v", err)
		}
	}
	for _, e := range c.evm() {
		if _, err := e.Dial(t.Context()); err == nil || strings.Contains(err.Error(), "key") {
			t.Errorf("expected an error without the URL's path, found %v", err)
		}
	}
}
