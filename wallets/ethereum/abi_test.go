package ethereum

import (
	"bytes"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"pgregory.net/rapid"
)

func TestParseSignatureGivesSelectorAndTypes(t *testing.T) {
	for signature, selector := range map[string]string{ // as 4byte.directory has them
		"transfer(address,uint256)":       "a9059cbb",
		"approve(address,uint256)":        "095ea7b3",
		"upgradeTo(address)":              "3659cfe6",
		"deposit()":                       "d0e30db0",
		"setApprovalForAll(address,bool)": "a22cb465",
		"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)": "d505accf",
	} {
		f, err := ParseSignature(signature)
		if err != nil {
			t.Errorf("%s: %v", signature, err)
			continue
		}
		if !bytes.Equal(f.Selector[:], unhex(t, selector)) || f.String() != signature {
			t.Errorf("%s: expected selector %s, found %x of %s", signature, selector, f.Selector, f)
		}
	}
	for _, bad := range []string{
		"", "f", "f(", "f)", "f()x", "1f()", "f(uint)", "f(int)", "f(byte)", "f(string)", "f(bytes)", "f(bytes0)", "f(bytes33)", "f(bytes01)", "f(uint7)", "f(uint0)",
		"f(uint264)", "f(uint08)", "f(int512)", "f(uint256[])", "f(uint256[2])", "f((uint256))", "f(uint256 a)", "f(uint256, bool)", "f(uint256,)", "f(,)", "f(function)",
		"f(fixed128x18)", "f(address payable)", "f(Address)", "f(" + strings.Repeat("bool,", 16) + "bool)", "f(bytes1)\n", "f(address)(bool)", strings.Repeat("f", 65) + "()",
	} {
		if f, err := ParseSignature(bad); err == nil {
			t.Errorf("%q: expected a refusal, found %s", bad, f)
		}
	}
	if f, err := ParseSignature("f(" + strings.Repeat("bool,", 15) + "bool)"); err != nil || len(f.Types) != MaxWords {
		t.Errorf("16 arguments: expected them, found %v, %v", f, err)
	}
}

