package pkcs11

import (
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// secp256k1Params is the curve's OID, 1.3.132.0.10 (SEC 2), as CKA_EC_PARAMS.
var secp256k1Params = []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}

// ecdsaPrivate is what a secp256k1 private key of the class must be, in the token where it was born or in the one where it was restored. A restored key
// reads CKA_LOCAL, CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE false (PKCS#11 v2.40 section 5.13, C_UnwrapKey); so does one that came in as
// plain text, which is why only a restorable key may.
func ecdsaPrivate(class hsm.KeyClass, restored bool) profile {
	p := profile{
		kind: "secp256k1 private key",
		declared: append([]attribute{
			{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_PRIVATE_KEY)},
			{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(p11.CKK_EC)},
			{p11.CKA_SIGN, "CKA_SIGN", true},
			{p11.CKA_SIGN_RECOVER, "CKA_SIGN_RECOVER", false},
			{p11.CKA_DECRYPT, "CKA_DECRYPT", false},
			{p11.CKA_ALWAYS_AUTHENTICATE, "CKA_ALWAYS_AUTHENTICATE", class.Attended},
		}, secret...),
		found: []attribute{{p11.CKA_EC_PARAMS, "CKA_EC_PARAMS", secp256k1Params}},
	}
	switch {
	case !class.Restorable:
		p.found = append(p.found, born(p11.CKM_EC_KEY_PAIR_GEN)...)
	case restored:
		p.kind = "restored " + p.kind
		p.declared = without(p.declared, p11.CKA_MODIFIABLE)
		p.found = append(p.found,
			attribute{p11.CKA_LOCAL, "CKA_LOCAL", false},
			attribute{p11.CKA_ALWAYS_SENSITIVE, "CKA_ALWAYS_SENSITIVE", false},
			attribute{p11.CKA_NEVER_EXTRACTABLE, "CKA_NEVER_EXTRACTABLE", false})
	default:
		p.kind = "restorable " + p.kind
		p.declared = append(with(p.declared, p11.CKA_EXTRACTABLE, true),
			attribute{p11.CKA_WRAP_WITH_TRUSTED, "CKA_WRAP_WITH_TRUSTED", true})
		p.found = append(p.found, with(born(p11.CKM_EC_KEY_PAIR_GEN), p11.CKA_NEVER_EXTRACTABLE, false)...)
	}
	return p
}

// ecdsaPublic is what the other half of the pair must be.
func ecdsaPublic(restored bool) profile {
	p := profile{
		kind: "secp256k1 public key",
		declared: []attribute{
			{p11.CKA_CLASS, "CKA_CLASS", uint(p11.CKO_PUBLIC_KEY)},
			{p11.CKA_KEY_TYPE, "CKA_KEY_TYPE", uint(p11.CKK_EC)},
			{p11.CKA_EC_PARAMS, "CKA_EC_PARAMS", secp256k1Params},
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
			{p11.CKA_KEY_GEN_MECHANISM, "CKA_KEY_GEN_MECHANISM", uint(p11.CKM_EC_KEY_PAIR_GEN)},
		},
	}
	if restored {
		p.kind = "restored " + p.kind
		p.found = []attribute{{p11.CKA_LOCAL, "CKA_LOCAL", false}}
	}
	return p
}

// without returns the list without one of its attributes. SoftHSM unwraps no key that cannot be modified, because it fills in the key's own attributes
// after the template's. What a modifiable key can be given is another label, another CKA_ID and other uses, all of which are read back.
func without(list []attribute, kind uint) []attribute {
	return slices.DeleteFunc(slices.Clone(list), func(a attribute) bool { return a.kind == kind })
}

// with returns the list with another value for one of its attributes.
func with(list []attribute, kind uint, value any) []attribute {
	list = slices.Clone(list)
	for i := range list {
		if list[i].kind == kind {
			list[i].value = value
		}
	}
	return list
}
