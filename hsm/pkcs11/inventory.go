package pkcs11

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
)

// MaxInventory is how many keys an inventory lists; a token with more is refused.
const MaxInventory = 100_000

// inventoried is every attribute that an inventory reads. CKA_VALUE and the private parts of RSA keys are not among them.
var inventoried = []attribute{
	{kind: p11.CKA_CLASS, name: "CKA_CLASS"},
	{kind: p11.CKA_KEY_TYPE, name: "CKA_KEY_TYPE"},
	{kind: p11.CKA_TOKEN, name: "CKA_TOKEN"},
	{kind: p11.CKA_PRIVATE, name: "CKA_PRIVATE"},
	{kind: p11.CKA_MODIFIABLE, name: "CKA_MODIFIABLE"},
	{kind: p11.CKA_COPYABLE, name: "CKA_COPYABLE"},
	{kind: p11.CKA_DESTROYABLE, name: "CKA_DESTROYABLE"},
	{kind: p11.CKA_LOCAL, name: "CKA_LOCAL"},
	{kind: p11.CKA_KEY_GEN_MECHANISM, name: "CKA_KEY_GEN_MECHANISM"},
	{kind: p11.CKA_SENSITIVE, name: "CKA_SENSITIVE"},
	{kind: p11.CKA_ALWAYS_SENSITIVE, name: "CKA_ALWAYS_SENSITIVE"},
	{kind: p11.CKA_EXTRACTABLE, name: "CKA_EXTRACTABLE"},
	{kind: p11.CKA_NEVER_EXTRACTABLE, name: "CKA_NEVER_EXTRACTABLE"},
	{kind: p11.CKA_WRAP_WITH_TRUSTED, name: "CKA_WRAP_WITH_TRUSTED"},
	{kind: p11.CKA_TRUSTED, name: "CKA_TRUSTED"},
	{kind: p11.CKA_ALWAYS_AUTHENTICATE, name: "CKA_ALWAYS_AUTHENTICATE"},
	{kind: p11.CKA_SIGN, name: "CKA_SIGN"},
	{kind: p11.CKA_SIGN_RECOVER, name: "CKA_SIGN_RECOVER"},
	{kind: p11.CKA_VERIFY, name: "CKA_VERIFY"},
	{kind: p11.CKA_VERIFY_RECOVER, name: "CKA_VERIFY_RECOVER"},
	{kind: p11.CKA_ENCRYPT, name: "CKA_ENCRYPT"},
	{kind: p11.CKA_DECRYPT, name: "CKA_DECRYPT"},
	{kind: p11.CKA_WRAP, name: "CKA_WRAP"},
	{kind: p11.CKA_UNWRAP, name: "CKA_UNWRAP"},
	{kind: p11.CKA_DERIVE, name: "CKA_DERIVE"},
	{kind: p11.CKA_VALUE_LEN, name: "CKA_VALUE_LEN"},
	{kind: p11.CKA_EC_PARAMS, name: "CKA_EC_PARAMS"},
	{kind: p11.CKA_EC_POINT, name: "CKA_EC_POINT"},
	{kind: p11.CKA_MODULUS, name: "CKA_MODULUS"},
}

// keyClasses are the classes of objects that are keys, in the order of an inventory.
var keyClasses = []uint{p11.CKO_PRIVATE_KEY, p11.CKO_SECRET_KEY, p11.CKO_PUBLIC_KEY}

