package charter

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// minRSABits is the smallest RSA modulus for an officer's key: 128 bits of strength by NIST SP 800-57.
const minRSABits = 3072

// maxOfficerKey is the largest officer's key in SSH wire format, in bytes; canon has the same bound.
const maxOfficerKey = 2048

// ParseOfficerKey reads an officer's public key in SSH wire format. It accepts ssh-ed25519, ecdsa-sha2-nistp256, their sk- forms with an
// application that begins with "ssh:" (OpenSSH PROTOCOL.u2f), and RSA from 3072 bits; certificates and everything else are refused, and
// so is any encoding but the canonical one, so that keys can be compared byte by byte.
func ParseOfficerKey(wire []byte) (ssh.PublicKey, error) {
	if len(wire) > maxOfficerKey {
		return nil, fmt.Errorf("ssh key: expected at most %d bytes, found %d", maxOfficerKey, len(wire))
	}
	key, err := ssh.ParsePublicKey(wire)
	if err != nil {
		return nil, fmt.Errorf("ssh key: %w", err)
	}
	if !bytes.Equal(key.Marshal(), wire) {
		return nil, errors.New("ssh key: expected the canonical encoding, found another")
	}
	switch key.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256:
		return key, nil
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return key, checkApplication(key)
	case ssh.KeyAlgoRSA:
		return key, checkRSA(key)
	}
	return nil, fmt.Errorf("ssh key: expected ssh-ed25519, ecdsa-sha2-nistp256, their sk- forms or ssh-rsa, found %s", key.Type())
}

func checkRSA(key ssh.PublicKey) error {
	public, ok := cryptoKey(key).(*rsa.PublicKey)
	if !ok || public.N.BitLen() < minRSABits {
		return fmt.Errorf("ssh key: expected an RSA modulus of at least %d bits, found a smaller one", minRSABits)
	}
	return nil
}

// checkApplication reads the last string of an sk- key: type, (curve,) point, application.
func checkApplication(key ssh.PublicKey) error {
	rest := key.Marshal()
	var last []byte
	for len(rest) > 0 {
		var s struct {
			Value []byte
			Rest  []byte `ssh:"rest"`
		}
		if err := ssh.Unmarshal(rest, &s); err != nil {
			return fmt.Errorf("ssh key: %w", err)
		}
		last, rest = s.Value, s.Rest
	}
	if !strings.HasPrefix(string(last), "ssh:") {
		return fmt.Errorf("ssh key: expected an application that begins with \"ssh:\", found %q", last)
	}
	return nil
}

// cryptoKey returns the key inside an SSH key, nil for none.
func cryptoKey(key ssh.PublicKey) any {
	if k, ok := key.(ssh.CryptoPublicKey); ok {
		return k.CryptoPublicKey()
	}
	return nil
}

// material returns what makes a key the same key in whatever form it comes: the curve and point, or the modulus.
func material(key ssh.PublicKey) string {
	switch k := cryptoKey(key).(type) {
	case ed25519.PublicKey:
		return "ed25519 " + string(k)
	case *ecdsa.PublicKey:
		if point, err := k.Bytes(); err == nil {
			return "p256 " + string(point)
		}
	case *rsa.PublicKey:
		return "rsa " + string(k.N.Bytes())
	}
	return "ssh " + string(key.Marshal())
}

// presence reports whether every signature of the key shows that somebody touched the device.
func presence(key ssh.PublicKey) bool {
	return key.Type() == ssh.KeyAlgoSKED25519 || key.Type() == ssh.KeyAlgoSKECDSA256
}
