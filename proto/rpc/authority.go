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
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/strongroom/strongroom/proto/canon"
)

// Role says what a caller may ask for. It is about reading and asking; nothing is signed because of a role.
type Role string

// Roles of a coordinator's clients, from their certificates.
const (
	Custodian Role = "custodian"
	Officer   Role = "officer"
	Auditor   Role = "auditor"
	Operator  Role = "operator"
)

// Roles that the charter gives to keys; a certificate never carries them.
const (
	Coordinator   Role = "coordinator"
	OfficerDevice Role = "officer-device"
	Signer        Role = "signer"
)

var issuable = []Role{Custodian, Officer, Auditor, Operator}

// Grant is what a client certificate says: the URI strongroom:///{organisation}/{role}/{name}. The organisation stands in the path
// because its 64 digits are no DNS label, which X.509 demands of a URI's host.
type Grant struct {
	Organisation canon.Digest
	Role         Role
	Name         canon.Name // the client, officer, auditor or operator
}

const scheme = "strongroom"

// URI returns the grant as the certificate holds it.
func (g Grant) URI() *url.URL {
	return &url.URL{Scheme: scheme, Path: "/" + g.Organisation.String() + "/" + string(g.Role) + "/" + string(g.Name)}
}

func (g Grant) check() error {
	if !slices.Contains(issuable, g.Role) {
		return fmt.Errorf("rpc: grant: role: expected one of %v, found %.20q", issuable, g.Role)
	}
	if g.Name == canon.Any {
		return errors.New("rpc: grant: name: expected one name, found *")
	}
	return g.Name.Check()
}

func parseGrant(u *url.URL) (Grant, error) {
	parts := strings.Split(u.Path, "/")
	if len(parts) != 4 {
		return Grant{}, fmt.Errorf("%w: grant: expected /organisation/role/name, found %d parts", ErrPeer, len(parts)-1)
	}
	organisation, err := canon.ParseDigest(parts[1])
	if err != nil {
		return Grant{}, fmt.Errorf("%w: grant: %w", ErrPeer, err)
	}
	g := Grant{Organisation: organisation, Role: Role(parts[2]), Name: canon.Name(parts[3])}
	if err := g.check(); err != nil {
		return Grant{}, fmt.Errorf("%w: %w", ErrPeer, err)
	}
	// Whatever reads differently from what we write (escapes, a host, a query) is refused by comparing with it.
	if u.String() != g.URI().String() {
		return Grant{}, fmt.Errorf("%w: grant: expected %s, found another form", ErrPeer, g.URI())
	}
	return g, nil
}

// NewCA returns the certificate (DER) of a CA for the clients of one organisation's coordinators. key is an Ed25519 key.
func NewCA(organisation canon.Digest, key crypto.Signer, notBefore, notAfter time.Time) ([]byte, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, fmt.Errorf("rpc: CA key: expected an Ed25519 key, found %T", key.Public())
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Strongroom clients of " + organisation.String()[:16]},
		NotBefore:             notBefore,
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return x509.CreateCertificate(rand.Reader, template, template, public, key)
}

// Issue returns a client certificate (DER) for the public key, signed by the CA.
func Issue(ca *x509.Certificate, caKey crypto.Signer, public ed25519.PublicKey, g Grant, notBefore, notAfter time.Time) ([]byte, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	if len(public) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("rpc: client key: expected %d bytes, found %d", ed25519.PublicKeySize, len(public))
	}
	if notAfter.After(ca.NotAfter) {
		return nil, fmt.Errorf("rpc: not after: expected at most the CA's %s, found %s", ca.NotAfter, notAfter)
	}
	serial, err := newSerial()
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: string(g.Role) + " " + string(g.Name)},
		NotBefore:    notBefore,
		NotAfter:     notAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		URIs:         []*url.URL{g.URI()},
	}
	return x509.CreateCertificate(rand.Reader, template, ca, public, caKey)
}

// newSerial returns 126 random bits, positive and below the 20 octets of RFC 5280 section 4.1.2.2.
func newSerial() (*big.Int, error) {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("rpc: serial number: %w", err)
	}
	return n.Add(n, big.NewInt(1)), nil
}

// ServerTLSForClients shows cert and accepts clients with a certificate of a CA in the pool that grants a role in this organisation.
func ServerTLSForClients(cert tls.Certificate, clients *x509.CertPool, organisation canon.Digest) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{cert},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              clients,
		SessionTicketsDisabled: true,
		NextProtos:             []string{"h2"},
		VerifyConnection: func(s tls.ConnectionState) error {
			g, err := connectionGrant(s)
			if err != nil {
				return err
			}
			if g.Organisation != organisation {
				return fmt.Errorf("%w: organisation: expected %s, found %s", ErrPeer, organisation, g.Organisation)
			}
			return nil
		},
	}
}

// connectionGrant reads the grant of a client whose certificate a CA signed; a self-signed one has no verified chain and no grant.
func connectionGrant(s tls.ConnectionState) (Grant, error) {
	if _, err := connectionKey(s); err != nil {
		return Grant{}, err
	}
	if len(s.VerifiedChains) == 0 {
		return Grant{}, fmt.Errorf("%w: expected a certificate of the organisation's CA, found another", ErrPeer)
	}
	uris := s.PeerCertificates[0].URIs
	if len(uris) != 1 {
		return Grant{}, fmt.Errorf("%w: grant: expected one URI, found %d", ErrPeer, len(uris))
	}
	return parseGrant(uris[0])
}

// PeerRole returns what the caller's certificate grants, or false if the connection did not verify one against a CA.
func PeerRole(ctx context.Context) (Grant, bool) {
	s, ok := connectionState(ctx)
	if !ok {
		return Grant{}, false
	}
	g, err := connectionGrant(s)
	return g, err == nil
}
