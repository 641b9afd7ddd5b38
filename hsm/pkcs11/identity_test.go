package pkcs11_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

func TestIdentitySignsWhatEd25519Verifies(t *testing.T) {
	id := must[hsm.Identity](t)(hsmtest.Open(t).CreateIdentity(t.Context(), "id"))
	for name, message := range map[string][]byte{
		"empty":   {},
		"short":   []byte("m"),
		"largest": bytes.Repeat([]byte("m"), hsm.MaxMessage),
	} {
		signature, err := id.SignContext(t.Context(), message)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !ed25519.Verify(id.Public().(ed25519.PublicKey), message, signature) {
			t.Errorf("%s: signature does not verify", name)
		}
	}
	_, err := id.SignContext(t.Context(), make([]byte, hsm.MaxMessage+1))
	wantError(t, err, hsm.ErrArgument)
}

func TestIdentityRefusesHashesAndContexts(t *testing.T) {
	id := must[hsm.Identity](t)(hsmtest.Open(t).CreateIdentity(t.Context(), "id"))
	for name, opts := range map[string]crypto.SignerOpts{
		"none":       nil,
		"SHA-256":    crypto.SHA256,
		"Ed25519ph":  &ed25519.Options{Hash: crypto.SHA512},
		"Ed25519ctx": &ed25519.Options{Context: "c"},
	} {
		if _, err := id.Sign(rand.Reader, make([]byte, 64), opts); !errors.Is(err, hsm.ErrArgument) {
			t.Errorf("%s: got %v, want ErrArgument", name, err)
		}
	}
	must[[]byte](t)(id.Sign(rand.Reader, make([]byte, 64), &ed25519.Options{}))
}

func TestPublicKeyCannotBeChangedThroughWhatIsHandedOut(t *testing.T) {
	id := must[hsm.Identity](t)(hsmtest.Open(t).CreateIdentity(t.Context(), "id"))
	clear(id.Ed25519())
	must[[]byte](t)(id.SignContext(t.Context(), []byte("m")))
}

func certificate(t *testing.T, key hsm.Identity) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"node-1"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// pinned is a TLS 1.3 configuration that trusts exactly one key.
func pinned(own tls.Certificate, peer ed25519.PublicKey) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{own}, ServerName: "node-1",
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if !peer.Equal(s.PeerCertificates[0].PublicKey) {
				return errors.New("peer has another key")
			}
			return nil
		},
	}
}

func TestIdentityServesBothEndsOfTLS13(t *testing.T) {
	token := hsmtest.Open(t)
	server := must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "server"))
	client := must[hsm.Identity](t)(token.CreateIdentity(t.Context(), "client"))
	listener := must[net.Listener](t)(tls.Listen("tcp", "127.0.0.1:0", pinned(certificate(t, server), client.Ed25519())))
	defer listener.Close()
	served := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_, err = io.Copy(conn, conn)
			conn.Close()
		}
		served <- err
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), pinned(certificate(t, client), server.Ed25519()))
	if err != nil {
		t.Fatal(err)
	}
	must[int](t)(io.WriteString(conn, "over the wire"))
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got := must[[]byte](t)(io.ReadAll(conn)); string(got) != "over the wire" {
		t.Errorf("got %q back", got)
	}
	if v := conn.ConnectionState().Version; v != tls.VersionTLS13 {
		t.Errorf("TLS version %#x", v)
	}
	conn.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func FuzzParsePoint(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(make([]byte, 32))
	f.Add(append([]byte{0x04, 0x20}, make([]byte, 32)...))
	f.Add(append([]byte{0x04, 0x1e}, make([]byte, 30)...))
	f.Add(append([]byte{0x04, 0x20}, make([]byte, 30)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := pkcs11.ParsePoint(b)
		if err != nil {
			wantError(t, err, hsm.ErrKeyAttributes)
			return
		}
		bare := len(b) == 32 && bytes.Equal(b, key)
		wrapped := len(b) == 34 && bytes.Equal(b, append([]byte{0x04, 0x20}, key...))
		if !bare && !wrapped {
			t.Fatalf("%x was read as %x", b, key)
		}
	})
}
