package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
	"github.com/strongroom/strongroom/wallets/keyset"
)

var quiet = slog.New(slog.DiscardHandler)

func files(t *testing.T, directory string) (paths []string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	check(t, err)
	for _, e := range entries {
		paths = append(paths, filepath.Join(directory, e.Name()))
		info, err := e.Info()
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s: expected mode 0600, found %s", e.Name(), info.Mode())
		}
	}
	return paths
}

// A PIN of which nobody knows anything: three persons get shares, the token is set up with two of them, and the node starts with another two.
func TestATokenWhosePINIsShared(t *testing.T) {
	shares := t.TempDir()
	check(t, splitCommand{Shares: 3, Needed: 2, Out: shares, Length: 20}.Run())
	paths := files(t, shares)
	if len(paths) != 3 {
		t.Fatalf("expected 3 files, found %v", paths)
	}
	c := commandFor(t)
	c.Label, c.PINFile, c.PINShare = "shared", "", paths[:2]
	c.InitToken, c.SOPINFile = true, write(t, "so-pin", "27182818")
	initialised(t, c)
	open := func(shares ...string) error {
		token, err := tokenConfig{Module: c.Module, Label: c.Label, PINShares: shares}.open(t.Context(), quiet)
		if err != nil {
			return err
		}
		return token.Close()
	}
	check(t, open(paths[2], paths[0]))
	err := open(paths[1])
	if refusal.Of(err) == nil || !strings.Contains(err.Error(), "2 of the 3") {
		t.Errorf("one share: expected a refusal, found %v", err)
	}
	check(t, splitCommand{Shares: 3, Needed: 2, Out: t.TempDir(), Length: 20, PINFile: filepath.Join(shares, "pin")}.Run())
	if err := open(paths[0], filepath.Join(shares, "pin")); refusal.Of(err) == nil || errors.Is(err, hsm.ErrPIN) {
		t.Errorf("a file that is no share: expected a refusal before the token is asked, found %v", err)
	}
	if err := (splitCommand{Shares: 3, Needed: 2, Out: shares, Length: 20}).Run(); !errors.Is(err, os.ErrExist) {
		t.Errorf("shares that are there: expected ErrExist, found %v", err)
	}
	if n := len(files(t, shares)); n != 4 {
		t.Errorf("expected the 4 files that were there, found %d", n)
	}
}

func TestAWrongPINIsReportedAsOne(t *testing.T) {
	c := commandFor(t)
	_, err := tokenConfig{Module: c.Module, Label: c.Label, PINFile: write(t, "pin", "271828")}.open(t.Context(), quiet)
	if !errors.Is(err, hsm.ErrPIN) || strings.Contains(err.Error(), "271828") {
		t.Errorf("expected ErrPIN without the PIN, found %v", err)
	}
}

func TestAnIdentityThatTheTokenSeals(t *testing.T) {
	c := commandFor(t)
	c.Identity, c.Data = sealedIdentity, filepath.Join(t.TempDir(), "data")
	first := initialised(t, c)
	if again := initialised(t, c); again.Identity != first.Identity {
		t.Errorf("expected identity %s again, found %s", first.Identity, again.Identity)
	}
	if paths := files(t, c.Data); len(paths) != 1 {
		t.Errorf("expected the sealed identity alone, found %v", paths)
	}
	node := configFile{Data: c.Data, Token: ownTokenConfig{tokenConfig{Module: c.Module, Label: c.Label, PINFile: c.PINFile}, c.Identity, c.Sealing}}
	k, err := node.keys(t.Context(), quiet)
	check(t, err)
	if found := canon.PublicKey(k.identity.Ed25519()).String(); found != first.Identity {
		t.Errorf("expected identity %s, found %s", first.Identity, found)
	}
	if text := fmt.Sprintf("%v %+v %#v", k.identity, k.identity, k.identity); text != "[redacted] [redacted] [redacted]" {
		t.Errorf("the identity prints as %s", text)
	}
	check(t, k.token.Close())

	path := filepath.Join(c.Data, identityFile)
	b, err := os.ReadFile(path)
	check(t, err)
	b[len(b)-1] ^= 1
	check(t, os.WriteFile(path, b, 0o600))
	if err := c.run(t.Context(), &bytes.Buffer{}); !errors.Is(err, hsm.ErrAuthentication) {
		t.Errorf("a changed file: expected ErrAuthentication and no new identity, found %v", err)
	}
	c.Data = ""
	if err := c.run(t.Context(), &bytes.Buffer{}); err == nil {
		t.Error("no data directory: expected an error, found none")
	}
}