// Inventory describes the token, and every key in it in the order of class, label and CKA_ID. A public key stands with its private key, and by itself
// only if it has none.
func (t *Token) Inventory(ctx context.Context) (hsm.Inventory, error) {
	inventory, err := t.describe(ctx)
	if err != nil {
		return hsm.Inventory{}, err
	}
	objects, err := onSession(ctx, t, "listing keys", listKeys)
	if err != nil {
		return hsm.Inventory{}, err
	}
	publics := map[string][]p11.ObjectHandle{}
	privates := map[string]bool{}
	for _, o := range objects {
		switch o.class {
		case p11.CKO_PUBLIC_KEY:
			publics[o.name()] = append(publics[o.name()], o.handle)
		case p11.CKO_PRIVATE_KEY:
			privates[o.name()] = true
		}
	}
	for _, o := range objects {
		if o.class == p11.CKO_PUBLIC_KEY && privates[o.name()] {
			continue
		}
		key, err := onSession(ctx, t, "describing a key", func(c cryptoki, s p11.SessionHandle) (hsm.KeyInfo, error) {
			return o.describe(c, s, publics[o.name()])
		})
		if err != nil {
			return hsm.Inventory{}, err
		}
		inventory.Keys = append(inventory.Keys, key)
	}
	refuseAmbiguous(inventory.Keys)
	return inventory, nil
}

// refuseAmbiguous marks keys of one kind that share a label: a lookup finds none of them. Canaries are no worse for it.
func refuseAmbiguous(keys []hsm.KeyInfo) {
	count := map[[2]string]int{}
	for _, k := range keys {
		count[[2]string{k.Kind, k.Label}]++
	}
	for i := range keys {
		k := &keys[i]
		if n := count[[2]string{k.Kind, k.Label}]; n > 1 && k.Refused == "" && k.Label != CanaryLabel {
			k.Refused = fmt.Sprintf("%v: %d keys of this kind have the label", hsm.ErrAmbiguous, n)
		}
	}
}

// describe reads what the token and its module say about themselves.
func (t *Token) describe(ctx context.Context) (hsm.Inventory, error) {
	return onSession(ctx, t, "describing the token", func(c cryptoki, s p11.SessionHandle) (hsm.Inventory, error) {
		library, err := c.GetInfo()
		if err != nil {
			return hsm.Inventory{}, typed("C_GetInfo", err)
		}
		info, err := c.GetTokenInfo(t.slot)
		if err != nil {
			return hsm.Inventory{}, typed("C_GetTokenInfo", err)
		}
		found := hsm.Inventory{Info: slotToken{t.slot, info}.describe(), Library: fmt.Sprintf("%s, %s, version %s, cryptoki %s",
			library.ManufacturerID, library.LibraryDescription, version(library.LibraryVersion), version(library.CryptokiVersion))}
		if most := uint64(info.MaxSessionCount); most != uint64(^uint(0)) { // CK_UNAVAILABLE_INFORMATION
			found.Sessions = most
		}
		return found, nil
	})
}

// object is a key in the token.
type object struct {
	class  uint
	handle p11.ObjectHandle
	label  []byte
	id     []byte
}

// name is what ties a public key to its private key.
func (o object) name() string { return fmt.Sprintf("%q %x", o.label, o.id) }

// listKeys finds every key that the token keeps and puts them in order. Keys of a session, which end with it, are left out: one that this package tried a
// mechanism with may be there a moment longer than the call.
func listKeys(c cryptoki, s p11.SessionHandle) ([]object, error) {
	var all []object
	for _, class := range keyClasses {
		found, err := findMost(c, s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, class), p11.NewAttribute(p11.CKA_TOKEN, true)}, MaxInventory+1)
		if err != nil {
			return nil, err
		}
		if len(all)+len(found) > MaxInventory {
			return nil, fmt.Errorf("pkcs11: %w: expected at most %d keys, found more", hsm.ErrUnsupported, MaxInventory)
		}
		for _, handle := range found {
			names := readAll(c, s, handle, []attribute{{kind: p11.CKA_LABEL}, {kind: p11.CKA_ID}})
			if names == nil {
				names = make([][]byte, 2) // a key without one of them comes first
			}
			all = append(all, object{class, handle, names[0], names[1]})
		}
	}
	slices.SortStableFunc(all, func(a, b object) int {
		return cmp.Or(cmp.Compare(slices.Index(keyClasses, a.class), slices.Index(keyClasses, b.class)), bytes.Compare(a.label, b.label), bytes.Compare(a.id, b.id))
	})
	return all, nil
}

