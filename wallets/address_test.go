package wallets

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcutil"
	"github.com/btcsuite/btcd/chaincfg"
	"github.com/btcsuite/btcd/txscript"
	"github.com/ethereum/go-ethereum/common"
	"github.com/strongroom/strongroom/proto/canon"
	"pgregory.net/rapid"
)

var (
	mainnet  = canon.Chain{Kind: canon.Bitcoin, HRP: "bc"}
	testnet  = canon.Chain{Kind: canon.Bitcoin, HRP: "tb"}
	regtest  = canon.Chain{Kind: canon.Bitcoin, HRP: "bcrt"}
	ethereum = canon.Chain{ID: "eip155:1", Kind: canon.EVM}
)

func TestBitcoinAddressesOfTheStandards(t *testing.T) {
	for _, c := range []struct {
		source       string
		chain        canon.Chain
		text, script string
	}{
		{"BIP-173", mainnet, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"},
		{"BIP-173", testnet, "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"},
		{"BIP-350", mainnet, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
		{"BIP-350", testnet, "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433"},
		{"block 0", mainnet, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"},
		{"en.bitcoin.it, Invoice address", mainnet, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87"},
	} {
		script, err := ParseAddress(c.chain, c.text)
		if err != nil {
			t.Errorf("%s: %s: %v", c.source, c.text, err)
			continue
		}
		if hex.EncodeToString(script) != c.script {
			t.Errorf("%s: %s: expected %s, found %x", c.source, c.text, c.script, script)
		}
		text, err := AddressText(c.chain, script)
		if err != nil || !strings.EqualFold(text, c.text) {
			t.Errorf("%s: expected %s, found %s, %v", c.source, c.text, text, err)
		}
	}
}

func TestParseAddressRefusesBitcoinAddressesThatAreNone(t *testing.T) {
	for text, why := range map[string]string{
		// BIP-350, section "Test vectors for v0-v16 native segregated witness addresses", invalid.
		"tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut": "prefix",
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd": "Bech32 instead of Bech32m",
		"tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf": "Bech32 instead of Bech32m",
		"BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL": "Bech32 instead of Bech32m",
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh":                     "Bech32m instead of Bech32",
		"tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47": "Bech32m instead of Bech32",
		"bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4": "character in the checksum",
		"BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R": "version",
		"bc1pw5dgrnzv": "1 byte",
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav": "41 bytes",
		"BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P":                                         "16 bytes in version 0",
		"tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq":               "mixed case",
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf":             "zero padding of more than 4 bits",
		"tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j":               "padding other than zero",
		"bc1gmk9yu": "no data",
		// Valid by BIP-350, but of a witness version without a meaning.
		"BC1SW50QGDZ25J":                       "version 16",
		"bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs": "version 2",
		// Base58check: a letter changed, another network's version, spaces.
		"1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb":  "checksum",
		"mrCDrCybB6J1vRfbwM5hemdJz73FwDBC8r":  "version of another network",
		" 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa": "space",
		"":                                    "nothing",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed":  "an EVM address",
		"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx":  "another network",
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 ": "trailing space",
	} {
		chain := mainnet
		if strings.HasPrefix(text, "tb1p") || strings.HasPrefix(text, "tb1z") || strings.HasPrefix(text, "tb1q0") {
			chain = testnet
		}
		if script, err := ParseAddress(chain, text); err == nil {
			t.Errorf("%s (%s) was read as %x", text, why, script)
		}
	}
}

func TestP2TRWithoutAPointIsRefused(t *testing.T) {
	script := append([]byte{0x51, 32}, bytes.Repeat([]byte{0}, 31)...)
	script = append(script, 5) // no point of secp256k1 has x = 5
	if text, err := AddressText(mainnet, script); err == nil {
		t.Errorf("a script that nobody can spend has the address %s", text)
	}
}

func TestBase58OnlyOnNetworksWithKnownVersions(t *testing.T) {
	other := canon.Chain{Kind: canon.Bitcoin, HRP: "xx"}
	script := makeScript(P2PKH, make([]byte, 20))
	if text, err := AddressText(other, script); err == nil {
		t.Errorf("found %s", text)
	}
	if script, err := ParseAddress(other, "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"); err == nil {
		t.Errorf("found %x", script)
	}
	witness := makeScript(P2WPKH, make([]byte, 20))
	text, err := AddressText(other, witness)
	if err != nil || !strings.HasPrefix(text, "xx1q") {
		t.Errorf("found %s, %v", text, err)
	}
}

// scripts draws output scripts of every standard type. The P2TR key is made from a real key.
func scripts() *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		kind := rapid.SampledFrom([]ScriptType{P2PKH, P2SH, P2WPKH, P2WSH, P2TR}).Draw(t, "type")
		switch kind {
		case P2TR:
			return makeScript(kind, privateKeys().Draw(t, "key").PubKey().SerializeCompressed()[1:])
		case P2WSH:
			return makeScript(kind, rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		}
		return makeScript(kind, rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "hash"))
	})
}

func TestBitcoinAddressesAgreeWithBtcutil(t *testing.T) {
	networks := map[string]*chaincfg.Params{
		"bc": &chaincfg.MainNetParams, "tb": &chaincfg.TestNet3Params, "bcrt": &chaincfg.RegressionNetParams, "sb": &chaincfg.SimNetParams,
	}
	rapid.Check(t, func(t *rapid.T) {
		hrp := rapid.SampledFrom([]string{"bc", "tb", "bcrt", "sb"}).Draw(t, "network")
		script := scripts().Draw(t, "script")
		chain := canon.Chain{Kind: canon.Bitcoin, HRP: hrp}
		text, err := AddressText(chain, script)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := btcutil.DecodeAddress(text, networks[hrp])
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want, err := txscript.PayToAddrScript(peer)
		if err != nil || !bytes.Equal(want, script) {
			t.Fatalf("%s: btcutil reads %x, expected %x, %v", text, want, script, err)
		}
		found, err := ParseAddress(chain, text)
		if err != nil || !bytes.Equal(found, script) {
			t.Fatalf("%s: expected %x, found %x, %v", text, script, found, err)
		}
		at := rapid.IntRange(0, len(text)-1).Draw(t, "position")
		changed := text[:at] + string(rapid.SampledFrom([]byte("qpzry9x8gf2tvdw0s3jn54khce6mua7lABC1")).Draw(t, "character")) + text[at+1:]
		if changed == text {
			return
		}
		if script, err := ParseAddress(chain, changed); err == nil {
			t.Fatalf("%s with one character changed was read as %x", text, script)
		}
	})
}

// EIP-55, section "Test Cases".
var eip55 = []string{
	"0x52908400098527886E0F7030069857D2E4169EE7", "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
	"0xde709f2102306220921060314715629080e2fb77", "0x27b1fdb04752bbc536007a920d24acb045561c26",
	"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
	"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB", "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
}

func TestEVMAddressesOfEIP55(t *testing.T) {
	for _, text := range eip55 {
		address, err := ParseAddress(ethereum, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if found, err := AddressText(ethereum, address); err != nil || found != text {
			t.Errorf("expected %s, found %s, %v", text, found, err)
		}
	}
	for _, text := range []string{
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0X5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED",
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed00", "0x", "", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg",
	} {
		if address, err := ParseAddress(ethereum, text); err == nil {
			t.Errorf("%q was read as %x", text, address)
		}
	}
}

func TestEVMChecksumAgreesWithGoEthereum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "address")
		text, err := AddressText(ethereum, address)
		if want := common.BytesToAddress(address).Hex(); err != nil || text != want {
			t.Fatalf("expected %s, found %s, %v", want, text, err)
		}
		for _, form := range []string{text, strings.ToLower(text), "0x" + strings.ToUpper(text[2:])} {
			found, err := ParseAddress(ethereum, form)
			if err != nil || !bytes.Equal(found, address) {
				t.Fatalf("%s: found %x, %v", form, found, err)
			}
		}
	})
}