func typeOf(t testing.TB, name string) Type {
	t.Helper()
	found, err := ParseType(name)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestWordsAreCheckedStrictly(t *testing.T) {
	z := func(n int) string { return strings.Repeat("00", n) }
	f := func(n int) string { return strings.Repeat("ff", n) }
	for _, c := range []struct{ name, word, text string }{ // no text: refused
		{"address", z(12) + f(20), "0x" + f(20)},
		{"address", z(32), "0x" + z(20)},
		{"address", z(11) + "01" + f(20), ""},
		{"address", "01" + z(31), ""},
		{"bool", z(32), "false"},
		{"bool", z(31) + "01", "true"},
		{"bool", z(31) + "02", ""},
		{"bool", z(30) + "0100", ""},
		{"bool", f(32), ""},
		{"uint8", z(31) + "ff", "255"},
		{"uint8", z(30) + "0100", ""},
		{"uint160", z(12) + f(20), "1461501637330902918203684832716283019655932542975"},
		{"uint160", z(11) + "01" + z(20), ""},
		{"uint256", f(32), "115792089237316195423570985008687907853269984665640564039457584007913129639935"},
		{"int8", f(32), "-1"},
		{"int8", f(31) + "80", "-128"},
		{"int8", z(31) + "7f", "127"},
		{"int8", z(31) + "80", ""}, // 128 has no place
		{"int8", f(31) + "7f", ""},
		{"int8", f(30) + "00ff", ""},
		{"int256", "80" + z(31), "-57896044618658097711785492504343953926634992332820282019728792003956564819968"},
		{"int256", f(32), "-1"},
		{"bytes4", "095ea7b3" + z(28), "0x095ea7b3"},
		{"bytes4", "095ea7b301" + z(27), ""},
		{"bytes4", z(28) + "095ea7b3", ""},
		{"bytes32", f(32), "0x" + f(32)},
		{"bytes31", z(31) + "01", ""},
	} {
		kind, word := typeOf(t, c.name), [32]byte(unhex(t, c.word))
		err := kind.Check(word)
		if (err == nil) != (c.text != "") {
			t.Errorf("%s of %s: expected accepted %v, found %v", c.name, c.word, c.text != "", err)
		}
		if err == nil && kind.Text(word) != c.text {
			t.Errorf("%s of %s: expected %s, found %s", c.name, c.word, c.text, kind.Text(word))
		}
		if err != nil && (!strings.HasPrefix(err.Error(), c.name+": expected ") || !strings.Contains(kind.Text(word), "which is no "+c.name)) {
			t.Errorf("%s of %s: expected a refusal and a text that say so, found %v and %s", c.name, c.word, err, kind.Text(word))
		}
		n, isNumber := kind.Number(word)
		if isNumber != (err == nil && strings.Contains(c.name, "int")) || (isNumber && n.String() != c.text) {
			t.Errorf("%s of %s: found number %v, %v", c.name, c.word, n, isNumber)
		}
		if a, is := kind.Address(word); is != (err == nil && c.name == "address") || (is && !bytes.Equal(a[:], word[12:])) {
			t.Errorf("%s of %s: found address %x, %v", c.name, c.word, a, is)
		}
	}
	if (Type{}).Check([32]byte{}) == nil || (Type{}).String() != "no type" {
		t.Error("the zero type: expected it to fit nothing")
	}
}

// words go-ethereum packs are accepted and read as it reads them, and what is accepted it packs to the same bytes.
func TestWordsAgreeWithGoEthereum(t *testing.T) {
	var names []string
	for bits := 8; bits <= 256; bits += 8 {
		names = append(names, "uint"+big.NewInt(int64(bits)).String(), "int"+big.NewInt(int64(bits)).String())
	}
	for n := 1; n <= 32; n++ {
		names = append(names, "bytes"+big.NewInt(int64(n)).String())
	}
	names = append(names, "address", "bool")
	rapid.Check(t, func(rt *rapid.T) {
		name := rapid.SampledFrom(names).Draw(rt, "type")
		var word [32]byte
		fill := rapid.SampledFrom([]byte{0, 0xff}).Draw(rt, "fill")
		at, n := rapid.IntRange(0, 32).Draw(rt, "at"), rapid.IntRange(0, 32).Draw(rt, "length")
		for i := range word {
			word[i] = fill
		}
		for i := at; i < min(at+n, 32); i++ {
			word[i] = rapid.Byte().Draw(rt, "byte")
		}
		kind := typeOf(t, name)
		peer, err := abi.NewType(name, "", nil)
		if err != nil {
			rt.Fatal(err)
		}
		arguments := abi.Arguments{{Type: peer}}
		values, unpacked := arguments.Unpack(word[:])
		var again []byte
		if unpacked == nil {
			if again, err = arguments.Pack(values...); err != nil {
				rt.Fatal(err)
			}
		}
		canonical := unpacked == nil && bytes.Equal(again, word[:])
		// Of the numbers that no Go type holds go-ethereum checks those of 256 bits only: there ours is the stricter one.
		exact := !kind.IsNumber() || slices.Contains([]int{8, 16, 32, 64, 256}, kind.size)
		if err := kind.Check(word); err == nil && !canonical || err != nil && canonical && exact {
			rt.Fatalf("%s of %x: go-ethereum reads %v (%v) and packs %x, found %v", name, word, values, unpacked, again, err)
		}
		if a, is := kind.Address(word); is && common.Address(a) != values[0] {
			rt.Fatalf("%x: go-ethereum has %v, found %x", word, values[0], a)
		}
	})
}

func TestFunctionChecksACall(t *testing.T) {
	f, err := ParseSignature("approve(address,uint256)")
	if err != nil {
		t.Fatal(err)
	}
	good := call().Data
	for name, c := range map[string]struct {
		data  []byte
		field string
	}{
		"as it is":       {good, ""},
		"another":        {append([]byte{1, 2, 3, 4}, good[4:]...), "selector: expected 095ea7b3 of approve(address,uint256), found 01020304"},
		"fewer words":    {good[:36], "arguments: expected 2"},
		"more words":     {append(bytes.Clone(good), make([]byte, 32)...), "arguments: expected 2"},
		"dirty argument": {append(append(bytes.Clone(good[:4]), 1), good[5:]...), "arguments[0]: address: expected 12 zero bytes"},
	} {
		parsed, err := ParseCall(token, c.data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = f.Check(parsed)
		if (err == nil) != (c.field == "") || (err != nil && !strings.HasPrefix(err.Error(), c.field)) {
			t.Errorf("%s: expected %q, found %v", name, c.field, err)
		}
		if errors.Is(err, ErrOtherFunction) != strings.HasPrefix(c.field, "selector") {
			t.Errorf("%s: found %v", name, err)
		}
	}
	if _, err := ParseCall(token, transferData(receiver, gwei)); err == nil || !strings.Contains(err.Error(), "which is a payment") {
		t.Errorf("a transfer: found %v", err)
	}
	if _, err := ParseCall(token, nil); err == nil {
		t.Error("no data: expected a refusal")
	}
}

func FuzzParseSignature(f *testing.F) {
	for _, s := range []string{"approve(address,uint256)", "f()", "f(bytes32,int8,bool)", "f(uint)", "f(,"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		found, err := ParseSignature(s)
		if err != nil {
			return
		}
		if found.String() != s || !bytes.Equal(found.Selector[:], crypto.Keccak256([]byte(s))[:4]) || len(found.Types) > MaxWords {
			t.Fatalf("%q: found %s with selector %x", s, found, found.Selector)
		}
		for _, kind := range found.Types {
			if _, err := abi.NewType(kind.String(), "", nil); err != nil {
				t.Fatalf("go-ethereum refuses %s: %v", kind, err)
			}
		}
	})
}

func FuzzParseCall(f *testing.F) {
	f.Add(call().Data)
	f.Add([]byte{1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseCall(token, data)
		if err == nil && (!bytes.Equal(c.Data(), data) || len(c.Words) > MaxWords || isTransfer(data)) {
			t.Fatalf("%x: found %+v", data, c)
		}
	})
}
