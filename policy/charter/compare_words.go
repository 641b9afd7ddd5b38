package charter

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/wallets"
	"golang.org/x/crypto/ssh"
)

// nouns are what people call an entry of a list.
var nouns = map[string]string{
	"Genesis.Signers": "signer", "Genesis.Coordinator": "coordinator", "Genesis.Officers": "officer", "Genesis.Groups": "group",
	"Genesis.Clients": "client", "Genesis.Accounts": "account", "Genesis.Chains": "chain", "Genesis.Assets": "asset", "Genesis.Keys": "key",
	"Genesis.Wallets": "wallet", "Genesis.Rules": "rule", "Genesis.Limits": "limit", "Genesis.Allocation": "allocation",
	"Genesis.Authorities": "authority", "Genesis.Recovery": "recovery key", "Genesis.Lifted": "lift of freeze",
	"Genesis.Confirmed": "confirmation of freeze", "Genesis.Builds": "build", "Genesis.Calls": "call", "CallRule.Arguments": "argument",
	"ArgumentRule.Values": "value", "ArgumentRule.Pays": "payment of", "Rule.Calls": "call", "Officer.Keys": "key",
	"Officer.Devices": "device", "Group.Members": "member", "Client.Keys": "key", "Client.Devices": "device", "Key.Holders": "holder",
	"Wallet.Accounts": "account", "Rule.Clients": "client", "Rule.Accounts": "account", "Rule.Wallets": "wallet", "Rule.Amounts": "amount of",
	"Rule.FeeCaps": "fee cap in", "Rule.Limits": "limit", "Limit.Clients": "client", "Limit.Wallets": "wallet",
	"Genesis.Prices": "price source", "PriceSource.Authorities": "authority", "Rule.To": "target", "Rule.Above": "floor of", "Rule.Hours": "hours",
	"Rule.Attributes": "attribute", "AttributeCondition.Values": "value", "Rule.Clearances": "clearance by", "Rule.Holds": "hold if",
	"Limit.Accounts": "account", "Limit.To": "target", "Client.Attributes": "attribute", "Wallet.Devices": "device",
}

// titles are what people call fields whose own names would not read well before "from".
var titles = map[string]string{"Rule.From": "beginning", "Rule.Before": "end", "Rule.When": "condition", "Rule.To": "targets", "Limit.To": "targets",
	"Wallet.Needed": "devices needed", "Wallet.Pool": "pool of keys", "Wallet.Recovery": "recovery key", "Device.Attestation": "attestation key"}

func title(key, name string) string {
	if t, ok := titles[key]; ok {
		return t
	}
	return words(name)
}

// inSeconds are the fields that hold a duration.
var inSeconds = map[string]bool{"Rule.Expiry": true, "Rule.Signing": true, "Rule.Delay": true, "Limit.Window": true, "PriceSource.MaxAge": true, "Authority.MaxAge": true}

// named are the values of enumerations, from 1.
var named = map[reflect.Type][]string{
	reflect.TypeFor[canon.KeyClass]():     {"hardware with presence", "token", "file"},
	reflect.TypeFor[canon.Action]():       {"deny", "allow", "approve"},
	reflect.TypeFor[canon.Tier]():         {"hot", "warm", "cold"},
	reflect.TypeFor[canon.AccountKind]():  {"segregated", "omnibus", "pool"},
	reflect.TypeFor[canon.WalletScheme](): {"mpc", "hsm", "cosign"},
	reflect.TypeFor[canon.ChainKind]():    {"Bitcoin", "EVM"},
	reflect.TypeFor[canon.Dimension]():    {"client", "account", "wallet", "destination", "asset"},
	reflect.TypeFor[canon.Algorithm]():    {"ECDSA secp256k1", "Ed25519"},
	reflect.TypeFor[canon.ArgumentCheck](): {
		"any value", "one of the values", "a number up to the maximum", "the address that sends the call", "an address in the client's address book",
	},
	reflect.TypeFor[canon.Purpose](): {"price", "screening", "travel rule", "balance", "attribute"},
	reflect.TypeFor[canon.Backup]():  {"none", "wrap"},
}

// identities returns what tells the entries of a list apart; arguments of a call stand in their order.
func identities(list reflect.Value) []string {
	ids := make([]string, list.Len())
	for i := range ids {
		if ids[i] = strconv.Itoa(i); list.Type().Elem() != reflect.TypeFor[canon.ArgumentRule]() {
			ids[i] = identity(list.Index(i))
		}
	}
	return ids
}

func identity(v reflect.Value) string {
	switch e := v.Interface().(type) {
	case canon.Allocation:
		return fmt.Sprintf("%s%s %s", e.Asset, e.Currency, showPlain(reflect.ValueOf(e.Tier)))
	case canon.PriceSource:
		return fmt.Sprintf("%s %s", e.Asset, e.Currency)
	case canon.Target:
		return e.String()
	case canon.Hours:
		return HoursText(e)
	case canon.AttributeCondition:
		if e.Authority != "" {
			return fmt.Sprintf("%s of %s", e.Name, e.Authority)
		}
	case canon.Hold:
		return e.When
	case canon.Device:
		return string(e.Signer)
	case canon.AssetAmount:
		return string(e.Asset)
	case canon.OfficerKey:
		return fingerprint(e.Public)
	case []byte:
		return fingerprint(e)
	}
	if v.Kind() == reflect.Struct {
		for _, name := range []string{"Name", "ID"} {
			if f := v.FieldByName(name); f.IsValid() {
				return f.String()
			}
		}
	}
	return fmt.Sprint(v.Interface())
}

