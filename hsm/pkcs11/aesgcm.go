package pkcs11

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

const gcmTagBits = 128

// errUnclear marks what may be a wrong tag as well as a lost token: SoftHSM answers CKR_GENERAL_ERROR to both.
var errUnclear = errors.New("wrong tag or lost token")

// encryptInToken seals with CKM_AES_GCM (PKCS#11 v2.40 mechanisms, section 2.11.2).
func encryptInToken(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, plaintext, aad []byte) (hsm.Sealed, error) {
	sealed := hsm.Sealed{Version: hsm.SealedInToken}
	rand.Read(sealed.IV[:])
	params := p11.NewGCMParams(sealed.IV[:], sealed.AAD(aad), gcmTagBits)
	defer params.Free()
	if err := c.EncryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, key); err != nil {
		return sealed, typed("C_EncryptInit", err)
	}
	var err error
	sealed.Ciphertext, err = c.Encrypt(s, plaintext)
	if err == nil && len(sealed.Ciphertext) != len(plaintext)+gcmTagBits/8 {
		return sealed, fmt.Errorf("pkcs11: C_Encrypt: %w: expected %d bytes, found %d", hsm.ErrDevice, len(plaintext)+gcmTagBits/8, len(sealed.Ciphertext))
	}
	return sealed, typed("C_Encrypt", err)
}

func decryptInToken(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, sealed hsm.Sealed, aad []byte) ([]byte, error) {
	params := p11.NewGCMParams(sealed.IV[:], sealed.AAD(aad), gcmTagBits)
	defer params.Free()
	if err := c.DecryptInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_AES_GCM, params)}, key); err != nil {
		return nil, typed("C_DecryptInit", err)
	}
	plaintext, err := c.Decrypt(s, sealed.Ciphertext)
	switch {
	case returned(err, p11.CKR_ENCRYPTED_DATA_INVALID, p11.CKR_ENCRYPTED_DATA_LEN_RANGE, aeadDecryptFailed):
		return nil, hsm.ErrAuthentication
	case returned(err, p11.CKR_GENERAL_ERROR):
		return nil, fmt.Errorf("%w: %w", typed("C_Decrypt", err), errUnclear)
	case err != nil:
		return nil, typed("C_Decrypt", err)
	case len(plaintext) != len(sealed.Ciphertext)-gcmTagBits/8:
		return nil, fmt.Errorf("pkcs11: C_Decrypt: %w: expected %d bytes, found %d", hsm.ErrDevice, len(sealed.Ciphertext)-gcmTagBits/8, len(plaintext))
	}
	return plaintext, nil
}

// derivation is what the token authenticates before the salt, so that a sealing key's HMAC serves nothing else.
const derivation = "strongroom/hsm/seal/v2\x00"

// encryptDerived seals with AES-256-GCM here, under a key that is made for this one blob: the token's HMAC-SHA-256 of the domain string and a random
// salt, a pseudorandom function of the salt for whoever lacks the token (NIST SP 800-108). Only that blob's key is ever in this process.
func encryptDerived(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, plaintext, aad []byte) (hsm.Sealed, error) {
	sealed := hsm.Sealed{Version: hsm.SealedDerived}
	rand.Read(sealed.Salt[:])
	rand.Read(sealed.IV[:])
	aead, err := derive(c, s, key, sealed)
	if err != nil {
		return sealed, err
	}
	sealed.Ciphertext = aead.Seal(nil, sealed.IV[:], plaintext, sealed.AAD(aad))
	return sealed, nil
}

func decryptDerived(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, sealed hsm.Sealed, aad []byte) ([]byte, error) {
	aead, err := derive(c, s, key, sealed)
	if err != nil {
		return nil, err
	}
	plaintext, err := aead.Open(nil, sealed.IV[:], sealed.Ciphertext, sealed.AAD(aad))
	if err != nil {
		return nil, hsm.ErrAuthentication
	}
	return plaintext, nil
}

// derive has the token make the key of a blob.
func derive(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, sealed hsm.Sealed) (cipher.AEAD, error) {
	if err := c.SignInit(s, []*p11.Mechanism{p11.NewMechanism(p11.CKM_SHA256_HMAC, nil)}, key); err != nil {
		return nil, typed("C_SignInit", err)
	}
	mac, err := c.Sign(s, append([]byte(derivation), sealed.Salt[:]...))
	if err != nil {
		return nil, typed("C_Sign", err)
	}
	defer clear(mac)
	if len(mac) != 32 {
		return nil, fmt.Errorf("pkcs11: C_Sign: %w: expected an HMAC of 32 bytes, found %d", hsm.ErrDevice, len(mac))
	}
	block, err := aes.NewCipher(mac)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
