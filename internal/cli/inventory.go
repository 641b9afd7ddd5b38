package cli

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/strongroom/strongroom/hsm"
)

// ErrUnsound is wrapped when a token's certificate is missing or expired, or when it has keys that are not as they should be.
var ErrUnsound = errors.New("not as it should be")

// InventoryView is a token and what is in it, as the token itself says, beside what the custodian's file says of its certificates.
type InventoryView struct {
	Label        string `json:"label"`
	Serial       string `json:"serial"`
	Manufacturer string `json:"manufacturer"`
	Model        string `json:"model"`
	Hardware     string `json:"hardware"`
	Firmware     string `json:"firmware"`
	Library      string `json:"library"`
	Sessions     uint64 `json:"sessions,omitempty"` // most at once; 0 if the token does not say
	// Certificates are those of the model and firmware in the custodian's file; CertificatesChecked says whether there was a file.
	Certificates        []CertificateView `json:"certificates"`
	CertificatesChecked bool              `json:"certificates_checked"`
	Keys                []TokenKeyView    `json:"keys"`
}

// TokenKeyView is a key in a token by its public attributes.
type TokenKeyView struct {
	Label      string             `json:"label"`
	ID         string             `json:"id"`
	Kind       string             `json:"kind"`
	Public     string             `json:"public_key,omitempty"`
	Attributes []KeyAttributeView `json:"attributes"`
	// Refused says why this software would not use the key; empty if it would.
	Refused string `json:"refused,omitempty"`
}

