package descriptor

import (
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Keys of the test vectors of BIP-380, 382 and 383.
const (
	fixed  = "03a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd"
	second = "0260b2003c386519fc9eadf2b5cf124dd8eea4c4e68d5e154050a9346ea98ce600"
	xpub   = "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL"
	xpub2  = "xpub68NZiKmJWnxxS6aaHmn81bvJeTESw724CRDs6HbuccFQN9Ku14VQrADWgqbhhTHBaohPX4CjNLf9fq9MYo6oDaPPLPxSb7gwQN3ih19Zm4Y"
	xpub3  = "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH"
	wif    = "L4rK1yDtCWekvXuE6oXD9jCYfFNV2cWRpVuPLBcCU2z8TrisoyY1"
	xprv   = "xprvA1RpRA33e1JQ7ifknakTFpgNXPmW2YvmhqLQYMmrj4xJXXWYpDPS3xz7iAxn8L39njGVyuoseXzU6rcxFLJ8HFsTjSyQbLYnMpCqE2VbFWc"
)

// BIP-380, section "Test Vectors".
func TestChecksumsOfBIP380(t *testing.T) {
	if script, err := verified("raw(deadbeef)#89f8spxm"); err != nil || script != "raw(deadbeef)" {
		t.Errorf("expected raw(deadbeef), found %q (%v)", script, err)
	}
	for name, text := range map[string]string{
		"no checksum":        "raw(deadbeef)",
		"missing checksum":   "raw(deadbeef)#",
		"too long":           "raw(deadbeef)#89f8spxmx",
		"too short":          "raw(deadbeef)#89f8spx",
		"error in payload":   "raw(deedbeef)#89f8spxm",
		"error in checksum":  "raw(deedbeef)##9f8spxm",
		"invalid characters": "raw(Ü)#00000000",
		"nothing":            "",
		"checksum alone":     "#89f8spxm",
		"upper case":         "raw(deadbeef)#89F8SPXM",
	} {
		if script, err := verified(text); err == nil {
			t.Errorf("%s: expected a refusal, found %q", name, script)
		}
	}
}

// One wrong character is always found (BIP-380, section "Checksum").
func TestEveryWrongCharacterIsFound(t *testing.T) {
	text := summed(t, "wsh(sortedmulti(2,"+fixed+","+second+"))")
	rapid.Check(t, func(rt *rapid.T) {
		at := rapid.IntRange(0, len(text)-1).Draw(rt, "at")
		to := rapid.SampledFrom([]byte(inputCharset)).Filter(func(c byte) bool { return c != text[at] }).Draw(rt, "to")
		if script, err := verified(text[:at] + string(to) + text[at+1:]); err == nil {
			rt.Fatalf("expected a refusal, found %s", script)
		}
	})
}

// BIP-382 and BIP-383, sections "Test Vectors", as far as they are of our two forms. BIP-383 has its sortedmulti without wsh, so that its script is the
// witness script here.
func TestScriptsOfTheStandards(t *testing.T) {
	for text, want := range map[string][]string{
		"wpkh(" + fixed + ")":                     {"00149a1c78a507689f6f54b847ad1cef1e614ee23f1e"},
		"wpkh([ffffffff/13']" + xpub3 + "/1/2/*)": {"0014326b2249e3a25d5dc60935f044ee835d090ba859", "0014af0bd98abc2f2cae66e36896a39ffe2d32984fb7", "00141fa798efd1cbf95cebf912c031b8a4a6e9fb9f27"},
		"wsh(sortedmulti(2," + xpub + "/*," + xpub2 + "/0/0/*))": {
			"5221025d5fc65ebb8d44a5274b53bac21ff8307fec2334a32df05553459f8b1f7fe1b62102fbd47cc8034098f0e6a94c6aeee8528abf0a2153a5d8e46d325b7284c046784652ae",
			"52210264fd4d1f5dea8ded94c61e9641309349b62f27fbffe807291f664e286bfbe6472103f4ece6dfccfa37b211eb3d0af4d0c61dba9ef698622dc17eecdf764beeb005a652ae",
			"5221022ccabda84c30bad578b13c89eb3b9544ce149787e5b538175b1d1ba259cbb83321024d902e1a2fc7a8755ab5b694c575fce742c48d9ff192e63df5193e4c7afe1f9c52ae"},
	} {
		d, err := Parse(summed(t, text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if d.Ranged() != (len(want) > 1) {
			t.Errorf("%s: expected ranged %t, found %t", text, len(want) > 1, d.Ranged())
		}
		for i, w := range want {
			script, witness, err := d.Script(uint32(i))
			if witness != nil {
				script = witness
			}
			if err != nil || hex.EncodeToString(script) != w {
				t.Errorf("%s: index %d: expected %s, found %x (%v)", text, i, w, script, err)
			}
		}
	}
}

func TestTextIsReadBack(t *testing.T) {
	for _, script := range []string{
		"wpkh(" + fixed + ")",
		"wpkh(" + xpub + "/*)",
		"wpkh([deadbeef]" + xpub + "/*)",
		"wpkh([deadbeef/0h/1h/2147483647h/7]" + xpub + "/3/4/5/*)",
		"wsh(sortedmulti(1," + fixed + "))",
		"wsh(sortedmulti(2," + fixed + "," + second + "))",
		"wsh(sortedmulti(2," + xpub + "/*," + second + "))",
	} {
		text := summed(t, script)
		d, err := Parse(text)
		if err != nil {
			t.Errorf("%s: %v", script, err)
			continue
		}
		again, err := d.Text()
		if err != nil || again != text {
			t.Errorf("expected %s, found %s (%v)", text, again, err)
		}
	}
	h, err := Parse(summed(t, "wpkh([deadbeef/0h/1h]"+xpub+"/*)"))
	if err != nil {
		t.Fatal(err)
	}
	if apostrophe, err := Parse(summed(t, "wpkh([deadbeef/0'/1h]"+xpub+"/*)")); err != nil || !reflect.DeepEqual(h, apostrophe) {
		t.Errorf("expected ' to mean h, found %+v (%v)", apostrophe, err)
	}
}

// BIP-380 has the invalid key expressions; the others are forms that no wallet of ours has.
func TestWhatIsNoneOfOurFormsIsRefused(t *testing.T) {
	key := func(s string) string { return "wpkh(" + s + ")" }
	for name, script := range map[string]string{
		"children in the origin":   key("[deadbeef/0h/0h/0h/*]" + xpub + "/*"),
		"trailing slash":           key("[deadbeef/0h/0h/0h/]" + xpub + "/*"),
		"short fingerprint":        key("[deadbef/0h/0h/0h]" + xpub + "/*"),
		"long fingerprint":         key("[deadbeeef/0h/0h/0h]" + xpub + "/*"),
		"hardened by f":            key("[deadbeef/0f/0f/0f]" + xpub + "/*"),
		"hardened by H":            key("[deadbeef/0H/0H/0H]" + xpub + "/*"),
		"hardened twice":           key("[deadbeef/0h']" + xpub + "/*"),
		"negative":                 key("[deadbeef/-0/-0/-0]" + xpub + "/*"),
		"no hexadecimal":           key("[gaaaaaaa]" + xpub + "/*"),
		"upper case fingerprint":   key("[DEADBEEF]" + xpub + "/*"),
		"two origins":              key("[aaaaaaaa][aaaaaaaa]" + xpub + "/*"),
		"no start of the origin":   key("aaaaaaaa]" + xpub + "/*"),
		"no end of the origin":     key("[aaaaaaaa" + xpub + "/*"),
		"origin alone":             key("[deadbeef]"),
		"index out of range":       key(xpub + "/2147483648/*"),
		"no index":                 key(xpub + "/1aa/*"),
		"leading zero":             key(xpub + "/01/*"),
		"hardened step":            key(xpub + "/3h/*"),
		"hardened children":        key(xpub + "/3/*h"),
		"extended key of one key":  key(xpub),
		"origin of a fixed key":    key("[deadbeef/0h]" + fixed),
		"secret key":               key(wif),
		"extended secret key":      key(xprv + "/*"),
		"steps below a fixed key":  key(fixed + "/*"),
		"uncompressed":             key("04a34b99f22c790c4e36b2b3c2c35a36db06226e41c692fc82b8b56ac1c540c5bd5b8dec5235a0fa8722476c7709c02559e3aa73aa03918ba2d492eea75abea235"),
		"no point":                 key("02" + strings.Repeat("ff", 32)),
		"upper case key":           key(strings.ToUpper(fixed)),
		"short key":                key(fixed[2:]),
		"no key":                   key(""),
		"two keys":                 key(fixed + "," + second),
		"too many steps":           key(xpub + strings.Repeat("/1", maxPath+1) + "/*"),
		"space":                    key(" " + fixed),
		"key in wsh":               "wsh(" + fixed + ")",
		"wpkh in wsh":              "wsh(wpkh(" + fixed + "))",
		"multi":                    "wsh(multi(1," + fixed + "))",
		"sortedmulti alone":        "sortedmulti(1," + fixed + ")",
		"in sh":                    "sh(wsh(sortedmulti(1," + fixed + ")))",
		"threshold of 0":           "wsh(sortedmulti(0," + fixed + "))",
		"threshold above the keys": "wsh(sortedmulti(2," + fixed + "))",
		"threshold of letters":     "wsh(sortedmulti(a," + fixed + "))",
		"threshold alone":          "wsh(sortedmulti(1))",
		"more keys than a script":  "wsh(sortedmulti(1," + strings.Repeat(fixed+",", 16) + second + "))",
		"raw":                      "raw(deadbeef)",
		"taproot":                  "tr(" + fixed[2:] + ")",
		"nothing":                  "",
		"two expressions":          key(fixed) + key(fixed),
		"multipath":                key(xpub + "/<0;1>/*"),
	} {
		if d, err := Parse(summed(t, script)); err == nil {
			t.Errorf("%s: expected a refusal, found %+v", name, d)
		}
	}
	if _, err := Parse("wpkh(" + fixed + ")"); err == nil {
		t.Error("expected a refusal without a checksum")
	}
	if _, err := Parse(strings.Repeat("a", 1<<20)); err == nil {
		t.Error("expected a refusal of a text without end")
	}
}

func TestOneKeyTwiceMakesNoScript(t *testing.T) {
	d, err := Parse(summed(t, "wsh(sortedmulti(1,"+fixed+","+fixed+"))"))
	if err != nil {
		t.Fatal(err)
	}
	if script, _, err := d.Script(0); err == nil {
		t.Errorf("expected a refusal, found %x", script)
	}
}

func TestDescriptorsThatAreNoneHaveNoText(t *testing.T) {
	public := [33]byte(mustHex(t, fixed))
	ranged := func(r Range) Descriptor { return Descriptor{Keys: []Key{{Range: &r}}} }
	for name, d := range map[string]Descriptor{
		"nothing":              {},
		"two keys for one":     {Keys: []Key{{Public: public}, {Public: public}}},
		"more than all":        {Needed: 2, Keys: []Key{{Public: public}}},
		"negative":             {Needed: -1, Keys: []Key{{Public: public}}},
		"no point":             {Keys: []Key{{}}},
		"key of no point":      ranged(Range{}),
		"hardened step":        ranged(Range{Path: []uint32{firstHardened}}),
		"endless path":         ranged(Range{Path: make([]uint32, maxPath+1)}),
		"key next to a range":  {Keys: []Key{{Public: public, Range: &Range{}}}},
		"too many keys of one": {Needed: 1, Keys: make([]Key, 17)},
	} {
		if text, err := d.Text(); err == nil {
			t.Errorf("%s: expected no text, found %s", name, text)
		}
		if script, _, err := d.Script(0); err == nil {
			t.Errorf("%s: expected no script, found %x", name, script)
		}
	}
}

func TestOneAddressHasOneIndex(t *testing.T) {
	d, err := Parse(summed(t, "wpkh("+fixed+")"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Script(1); err == nil {
		t.Error("expected a refusal of index 1")
	}
	r, err := Parse(summed(t, "wpkh("+xpub+"/*)"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Script(firstHardened); err == nil {
		t.Error("expected a refusal of a hardened index")
	}
}

func mustHex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// What Parse reads has a text, and that text is the same descriptor.
func FuzzParse(f *testing.F) {
	f.Add(summed(f, "wpkh("+fixed+")"))
	f.Add(summed(f, "wpkh([deadbeef/0h/1]"+xpub+"/3/*)"))
	f.Add(summed(f, "wsh(sortedmulti(2,"+fixed+","+second+","+xpub2+"/*))"))
	f.Fuzz(func(t *testing.T, text string) {
		d, err := Parse(text)
		if err != nil {
			// The checksum stands in the way of most changes: try the script with the right one.
			if at := strings.LastIndexByte(text, '#'); at > 0 {
				text = text[:at]
			}
			sum, bad := checksum(text)
			if bad != nil {
				return
			}
			if d, err = Parse(text + "#" + sum); err != nil {
				return
			}
		}
		again, err := d.Text()
		if err != nil {
			t.Fatal(err)
		}
		if same, err := Parse(again); err != nil || !reflect.DeepEqual(same, d) {
			t.Fatalf("expected %+v again, found %+v (%v)", d, same, err)
		}
	})
}