// fingerprint names an officer's key as ssh-keygen does, or by its bytes if it is none.
func fingerprint(wire []byte) string {
	key, err := ssh.ParsePublicKey(wire)
	if err != nil || string(key.Marshal()) != string(wire) {
		return fmt.Sprintf("%x", wire)
	}
	return ssh.FingerprintSHA256(key)
}

// show writes a value for people; x knows the assets of its charter.
func (c *comparison) show(x index, p spot, key string, v reflect.Value) string {
	if key == "CallRule.Contract" {
		return fmt.Sprintf("0x%x", v.Bytes())
	}
	if text, ok := c.showCondition(x, p, key, v); ok {
		return text
	}
	if amount, ok := v.Interface().(canon.Amount); ok {
		return showAmount(x, assetOf(p), amount)
	}
	if v.Kind() == reflect.Uint64 && (inSeconds[key] || p.kind == "Delays") {
		return showSeconds(v.Uint())
	}
	return showPlain(v)
}

// assetOf returns the asset in which a limit or an amount counts.
func assetOf(p spot) canon.AssetID {
	v := p.old
	if !v.IsValid() {
		v = p.new
	}
	if a, ok := v.Interface().(canon.ArgumentRule); ok && len(a.Pays) == 1 {
		return a.Pays[0]
	}
	if f := v.FieldByName("Asset"); f.IsValid() {
		return canon.AssetID(f.String())
	}
	return ""
}

func showAmount(x index, id canon.AssetID, amount canon.Amount) string {
	if asset, ok := x.assets[id]; ok {
		return wallets.FormatAmount(amount, asset)
	}
	if id == "" {
		return amount.String() // of an argument that is no payment
	}
	return amount.String() + " base units"
}

func showSeconds(seconds uint64) string {
	if seconds > maxSeconds {
		return fmt.Sprintf("%d seconds", seconds)
	}
	text := (time.Duration(seconds) * time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

func showPlain(v reflect.Value) string {
	switch e := v.Interface().(type) {
	case canon.Time:
		return e.At().Format(time.RFC3339)
	case canon.Text:
		return fmt.Sprintf("%q", string(e))
	case []byte:
		if len(e) == 0 {
			return "none"
		}
		return fingerprint(e)
	case canon.Backup:
		if e == 0 {
			return "none stated"
		}
	}
	if names := named[v.Type()]; v.Kind() == reflect.Uint8 && v.Uint() >= 1 && v.Uint() <= uint64(len(names)) {
		return names[v.Uint()-1]
	}
	if v.Kind() == reflect.Bool {
		return map[bool]string{true: "yes", false: "no"}[v.Bool()]
	}
	return fmt.Sprint(v.Interface())
}

// detail adds to an entry that comes or goes what people must know of it.
func (c *comparison) detail(x index, q spot, v reflect.Value) string {
	switch e := v.Interface().(type) {
	case canon.AssetAmount:
		return ", " + showAmount(x, e.Asset, e.Amount)
	case canon.Limit:
		return fmt.Sprintf(", %s in %s", showMeasure(x, e, e.Amount), showWindow(e.Window))
	case canon.PriceSource:
		return fmt.Sprintf(", by %s, %s to %s", joinNames(e.Authorities), showPrice(e, e.Min), showPrice(e, e.Max))
	case canon.AttributeCondition:
		return ", one of " + showTexts(e.Values)
	case canon.ClientAttribute:
		return " = " + showPlain(reflect.ValueOf(e.Value))
	case canon.Hold:
		return map[bool]string{true: ", then deny", false: ", then hold"}[e.Deny]
	case canon.Rule:
		return ", which says " + showPlain(reflect.ValueOf(e.Action))
	case canon.OfficerKey:
		return ", " + showPlain(reflect.ValueOf(e.Class))
	case canon.Allocation:
		return fmt.Sprintf(", at most %d thousandths", e.MaxPermill)
	case canon.CallRule:
		return ", " + callWords(x, e)
	case []byte:
		return valueWords(q, e)
	case canon.Device:
		return attestationWords(e)
	case canon.Wallet:
		return ", " + showPlain(reflect.ValueOf(e.Label)) + deviceWords(e)
	case canon.Officer, canon.Client:
		return ", " + showPlain(v.FieldByName("Label"))
	}
	return ""
}

func joinNames(names []canon.Name) string {
	if isAny(names) {
		return "all"
	}
	if len(names) == 0 {
		return "none"
	}
	text := make([]string, len(names))
	for i, n := range names {
		text[i] = string(n)
	}
	return strings.Join(text, ", ")
}

// split cuts a Go name into its words: "BookCooldown", "HRP", "StartNonce".
func split(name string) []string {
	var out []string
	runes := []rune(name)
	start := 0
	for i := 1; i < len(runes); i++ {
		if unicode.IsUpper(runes[i]) && !unicode.IsUpper(runes[i-1]) {
			out = append(out, strings.ToLower(string(runes[start:i])))
			start = i
		}
	}
	return append(out, strings.ToLower(string(runes[start:])))
}

func snake(name string) string { return strings.Join(split(name), "_") }
func words(name string) string { return strings.Join(split(name), " ") }
