package cli

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/strongroom/strongroom/internal/config"
	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
)

// KeyView is a public key.
type KeyView struct {
	File string `json:"file,omitempty"`
	// PublicKey is a line of authorized_keys, as an officer's key stands in a genesis.
	PublicKey string `json:"public_key,omitempty"`
	// Raw is an Ed25519 key in hexadecimal, as a client's key or a TLS key stands in a genesis.
	Raw string `json:"raw,omitempty"`
}

func (v KeyView) writeText(t *text) {
	for _, line := range []string{v.PublicKey, v.Raw} {
		if line != "" {
			t.line("%s", line)
		}
	}
}

// NewKey makes a key for approvals or requests and writes it, encrypted, to a file that must not exist.
func (a *App) NewKey(out, comment, passphraseFile string) error {
	v, _, err := a.makeKey(out, comment, passphraseFile)
	if err != nil {
		return err
	}
	return a.Print(v)
}

// minPassphrase is the shortest passphrase for a new key, in bytes.
const minPassphrase = 12

func (a *App) newPassphrase(file string) ([]byte, error) {
	passphrase, err := a.passphrase(file, "Passphrase for the new key: ")
	if err != nil {
		return nil, err
	}
	if len(passphrase) < minPassphrase {
		return nil, fmt.Errorf("passphrase: expected at least %d bytes, found %d", minPassphrase, len(passphrase))
	}
	if file != "" {
		return passphrase, nil
	}
	again, err := a.passphrase("", "The same again: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(passphrase, again) {
		return nil, errors.New("passphrase: expected the same twice, found two")
	}
	return passphrase, nil
}

func (a *App) passphrase(file, prompt string) ([]byte, error) {
	if file != "" {
		return config.Secret(file)
	}
	if a.Terminal == nil {
		return nil, errors.New("passphrase: expected a passphrase file or a terminal, found neither")
	}
	return a.Terminal.Secret(prompt)
}

// PublicKey prints the public key of a private key file (OpenSSH, which holds it in clear) or of a public one.
func (a *App) PublicKey(file string) error {
	text, err := readFile(file, 64<<10)
	if err != nil {
		return err
	}
	public, comment, err := publicOf(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	v, err := keyView(public.Marshal(), comment)
	if err != nil {
		return err
	}
	v.File = file
	return a.Print(v)
}

func publicOf(text []byte) (ssh.PublicKey, string, error) {
	if public, comment, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
		return public, comment, nil
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err == nil {
		return signer.PublicKey(), "", nil
	}
	var locked *ssh.PassphraseMissingError
	if errors.As(err, &locked) && locked.PublicKey != nil {
		return locked.PublicKey, "", nil
	}
	return nil, "", errors.New("expected an OpenSSH private or public key, found neither")
}

func keyView(wire []byte, comment string) (KeyView, error) {
	public, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return KeyView{}, err
	}
	v := KeyView{PublicKey: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))}
	if comment != "" && canon.Text(comment).Check() == nil {
		v.PublicKey += " " + comment
	}
	if raw, ok := rawKey(wire); ok {
		v.Raw = raw.String()
	}
	return v, nil
}

// rawKey returns the 32 bytes of an Ed25519 key in SSH wire format, false for other keys.
func rawKey(wire []byte) (canon.PublicKey, bool) {
	public, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return canon.PublicKey{}, false
	}
	holder, ok := public.(ssh.CryptoPublicKey)
	if !ok {
		return canon.PublicKey{}, false
	}
	key, ok := holder.CryptoPublicKey().(ed25519.PublicKey)
	if !ok || public.Type() != ssh.KeyAlgoED25519 || len(key) != ed25519.PublicKeySize {
		return canon.PublicKey{}, false
	}
	return canon.PublicKey(key), true
}

// NewTLSKey makes the key of a device and writes it as PKCS#8 in PEM to a file that must not exist.
func (a *App) NewTLSKey(out string) error {
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writeNew(out, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	return a.Print(KeyView{File: out, Raw: hex.EncodeToString(public)})
}

// loadTLSKey reads an Ed25519 key, PKCS#8 in PEM, from a file that only its owner can read.
func loadTLSKey(path string) (ed25519.PrivateKey, error) {
	text, err := config.Secret(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s: expected PEM of type PRIVATE KEY, found none", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: expected a PKCS#8 key, found another", path)
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: expected an Ed25519 key, found %T", path, key)
	}
	return k, nil
}

// loadCertificate puts the certificate of the file to its key.
func loadCertificate(path string, key ed25519.PrivateKey) (tls.Certificate, error) {
	text, err := readFile(path, 64<<10)
	if err != nil {
		return tls.Certificate{}, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return tls.Certificate{}, fmt.Errorf("%s: expected PEM of type CERTIFICATE, found none", path)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s: %w", path, err)
	}
	public, ok := certificate.PublicKey.(ed25519.PublicKey)
	if !ok || !public.Equal(key.Public()) {
		return tls.Certificate{}, fmt.Errorf("%s: expected a certificate for the key of tls_key, found one for another", path)
	}
	return tls.Certificate{Certificate: [][]byte{block.Bytes}, PrivateKey: key}, nil
}

// signer opens the key that signs approvals, statements or requests.
func (s *Session) signer() (approval.Signer, error) {
	if s.Config.Agent != "" {
		return agentSigner(s.Config.Agent)
	}
	if s.Config.Key == "" {
		return nil, errors.New("configuration: key, agent: expected a key to sign with, found none")
	}
	text, err := config.Secret(s.Config.Key)
	if err != nil {
		return nil, err
	}
	passphrase, err := s.passphrase(s.Config.PassphraseFile, "Passphrase of the key: ")
	if err != nil {
		return nil, err
	}
	signer, err := approval.LoadKeyFile(text, passphrase)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Config.Key, err)
	}
	return signer, nil
}

func agentSigner(line string) (approval.Signer, error) {
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return nil, errors.New("configuration: agent: expected a public key as in \"ssh-ed25519 AAAA...\", found none")
	}
	socket := os.Getenv("SSH_AUTH_SOCK")
	if socket == "" {
		return nil, errors.New("agent: expected a socket in $SSH_AUTH_SOCK, found none")
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("agent: %w", err)
	}
	// The connection lives as long as the command, which makes one signature.
	return approval.FromAgent(agent.NewClient(conn), public.Marshal())
}
