package pkcs11

import (
	"bytes"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// Values of PKCS#11 v3.0 that the binding has no names for.
const (
	ckkECEdwards           = 0x40   // CKK_EC_EDWARDS
	ckmECEdwardsKeyPairGen = 0x1055 // CKM_EC_EDWARDS_KEY_PAIR_GEN
	ckmEdDSA               = 0x1057 // CKM_EDDSA
)

// ed25519Params is id-Ed25519, OID 1.3.101.112 (RFC 8410), as CKA_EC_PARAMS.
var ed25519Params = []byte{0x06, 0x03, 0x2b, 0x65, 0x70}

// attribute is one attribute of a key and the value that it must have.
type attribute struct {
	kind  uint
	name  string
	value any
}

// profile is what a kind of key must be. What modules leave out of a template they fill in with defaults of their own, among
// them CKA_SENSITIVE = false: hence everything is declared when the key is generated, and read back when it is used.
type profile struct {
	kind     string      // for messages
	declared []attribute // in the template, and read back
	found    []attribute // set by the token, and read back
}

// born is what only a key that was generated inside the token, and never could leave it, reads.
func born(mechanism uint) []attribute {
	return []attribute{
		{p11.CKA_LOCAL, "CKA_LOCAL", true},
		{p11.CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", true},
		{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", true},
		{p11.CKA_KEY_GEN_MECHANISM, "CKA_KEY_GEN_MECHANISM", mechanism},
	}
}

// secret is what every key of ours declares. It may be destroyed: keys that seal retired shares must be.
var secret = []attribute{
	{p11.CKA_TOKEN, "CKA_TOKEN", true},
	{p11.CKA_PRIVATE, "CKA_PRIVATE", true},
	{p11.CKA_SENSITIVE, "CKA_SENSITIVE", true},
	{p11.CKA_EXTRACTABLE, "CKA_EXTRACTABLE", false},
	{p11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false},
	{p11.CKA_COPYABLE, "CKA_COPYABLE", false},
	{p11.CKA_DESTROYABLE, "CKA_DESTROYABLE", true},
	{p11.CKA_DERIVE, "CKA_DERIVE", false},
	{p11.CKA_UNWRAP, "CKA_UNWRAP", false},
}

var identityPrivate = profile{
	kind: "Ed25519 private key",
	declared: append([]attribute{
		{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_PRIVATE_KEY)},
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(ckkECEdwards)},
		{p11.CKA_SIGN, "CKA_SIGN", true},
		{p11.CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false},
		{p11.CKA_DECRYPT, "CKA_DECRYPT", false},
		{p11.CKA_ALWAYS_AUTHENTICATE, "CKA_ALWAYS_AUTHENTICATE", false},
	}, secret...),
	found: born(ckmECEdwardsKeyPairGen),
}

var identityPublic = profile{
	kind: "Ed25519 public key",
	declared: []attribute{
		{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_PUBLIC_KEY)},
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(ckkECEdwards)},
		{p11.CKA_EC_PARAMS, "CKA_EC_PARAMS", ed25519Params},
		{p11.CKA_TOKEN, "CKA_TOKEN", true},
		{p11.CKA_PRIVATE, "CKA_PRIVATE", false},
		{p11.CKA_MODIFIABLE, "CKA_MODIFIABLE", false},
		{p11.CKA_COPYABLE, "CKA_COPYABLE", false},
		{p11.CKA_DESTROYABLE, "CKA_DESTROYABLE", true},
		{p11.CKA_VERIFY, "CKA_VERIFY", true},
		{p11.CKA_VERIFY_RECOVER, "CKA_VERIFY_RECOVER", false},
		{p11.CKA_ENCRYPT, "CKA_ENCRYPT", false},
		{p11.CKA_WRAP, "CKA_WRAP", false},
		{p11.CKA_DERIVE, "CKA_DERIVE", false},
	},
	found: []attribute{
		{p11.CKA_LOCAL, "CKA_LOCAL", true},
		{p11.CKA_KEY_GEN_MECHANISM, "CKA_KEY_GEN_MECHANISM", uint(ckmECEdwardsKeyPairGen)},
	},
}

var sealingKey = profile{
	kind: "AES-256 key",
	declared: append([]attribute{
		{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_SECRET_KEY)},
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(p11.CKK_AES)},
		{p11.CKA_VALUE_LEN, "CKA_VALUE_LEN", uint(32)},
		{p11.CKA_ENCRYPT, "CKA_ENCRYPT", true},
		{p11.CKA_DECRYPT, "CKA_DECRYPT", true},
		{p11.CKA_SIGN, "CKA_SIGN", false},
		{p11.CKA_VERIFY, "CKA_VERIFY", false},
		{p11.CKA_WRAP, "CKA_WRAP", false},
	}, secret...),
	found: born(p11.CKM_AES_KEY_GEN),
}

// derivingKey is the key of an HMAC that keys for single blobs are derived with.
var derivingKey = profile{
	kind: "HMAC-SHA-256 key",
	declared: append([]attribute{
		{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_SECRET_KEY)},
		{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(p11.CKK_GENERIC_SECRET)},
		{p11.CKA_VALUE_LEN, "CKA_VALUE_LEN", uint(32)},
		{p11.CKA_SIGN, "CKA_SIGN", true},
		{p11.CKA_VERIFY, "CKA_VERIFY", false},
		{p11.CKA_ENCRYPT, "CKA_ENCRYPT", false},
		{p11.CKA_DECRYPT, "CKA_DECRYPT", false},
		{p11.CKA_WRAP, "CKA_WRAP", false},
	}, secret...),
	found: born(p11.CKM_GENERIC_SECRET_KEY_GEN),
}