func TestInitMakesAttestationKeysOnce(t *testing.T) {
	c := commandFor(t)
	c.Attest = []canon.Name{"eth-vault", "eth-other"}
	first := initialised(t, c)
	if again := initialised(t, c); first.Attestations["eth-vault"] != again.Attestations["eth-vault"] || len(first.Attestations) != 2 {
		t.Errorf("expected the same two keys again, found %v and %v", first.Attestations, again.Attestations)
	}
	if key, err := hex.DecodeString(first.Attestations["eth-other"]); err != nil || len(key) != 33 {
		t.Errorf("expected a compressed key, found %q", first.Attestations["eth-other"])
	}
	var out bytes.Buffer
	check(t, c.run(t.Context(), &out))
	if !strings.Contains(out.String(), "attestation eth-vault "+first.Attestations["eth-vault"]+"\n") {
		t.Errorf("expected the attestation keys in the text, found %s", out.String())
	}
}

// opened opens the node's tokens as run does.
func opened(t *testing.T, c *configFile) *tokens {
	t.Helper()
	own, err := c.Token.open(t.Context(), quiet)
	check(t, err)
	o := &tokens{configs: []tokenConfig{c.Token.tokenConfig}, opened: []*openToken{own}}
	t.Cleanup(func() { check(t, errors.Join(o.close(), own.Close())) })
	return o
}

func TestDevicesShareTokens(t *testing.T) {
	c, other := commandFor(t), hsmtest.NewToken(t)
	own := tokenConfig{Module: c.Module, Label: c.Label, PINFile: c.PINFile}
	vault := tokenConfig{Module: other.Module, Label: other.TokenLabel, Serial: other.Serial, PINFile: c.PINFile}
	file := &configFile{Token: ownTokenConfig{tokenConfig: own}, Devices: []deviceConfig{{"a", own}, {"b", vault}, {"c", vault}}}
	check(t, file.checkDevices())
	o := opened(t, file)
	devices, err := file.devices(t.Context(), o, quiet)
	check(t, err)
	if devices["a"].Token != o.opened[0] || devices["b"].Token != devices["c"].Token || devices["a"].Token == devices["b"].Token || len(o.opened) != 2 {
		t.Error("expected two tokens: the node's own for a, another for b and c")
	}
	for wallet, d := range devices {
		if err := errors.Join(d.Token.Check(t.Context()), d.Health()); err != nil || d.Generation() != 1 {
			t.Errorf("%s: expected a healthy first generation, found %d, %v", wallet, d.Generation(), err)
		}
	}
	file.Devices = append(file.Devices, deviceConfig{"a", vault}, deviceConfig{"B", own}, deviceConfig{"d", tokenConfig{}})
	for _, want := range []string{"devices[3].wallet", "devices[4].wallet", "devices[5].module", "devices[5].label"} {
		if err := file.checkDevices(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error about %s, found %v", want, err)
		}
	}
}

func TestTokenConfigurationsAreChecked(t *testing.T) {
	good := tokenConfig{Module: "/m", Label: "l"}
	check(t, good.check("token"))
	for want, change := range map[string]func(*tokenConfig){
		"sessions": func(t *tokenConfig) { t.Sessions = 65 }, "environment[0]": func(t *tokenConfig) { t.Environment = []string{"A=b"} },
		"both": func(t *tokenConfig) { t.PINFile, t.PINShares = "f", []string{"g"} }, "timeout": func(t *tokenConfig) { t.Timeout = 1 << 60 },
	} {
		c := good
		change(&c)
		if err := c.check("token"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("expected an error about %s, found %v", want, err)
		}
	}
}

func TestPoolsAreMadeInTwoTokensAndJoined(t *testing.T) {
	dir := t.TempDir()
	var parts []string
	for i, name := range []canon.Name{"cold-1", "cold-2"} {
		c := commandFor(t)
		m := poolMakeCommand{
			tokenFlags: c.tokenFlags, Wallet: "btc-cold", Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Signer: name, Key: initialised(t, c).Identity,
			Identity: c.Identity, Accounts: []canon.Name{"alice", "bob"}, Receive: 2, Change: 1, Out: filepath.Join(dir, fmt.Sprint("part-", i)),
		}
		check(t, m.Run(t.Context()))
		first, err := os.ReadFile(m.Out)
		check(t, err)
		check(t, m.Run(t.Context()))
		part, err := readPart(m.Out)
		check(t, err)
		again, err := os.ReadFile(m.Out)
		check(t, err)
		if len(part.Devices[0].Keys) != 6 || len(first) != len(again) {
			t.Errorf("%s: expected the same 6 keys again, found %d", name, len(part.Devices[0].Keys))
		}
		parts = append(parts, m.Out)
	}
	var out bytes.Buffer
	check(t, poolJoinCommand{Parts: parts, Out: dir}.run(&out))
	digest, err := canon.ParseDigest(strings.TrimSpace(out.String()))
	check(t, err)
	pool, err := (&configFile{Pools: dir}).pools()(digest)
	check(t, err)
	if pool == nil {
		t.Fatal("expected the pool, found none")
	}
	if _, err := config.Pools(t.TempDir())(digest); refusal.Of(err) == nil {
		t.Errorf("another directory: expected a refusal, found %v", err)
	}
	if err := (poolJoinCommand{Parts: []string{parts[0], parts[0]}, Out: dir}).run(&out); refusal.Of(err) == nil {
		t.Errorf("one part twice: expected a refusal, found %v", err)
	}
	if (&configFile{}).pools() != nil {
		t.Error("no directory: expected no pools")
	}
}

