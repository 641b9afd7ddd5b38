package rpc

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/strongroom/strongroom/proto/canon"
)

// ErrPeer is wrapped by every refusal of a TLS peer.
var ErrPeer = errors.New("rpc: peer refused")

// noExpiry is how RFC 5280 section 4.1.2.5 writes "no well-defined expiration date". The charter says how long a key is good for.
var noExpiry = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Certificate wraps the signer's Ed25519 key into a self-signed certificate, so that TLS can show it. The key may live in a token.
func Certificate(signer crypto.Signer) (tls.Certificate, error) {
	public, ok := signer.Public().(ed25519.PublicKey)
	if !ok {
		return tls.Certificate{}, fmt.Errorf("rpc: identity: expected an Ed25519 key, found %T", signer.Public())
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: canon.PublicKey(public).String()},
		NotBefore:    time.Unix(0, 0).UTC(),
		NotAfter:     noExpiry,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, signer)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("rpc: certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}, nil
}

// ServerTLS shows cert and accepts the clients whose key allowed accepts. allowed is called for every connection, possibly from
// several goroutines.
func ServerTLS(cert tls.Certificate, allowed func(canon.PublicKey) bool) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAnyClientCert,
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
		VerifyConnection:       func(s tls.ConnectionState) error { return checkPinned(s, allowed) },
	}
}

// ClientTLS shows cert and accepts only servers with one of the pinned keys.
func ClientTLS(cert tls.Certificate, pinned ...canon.PublicKey) *tls.Config {
	pins := slices.Clone(pinned)
	allowed := func(k canon.PublicKey) bool { return slices.Contains(pins, k) }
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"h2"},
		// Chains and names mean nothing here: VerifyConnection compares the key that the handshake proved with the pinned ones.
		InsecureSkipVerify: true,
		VerifyConnection:   func(s tls.ConnectionState) error { return checkPinned(s, allowed) },
	}
}

// checkPinned runs on every handshake; sessions are never resumed. TLS 1.3 has proved by then that the peer holds the key.
func checkPinned(s tls.ConnectionState, allowed func(canon.PublicKey) bool) error {
	key, err := connectionKey(s)
	if err != nil {
		return err
	}
	if s.DidResume {
		return fmt.Errorf("%w: expected a full handshake, found a resumed session", ErrPeer)
	}
	if !allowed(key) {
		return fmt.Errorf("%w: key: expected one that the charter names for this, found %s", ErrPeer, key)
	}
	return nil
}

func connectionKey(s tls.ConnectionState) (canon.PublicKey, error) {
	if s.Version != tls.VersionTLS13 {
		return canon.PublicKey{}, fmt.Errorf("%w: expected TLS 1.3, found %s", ErrPeer, tls.VersionName(s.Version))
	}
	if len(s.PeerCertificates) == 0 {
		return canon.PublicKey{}, fmt.Errorf("%w: expected a certificate, found none", ErrPeer)
	}
	public, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok || len(public) != ed25519.PublicKeySize {
		return canon.PublicKey{}, fmt.Errorf("%w: expected an Ed25519 key, found %s", ErrPeer, s.PeerCertificates[0].PublicKeyAlgorithm)
	}
	return canon.PublicKey(public), nil
}

// PeerKey returns the key that the other end of the call's connection proved to hold, or false outside a TLS call.
func PeerKey(ctx context.Context) (canon.PublicKey, bool) {
	s, ok := connectionState(ctx)
	if !ok {
		return canon.PublicKey{}, false
	}
	key, err := connectionKey(s)
	return key, err == nil
}

func connectionState(ctx context.Context) (tls.ConnectionState, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return tls.ConnectionState{}, false
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	return info.State, ok
}