// KeyAttributeView is an attribute of PKCS#11: yes or no, a number as 0x and hexadecimal digits, or bytes in hexadecimal.
type KeyAttributeView struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func keyAttributeView(a hsm.Attribute) KeyAttributeView {
	v := KeyAttributeView{Name: a.Name}
	switch {
	case len(a.Value) == 1 && a.Value[0] <= 1:
		v.Value = yesNo(a.Value[0] == 1)
	case len(a.Value) == 8 && !slices.Contains(keyMaterial, a.Name): // CK_ULONG, in this machine's order (PKCS#11 v2.40, section 2)
		v.Value = fmt.Sprintf("0x%x", binary.NativeEndian.Uint64(a.Value))
	default:
		v.Value = hex.EncodeToString(a.Value)
	}
	return v
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// keyMaterial are the attributes in which public keys themselves stand: every key has others.
var keyMaterial = []string{"CKA_EC_POINT", "CKA_MODULUS"}

func inventoryView(i hsm.Inventory) InventoryView {
	v := InventoryView{Label: i.Label, Serial: i.Serial, Manufacturer: i.Manufacturer, Model: i.Model, Hardware: i.Hardware, Firmware: i.Firmware,
		Library: i.Library, Sessions: i.Sessions, Certificates: []CertificateView{}, Keys: []TokenKeyView{}}
	for _, k := range i.Keys {
		key := TokenKeyView{Label: k.Label, ID: hex.EncodeToString(k.ID), Kind: k.Kind, Public: hex.EncodeToString(k.Public), Refused: k.Refused, Attributes: []KeyAttributeView{}}
		for _, a := range k.Attributes {
			key.Attributes = append(key.Attributes, keyAttributeView(a))
		}
		v.Keys = append(v.Keys, key)
	}
	return v
}

func (v InventoryView) writeText(t *text) {
	t.field("Token", v.Label+", serial "+v.Serial)
	t.field("Model", v.Model+", by "+v.Manufacturer)
	t.field("Hardware", v.Hardware)
	t.field("Firmware", v.Firmware)
	t.field("Module", v.Library)
	v.writeCertificates(t)
	if len(v.Keys) == 0 {
		t.gap()
		t.say("No keys.")
	}
	for from := 0; from < len(v.Keys); {
		to := from + 1
		for to < len(v.Keys) && v.Keys[to].alike() == v.Keys[from].alike() {
			to++
		}
		t.gap()
		writeKeys(t, v.Keys[from:to])
		from = to
	}
}

func (v InventoryView) writeCertificates(t *text) {
	switch {
	case !v.CertificatesChecked:
		t.field("Certificate", "not checked: no file of certificates was given")
	case len(v.Certificates) == 0:
		t.field("Certificate", "MISSING: the file has none for this model and firmware")
	}
	for _, c := range v.Certificates {
		state := "until " + c.Expires
		if c.Expired {
			state = "EXPIRED on " + c.Expires
		}
		t.field("Certificate", fmt.Sprintf("%s, %s, %s", c.Standard, c.Certificate, state))
		t.say("  %s", c.URL)
	}
}

// alike is what keys have in common that are shown together: everything but which key it is.
func (k TokenKeyView) alike() string {
	return k.Kind + "\n" + k.Refused + "\n" + k.attributes("yes") + "\n" + k.attributes("no") + "\n" + k.others()
}

func (k TokenKeyView) attributes(value string) string {
	var out []string
	for _, a := range k.Attributes {
		if a.Value == value {
			out = append(out, a.Name)
		}
	}
	return strings.Join(out, " ")
}

// others are the attributes that are neither yes nor no.
func (k TokenKeyView) others() string {
	var out []string
	for _, a := range k.Attributes {
		if a.Value != "yes" && a.Value != "no" && !slices.Contains(keyMaterial, a.Name) {
			out = append(out, a.Name+"="+a.Value)
		}
	}
	return strings.Join(out, " ")
}

func writeKeys(t *text, keys []TokenKeyView) {
	k := keys[0]
	if len(keys) == 1 {
		t.say("1 key, %s", k.Kind)
	} else {
		t.say("%s keys, %s, all alike", len(keys), k.Kind)
	}
	if k.Refused != "" {
		t.say("  NOT AS IT SHOULD BE: %s", k.Refused)
	} else {
		t.say("  as it should be")
	}
	for _, line := range []struct{ label, text string }{{"yes", k.attributes("yes")}, {"no", k.attributes("no")}, {"other", k.others()}} {
		if line.text != "" {
			t.say("  %s: %s", line.label, line.text)
		}
	}
	for _, k := range keys {
		t.say("  %s  id %s", k.Label, k.ID)
		if k.Public != "" {
			t.say("    %s", k.Public)
		}
	}
}

// Inventory prints what is in a token, read by its own word and without reading a secret, and whether the token has a certificate in force in the
// custodian's file, if one is named. What is not as it should be is printed, and makes an error that wraps ErrUnsound.
func (a *App) Inventory(ctx context.Context, open func(context.Context) (hsm.Token, error), certificates string) error {
	var known []Certificate
	var err error
	if certificates != "" {
		if known, err = loadCertificates(certificates); err != nil {
			return err
		}
	}
	token, err := open(ctx)
	if err != nil {
		return err
	}
	found, err := token.Inventory(ctx)
	if err = errors.Join(err, token.Close()); err != nil {
		return err
	}
	v := inventoryView(found)
	v.CertificatesChecked = certificates != ""
	for _, c := range known {
		if c.of(found.Info) {
			v.Certificates = append(v.Certificates, c.view(a.Now()))
		}
	}
	if err := a.Print(v); err != nil {
		return err
	}
	return v.err()
}

// err names what is not as it should be.
func (v InventoryView) err() error {
	var why []string
	if v.CertificatesChecked && len(v.Certificates) == 0 {
		why = append(why, fmt.Sprintf("no certificate of model %q, firmware %q", v.Model, v.Firmware))
	}
	for _, c := range v.Certificates {
		if c.Expired {
			why = append(why, fmt.Sprintf("certificate %s expired on %s", c.Certificate, c.Expires))
		}
	}
	bad := 0
	for _, k := range v.Keys {
		if k.Refused != "" {
			bad++
		}
	}
	if bad > 0 {
		why = append(why, fmt.Sprintf("%d of %d keys", bad, len(v.Keys)))
	}
	if len(why) == 0 {
		return nil
	}
	return fmt.Errorf("token %s: %w: %s", v.Serial, ErrUnsound, strings.Join(why, "; "))
}