// template is the profile's for a new key.
func (p profile) template(label string, id []byte) []*p11.Attribute {
	var t []*p11.Attribute
	for _, a := range p.declared {
		t = append(t, p11.NewAttribute(a.kind, a.value))
	}
	return append(t, p11.NewAttribute(p11.CKA_LABEL, label), p11.NewAttribute(p11.CKA_ID, id))
}

// search is the template that finds keys of this class and type with the label. It leaves out all else on purpose, so that
// a key that is wrong in some way is found and refused, not overlooked.
func (p profile) search(label string) []*p11.Attribute {
	class, kind := p.declared[0], p.declared[1]
	return []*p11.Attribute{p11.NewAttribute(class.kind, class.value), p11.NewAttribute(kind.kind, kind.value), p11.NewAttribute(p11.CKA_LABEL, label)}
}

// check reads every attribute of the profile back and refuses the key on the first that is different or unreadable.
func (p profile) check(c cryptoki, s p11.SessionHandle, key p11.ObjectHandle, label string) error {
	all := slices.Concat(p.declared, p.found)
	values := readAll(c, s, key, all)
	for i, a := range all {
		var got []byte
		var err error
		if values != nil {
			got = values[i]
		} else {
			got, err = read(c, s, key, a.kind)
		}
		switch {
		case err != nil && !returned(err, p11.CKR_ATTRIBUTE_TYPE_INVALID, p11.CKR_ATTRIBUTE_SENSITIVE):
			return err // says nothing about the key
		case err != nil:
			return p.refuse(label, a.name, fmt.Sprint(a.value), err)
		case !bytes.Equal(got, p11.NewAttribute(a.kind, a.value).Value):
			return p.refuse(label, a.name, fmt.Sprint(a.value), fmt.Errorf("found %x", got))
		}
	}
	return nil
}

// readAll reads the attributes in one call, which matters on a token at the end of a network. It returns nil if the token
// gives any of them away only one by one, or not at all.
func readAll(c cryptoki, s p11.SessionHandle, o p11.ObjectHandle, list []attribute) [][]byte {
	var template []*p11.Attribute
	for _, a := range list {
		template = append(template, p11.NewAttribute(a.kind, nil))
	}
	got, err := c.GetAttributeValue(s, o, template)
	if err != nil || len(got) != len(list) {
		return nil
	}
	var values [][]byte
	for i, a := range list {
		if got[i].Type != a.kind {
			return nil
		}
		values = append(values, got[i].Value)
	}
	return values
}

func (p profile) refuse(label, name, expected string, cause error) error {
	return fmt.Errorf("pkcs11: %w: %s %q: %s: expected %s: %w", hsm.ErrKeyAttributes, p.kind, label, name, expected, cause)
}

// read reads one attribute.
func read(c cryptoki, s p11.SessionHandle, o p11.ObjectHandle, kind uint) ([]byte, error) {
	got, err := c.GetAttributeValue(s, o, []*p11.Attribute{p11.NewAttribute(kind, nil)})
	if err != nil {
		return nil, typed("C_GetAttributeValue", err)
	}
	if len(got) != 1 || got[0].Type != kind {
		return nil, fmt.Errorf("pkcs11: C_GetAttributeValue: %w: expected attribute %#x, found %d others", hsm.ErrDevice, kind, len(got))
	}
	return got[0].Value, nil
}

// findOne finds the one object of the profile's class with the label.
func (p profile) findOne(c cryptoki, s p11.SessionHandle, label string) (p11.ObjectHandle, error) {
	found, err := find(c, s, p.search(label))
	if err != nil {
		return 0, err
	}
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("pkcs11: %w: %s %q", hsm.ErrNoKey, p.kind, label)
	case 1:
		return found[0], nil
	}
	return 0, fmt.Errorf("pkcs11: %w: %s %q", hsm.ErrAmbiguous, p.kind, label)
}

// find returns at most two of the objects that the template fits: enough to see that it fits more than one.
func find(c cryptoki, s p11.SessionHandle, template []*p11.Attribute) ([]p11.ObjectHandle, error) {
	return findMost(c, s, template, 2)
}

// findMost returns objects that the template fits, as many as there are up to a number.
func findMost(c cryptoki, s p11.SessionHandle, template []*p11.Attribute, most int) ([]p11.ObjectHandle, error) {
	if err := c.FindObjectsInit(s, template); err != nil {
		return nil, typed("C_FindObjectsInit", err)
	}
	var found []p11.ObjectHandle
	for len(found) < most {
		more, _, err := c.FindObjects(s, min(most-len(found), 256))
		if err != nil {
			return nil, typed("C_FindObjects", err)
		}
		if len(more) == 0 {
			break
		}
		found = append(found, more...)
	}
	if err := c.FindObjectsFinal(s); err != nil {
		return nil, typed("C_FindObjectsFinal", err)
	}
	return found, nil
}

// absent is nil if no object of any of the profiles' classes has the label.
func absent(c cryptoki, s p11.SessionHandle, label string, kinds ...profile) error {
	for _, p := range kinds {
		found, err := find(c, s, p.search(label))
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("pkcs11: %w: %s %q", hsm.ErrKeyExists, p.kind, label)
		}
	}
	return nil
}