// describe reads the attributes of a key that the token has, and judges it.
func (o object) describe(c cryptoki, s p11.SessionHandle, publics []p11.ObjectHandle) (hsm.KeyInfo, error) {
	d := hsm.KeyInfo{Label: string(o.label), ID: o.id}
	values := map[uint][]byte{}
	for _, a := range inventoried {
		value, err := read(c, s, o.handle, a.kind)
		if errors.Is(err, hsm.ErrTokenLost) {
			return d, err
		}
		// Which attributes an object has depends on its kind, and with some modules on their taste.
		if err == nil && value != nil {
			values[a.kind] = value
			d.Attributes = append(d.Attributes, hsm.Attribute{Name: a.name, Value: value})
		}
	}
	d.Kind = kindOf(values)
	var err error
	if d.Public, err = o.judge(c, s, d.Kind, values, publics); err != nil {
		if errors.Is(err, hsm.ErrTokenLost) {
			return d, err
		}
		d.Refused = err.Error()
	}
	return d, nil
}

// judge returns the public key, and as an error why this package would not use the key.
func (o object) judge(c cryptoki, s p11.SessionHandle, kind string, values map[uint][]byte, publics []p11.ObjectHandle) ([]byte, error) {
	label := string(o.label)
	yes := func(kind uint) bool { return bytes.Equal(values[kind], []byte{1}) }
	switch {
	case o.class == p11.CKO_PUBLIC_KEY:
		return nil, errors.New("a public key without a private key of its label and CKA_ID")
	case kind == "secp256k1":
		class := hsm.KeyClass{Restorable: yes(p11.CKA_EXTRACTABLE) || !yes(p11.CKA_LOCAL), Attended: yes(p11.CKA_ALWAYS_AUTHENTICATE)}
		pair, err := pairUp(c, s, label, o.handle, publics)
		if err != nil {
			return nil, err
		}
		k, err := pair.open(c, s, label, class)
		if err != nil {
			return nil, err
		}
		return k.public.SerializeCompressed(), nil
	case kind == "ed25519":
		k, err := openIdentity(c, s, o.handle, label)
		if err != nil {
			return nil, err
		}
		return k.public, nil
	}
	use := profile{}
	switch {
	case o.class != p11.CKO_SECRET_KEY:
	case kind == "aes-256" && yes(p11.CKA_WRAP):
		use = kek(KEKWraps)
	case kind == "aes-256" && yes(p11.CKA_UNWRAP):
		use = kek(KEKUnwraps)
	case kind == "aes-256":
		use = sealingKey
	case kind == "hmac-256":
		use = derivingKey
	}
	if use.kind == "" {
		return nil, errors.New("not a kind of key that this package uses")
	}
	return nil, use.check(c, s, o.handle, label)
}

// kindOf names a key by its type and size.
func kindOf(values map[uint][]byte) string {
	bits := 8 * uint64(len(bytes.TrimLeft(values[p11.CKA_MODULUS], "\x00")))
	if n, ok := ulong(values[p11.CKA_VALUE_LEN]); ok {
		bits = 8 * n
	}
	kind, ok := ulong(values[p11.CKA_KEY_TYPE])
	if !ok {
		return "unknown"
	}
	switch kind {
	case p11.CKK_EC:
		if bytes.Equal(values[p11.CKA_EC_PARAMS], secp256k1Params) {
			return "secp256k1"
		}
		return fmt.Sprintf("ec %x", values[p11.CKA_EC_PARAMS])
	case ckkECEdwards:
		return "ed25519"
	case p11.CKK_AES:
		return fmt.Sprintf("aes-%d", bits)
	case p11.CKK_GENERIC_SECRET:
		return fmt.Sprintf("hmac-%d", bits)
	case p11.CKK_RSA:
		return fmt.Sprintf("rsa-%d", bits)
	default:
		return fmt.Sprintf("key type %#x", kind)
	}
}

// ulong reads a CK_ULONG, which has the size and byte order of the machine's unsigned long.
func ulong(b []byte) (uint64, bool) {
	switch len(b) {
	case 4:
		return uint64(binary.NativeEndian.Uint32(b)), true
	case 8:
		return binary.NativeEndian.Uint64(b), true
	}
	return 0, false
}