func TestAddressTextRefusesOtherSizesAndKinds(t *testing.T) {
	for _, n := range []int{0, 19, 21, 32} {
		if text, err := AddressText(ethereum, make([]byte, n)); err == nil {
			t.Errorf("%d bytes: found %s", n, text)
		}
	}
	for _, script := range []string{"", "6a", "6a0474657374", "0014", "0015" + strings.Repeat("00", 21), "5220" + strings.Repeat("01", 32), "51024e73",
		"76a914" + strings.Repeat("00", 20) + "88ad", "a914" + strings.Repeat("00", 20) + "88", "2103" + strings.Repeat("11", 32) + "ac"} {
		b, _ := hex.DecodeString(script)
		if text, err := AddressText(mainnet, b); err == nil {
			t.Errorf("script %s: found %s", script, text)
		}
	}
	if _, err := AddressText(canon.Chain{}, make([]byte, 20)); err == nil {
		t.Error("a chain of no kind has addresses")
	}
	if _, err := ParseAddress(canon.Chain{}, eip55[0]); err == nil {
		t.Error("a chain of no kind has addresses")
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range append(eip55, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
		"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "bc1", "1", "0x") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, chain := range []canon.Chain{mainnet, testnet, regtest, ethereum} {
			address, err := ParseAddress(chain, text)
			if err != nil {
				continue
			}
			again, err := AddressText(chain, address)
			if err != nil || !strings.EqualFold(again, text) {
				t.Fatalf("%q was read as %x, whose text is %q, %v", text, address, again, err)
			}
		}
	})
}