// Nobody but the node whose token it is can make its part of a pool.
func TestAPartOfAPoolIsSignedByTheNodesIdentity(t *testing.T) {
	own, vault := commandFor(t), commandFor(t)
	m := poolMakeCommand{
		tokenFlags: vault.tokenFlags, Wallet: "btc-cold", Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Signer: "cold-1", Key: initialised(t, own).Identity,
		Identity: own.Identity, Accounts: []canon.Name{"alice"}, Receive: 1, Out: filepath.Join(t.TempDir(), "part"),
	}
	if err := m.Run(t.Context()); !errors.Is(err, hsm.ErrNoKey) {
		t.Errorf("no identity in the token: expected %v, found %v", hsm.ErrNoKey, err)
	}
	initialised(t, vault)
	if err := m.Run(t.Context()); refusal.Of(err) == nil {
		t.Errorf("another identity in the token: expected a refusal, found %v", err)
	}
	if found, err := os.ReadDir(filepath.Dir(m.Out)); err != nil || len(found) > 0 {
		t.Errorf("expected no file, found %v, %v", found, err)
	}
	m.OwnLabel, m.OwnPINFile = own.Label, own.PINFile
	check(t, m.Run(t.Context()))
	part, err := readPart(m.Out)
	check(t, err)
	if err := keyset.CheckPart(&part, 0); err != nil || part.Devices[0].Backup != canon.BackupNone {
		t.Errorf("expected a part of class none that the identity signed, found %+v, %v", part.Devices, err)
	}
	m.Restorable, m.Restored = true, true
	if err := m.Run(t.Context()); !errors.Is(err, hsm.ErrKeyAttributes) {
		t.Errorf("keys that were not restored: expected %v, found %v", hsm.ErrKeyAttributes, err)
	}
}

// A network HSM that passes on neither Ed25519 nor AES-GCM: the identity is sealed by what the token has.
func TestANodeWhoseTokenIsReachedOverASocket(t *testing.T) {
	server, cfg := hsmtest.StartP11Kit(t, hsmtest.NewToken(t))
	c := initCommand{
		tokenFlags: tokenFlags{Module: cfg.Module, Label: cfg.TokenLabel, PINFile: write(t, "pin", string(cfg.PIN))},
		Identity:   sealedIdentity, Data: filepath.Join(t.TempDir(), "data"), Sealing: "strongroom-sealing", Attest: []canon.Name{"eth-vault"},
	}
	m := initialised(t, c)
	node := configFile{Data: c.Data, Token: ownTokenConfig{tokenConfig{Module: c.Module, Label: c.Label, PINFile: c.PINFile}, c.Identity, c.Sealing}}
	k, err := node.keys(t.Context(), quiet)
	check(t, err)
	defer func() { check(t, k.token.Close()) }()
	if found := canon.PublicKey(k.identity.Ed25519()).String(); found != m.Identity {
		t.Errorf("expected identity %s, found %s", m.Identity, found)
	}
	key, err := k.token.ECDSA(t.Context(), keyset.AttestationLabel("eth-vault"), hsm.KeyClass{})
	check(t, err)
	if public := key.Public(); hex.EncodeToString(public[:]) != m.Attestations["eth-vault"] {
		t.Errorf("expected attestation key %s, found %x", m.Attestations["eth-vault"], public)
	}
	sealed, err := k.sealer.Seal(t.Context(), []byte("share"), nil)
	check(t, err)
	server.Kill()
	server.Start()
	for { // what is under way when the loss is noticed fails, what comes after waits
		opened, err := k.sealer.Open(t.Context(), sealed, nil)
		if err == nil && string(opened) == "share" {
			break
		}
		if !errors.Is(err, hsm.ErrTokenLost) {
			t.Fatalf("expected ErrTokenLost and then the share, found %q, %v", opened, err)
		}
	}
	_, err = key.Sign(t.Context(), [32]byte{1}, nil)
	check(t, err)
}

func TestStatusTellsOfDevices(t *testing.T) {
	s := statusOf("127.0.0.1:1", &strongroomv1.GetSignerStatusResponse{Devices: []*strongroomv1.DeviceStatus{
		{Wallet: "btc-vault", Generation: 3, Committed: 7}, {Wallet: "eth-vault", Generation: 1, Error: "token lost"},
	}})
	var out bytes.Buffer
	check(t, statusCommand{}.print(&out, s))
	for _, want := range []string{
		"device      of btc-vault, opened 3 times, 7 signatures committed to\n",
		"device      of eth-vault, opened 1 times, 0 signatures committed to, cannot sign: token lost\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("expected %q, found %s", want, out.String())
		}
	}
}
