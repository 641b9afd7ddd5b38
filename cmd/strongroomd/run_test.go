package main

import (
	"bufio"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/devnet/chains"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/rpc"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// without cuts the [[tables]] of a TOML text that mention what.
func without(text, what string) string {
	parts := strings.Split(text, "\n[[")
	kept := parts[:1]
	for _, p := range parts[1:] {
		if !strings.Contains(p, what) {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "\n[[")
}

// evmOnly is the example genesis without anything of Bitcoin, with this coordinator.
func evmOnly(key canon.PublicKey) string {
	text := without(genesis.Example, "bip122:")
	text = strings.Replace(text, "asset = \"BTC\"", "asset = \"ETH\"", 1)
	text = without(text, "name = \"btc-day\"")
	for _, cut := range []string{"\"0.02 BTC\", ", "\"10 BTC\", ", "\"0.001 BTC\", ", "\"btc-day\", ", "\"btc-hot\", "} {
		text = strings.ReplaceAll(text, cut, "")
	}
	return strings.Replace(text, strings.Repeat("14", 32), key.String(), 1)
}

func writeFile(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// deploy writes everything that a coordinator of one EVM chain needs, and returns the directory and the organisation.
func deploy(t *testing.T, evm *chains.EVM) (string, canon.Digest) {
	t.Helper()
	dir := t.TempDir()
	key, err := newKey(filepath.Join(dir, "coordinator.key"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "genesis.toml"), []byte(evmOnly(canon.PublicKey(key.Public().(ed25519.PublicKey)))))
	writeFile(t, filepath.Join(dir, "book.toml"), []byte(without(genesis.ExampleBook, "bip122:")))
	build := genesisBuild{From: filepath.Join(dir, "genesis.toml"), Book: filepath.Join(dir, "book.toml"), Out: filepath.Join(dir, "genesis.cbor")}
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(build.Out)
	if err != nil {
		t.Fatal(err)
	}
	organisation := canon.KindGenesis.Digest(document)
	if err := (caInit{Organisation: organisation.String(), Dir: filepath.Join(dir, "ca"), For: time.Hour}).Run(); err != nil {
		t.Fatal(err)
	}
	config := without(without(coordinator.ExampleConfig, "bip122:"), "node-1")
	config = strings.NewReplacer(
		strings.Repeat("0", 64), organisation.String(), "127.0.0.1:7400", "127.0.0.1:0", "address_file = \"\"", "address_file = \"address\"",
		"\"ca.pem\"", "\"ca/ca.pem\"", "http://127.0.0.1:8545", evm.Config().URL, "\"5s\"", "\"50ms\"", "devnet = false", "devnet = true",
	).Replace(config) + "\n[[signers]]\nname = \"node-1\"\naddress = \"127.0.0.1:1\"\n"
	writeFile(t, filepath.Join(dir, "strongroomd.toml"), []byte(config))
	return dir, organisation
}

// operator returns a certificate for an operator.
func operator(t *testing.T, dir string, organisation canon.Digest) tls.Certificate {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	issue := caIssue{Organisation: organisation.String(), Dir: filepath.Join(dir, "ca"), Role: "operator", Name: "ops", PublicKey: hex.EncodeToString(public),
		For: 30 * time.Minute, Out: filepath.Join(dir, "operator.pem")}
	if err := issue.Run(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(issue.Out)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}
}

func TestTheDaemonServesAndStops(t *testing.T) {
	evm, err := chains.StartEVM(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := evm.Close(); err != nil {
			t.Error(err)
		}
	}()
	dir, organisation := deploy(t, evm)
	reader, writer := io.Pipe()
	defer reader.Close()
	listening := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(reader)
		for lines.Scan() {
			if strings.Contains(lines.Text(), "listening") {
				close(listening)
			}
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d, err := open(ctx, filepath.Join(dir, "strongroomd.toml"), slog.New(slog.NewJSONHandler(writer, nil)))
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	served := make(chan error, 1)
	go func() { served <- d.serve(running) }()
	<-listening
	ask(t, ctx, dir, operator(t, dir, organisation))
	stop()
	if err := <-served; err != nil {
		t.Errorf("expected a clean end, found %v", err)
	}
	d.close()
	if err := (auditVerify{Config: filepath.Join(dir, "strongroomd.toml")}).Run(); err != nil {
		t.Errorf("expected a log that verifies, found %v", err)
	}
	writeFile(t, filepath.Join(dir, "book.toml"), nil)
	if d, err := open(ctx, filepath.Join(dir, "strongroomd.toml"), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "book: expected root") {
		if err == nil {
			d.close()
		}
		t.Errorf("another book: expected an error that names it, found %v", err)
	}
}

// ask calls the service where the address file says that it is.
func ask(t *testing.T, ctx context.Context, dir string, certificate tls.Certificate) {
	t.Helper()
	address, err := os.ReadFile(filepath.Join(dir, "address"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := coordinator.LoadKey(filepath.Join(dir, "coordinator.key"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := rpc.Dial(strings.TrimSpace(string(address)), rpc.ClientTLS(certificate, canon.PublicKey(key.Public().(ed25519.PublicKey))), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	health, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err != nil || health.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		t.Errorf("health: expected serving, found %v, %v", health, err)
	}
	got, err := strongroomv1.NewOperationServiceClient(conn).GetStatus(ctx, &strongroomv1.GetStatusRequest{})
	if err != nil || len(got.GetSigners()) != 7 || got.GetSigners()[0].GetReachable() {
		t.Errorf("status: expected four signers and three with tokens, all out of reach, found %v, %v", got, err)
	}
}

func TestRequestsForCertificatesMustBeSignedByTheirKey(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	for flip, ok := range map[int]bool{0: true, 1: false} {
		der[len(der)-1] ^= byte(flip)
		path := filepath.Join(t.TempDir(), fmt.Sprint(flip))
		writeFile(t, path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		if _, err := (caIssue{CSR: path}).key(); (err == nil) != ok {
			t.Errorf("signature changed by %d: expected accepted %v, found %v", flip, ok, err)
		}
		der[len(der)-1] ^= byte(flip)
	}
}
