package canon

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files anew")

func fileName(d Document) string {
	return filepath.Join("testdata", strings.ReplaceAll(strings.TrimPrefix(string(d.Kind()), "strongroom/"), "/", "-")+".hex")
}

// A changed golden file is a changed format: signatures over old documents stop verifying.
func TestGoldenBytes(t *testing.T) {
	for _, k := range kinds {
		t.Run(string(k.Kind()), func(t *testing.T) {
			b, digest, err := Seal(sample(k))
			if err != nil {
				t.Fatal(err)
			}
			got := hex.EncodeToString(b) + "\n" + digest.String() + "\n"
			if *update {
				if err := os.WriteFile(fileName(k), []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(fileName(k))
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("encoding changed:\n got %s\nwant %s", got, want)
			}
			again := reflect.New(reflect.TypeOf(k).Elem()).Interface().(Document)
			if err := Decode(b, again); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(again, sample(k)) {
				t.Errorf("decoded document differs from the one encoded")
			}
		})
	}
}

// Every exported struct with a Kind method is in kinds, so a new kind cannot go untested.
func TestEveryDocumentIsListed(t *testing.T) {
	listed := map[string]bool{}
	for _, k := range kinds {
		listed[reflect.TypeOf(k).Elem().Name()] = true
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			m, ok := d.(*ast.FuncDecl)
			if !ok || m.Recv == nil || m.Name.Name != "Kind" {
				continue
			}
			found++
			if typ := m.Recv.List[0].Type.(*ast.Ident).Name; !listed[typ] {
				t.Errorf("%s is a document without test coverage", typ)
			}
		}
	}
	if found != len(kinds) {
		t.Errorf("expected %d documents in the source, found %d", len(kinds), found)
	}
}

// leaves calls f for every leaf of v with its path; f may change the leaf.
func leaves(v reflect.Value, path string, f func(path string, leaf reflect.Value)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			leaves(v.Elem(), path, f)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), path+"/"+v.Type().Field(i).Name, f)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			f(path, v)
			return
		}
		for i := range v.Len() {
			leaves(v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
		}
		f(path+"[]", v)
	default:
		f(path, v)
	}
}

// mutate changes a leaf to another value of its type and returns a function that undoes it.
func mutate(leaf reflect.Value) (undo func()) {
	old := reflect.New(leaf.Type()).Elem()
	old.Set(leaf)
	undo = func() { leaf.Set(old) }
	switch leaf.Kind() {
	case reflect.Slice:
		if leaf.Type().Elem().Kind() == reflect.Uint8 {
			b := bytes.Clone(leaf.Bytes())
			b[len(b)-1] ^= 1
			leaf.SetBytes(b)
			break
		}
		leaf.Set(leaf.Slice(0, leaf.Len()-1))
	case reflect.Array:
		leaf.Index(0).SetUint(leaf.Index(0).Uint() ^ 1)
	case reflect.Uint8, reflect.Uint64:
		leaf.SetUint(leaf.Uint() + 1)
	case reflect.Bool:
		leaf.SetBool(!leaf.Bool())
	case reflect.String:
		leaf.SetString(leaf.String() + "1")
	default:
		panic("no mutation for " + leaf.Type().String())
	}
	return undo
}

func TestEveryFieldIsBoundByTheDigest(t *testing.T) {
	for _, k := range kinds {
		d := sample(k)
		_, want, err := Seal(d)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		leaves(reflect.ValueOf(d), "", func(path string, leaf reflect.Value) {
			n++
			if leaf.IsZero() && !strings.Contains(path, "Call") {
				t.Errorf("%s%s: the golden sample leaves it empty", d.Kind(), path)
				return
			}
			if leaf.IsZero() {
				return
			}
			defer mutate(leaf)()
			b, err := encMode.Marshal(d) // without the rules: even an invalid value must change the bytes
			if err != nil {
				t.Errorf("%s%s: %v", d.Kind(), path, err)
				return
			}
			if d.Kind().Digest(b) == want {
				t.Errorf("%s%s: changing it leaves the digest as it was", d.Kind(), path)
			}
		})
		if n < 5 {
			t.Errorf("%s: expected several fields, found %d", d.Kind(), n)
		}
		if _, again, err := Seal(d); err != nil || again != want {
			t.Errorf("%s: mutations were not undone: %v", d.Kind(), err)
		}
	}
}

func TestCallIsBoundByTheDigest(t *testing.T) {
	r := sample(&Request{}).(*Request)
	r.Outputs = nil
	r.Call = &Call{To: bytes.Repeat([]byte{1}, 20), Value: AmountOf(5), Data: []byte{1, 2, 3, 4}}
	_, want, err := Seal(r)
	if err != nil {
		t.Fatal(err)
	}
	leaves(reflect.ValueOf(r.Call), "", func(path string, leaf reflect.Value) {
		defer mutate(leaf)()
		if _, got, err := Seal(r); err != nil || got == want {
			t.Errorf("call%s: expected another digest, found the same (%v)", path, err)
		}
	})
}

func TestOrganisationIsInEveryDocument(t *testing.T) {
	// The genesis is the organisation; entries are bound by the book's root, pools by the charter; possessions name a signer's identity.
	exempt := map[Kind]bool{KindGenesis: true, KindBookEntry: true, KindKeyPool: true, KindPossession: true}
	for _, k := range kinds {
		f, ok := reflect.TypeOf(k).Elem().FieldByName("Organisation")
		if exempt[k.Kind()] == ok || (ok && (f.Type != reflect.TypeFor[Digest]() || f.Tag.Get("cbor") != "1,keyasint")) {
			t.Errorf("%s: expected the organisation as key 1", k.Kind())
		}
	}
}

func TestDecodeRefusesOtherEncodings(t *testing.T) {
	good, err := Encode(sample(&Approval{}))
	if err != nil {
		t.Fatal(err)
	}
	// Every map here has fewer than 24 pairs, so the head is one byte.
	pairs := int(good[0] & 0x1f)
	long := append([]byte{0xb8, byte(pairs)}, good[1:]...)                          // head not in its shortest form
	indefinite := append(append([]byte{0xbf}, good[1:]...), 0xff)                   // indefinite length
	trailing := append(bytes.Clone(good), 0)                                        // one byte more
	unknown := append([]byte{good[0] + 1}, append(bytes.Clone(good[1:]), 24, 0)...) // key 24
	duplicate := append([]byte{good[0] + 1}, append(append([]byte{}, good[1:]...), 7, 0x60)...)
	tagged := append([]byte{0xc1}, good...)
	notAfter := []byte{6, 0x1a, 0x65, 0x53, 0xf1, 0x00} // key 6, 1700000000
	null := bytes.Replace(good, notAfter, []byte{6, 0xf6}, 1)
	wide := bytes.Replace(good, notAfter, []byte{6, 0x1b, 0, 0, 0, 0, 0x65, 0x53, 0xf1, 0x00}, 1)
	for name, b := range map[string][]byte{
		"empty": nil, "long head": long, "indefinite": indefinite, "trailing": trailing, "unknown key": unknown, "duplicate key": duplicate,
		"tag": tagged, "null": null, "wide integer": wide, "truncated": good[:len(good)-1], "array": {0x80}, "float": bytes.Replace(good, []byte{2, 1}, []byte{2, 0xf9, 0x3c, 0}, 1),
		"oversize": make([]byte, 65<<20), "unsorted": unsorted(good),
	} {
		if bytes.Equal(b, good) {
			t.Errorf("%s: the test case did not change the bytes", name)
		}
		var a Approval
		if err := Decode(b, &a); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}

// unsorted moves the first pair (key 1 and a 32-byte string, 35 bytes) behind the second (key 2 and a small integer).
func unsorted(good []byte) []byte {
	first, second := good[1:36], good[36:38]
	out := append([]byte{good[0]}, second...)
	out = append(out, first...)
	return append(out, good[38:]...)
}

func TestFieldRulesAreEnforcedOnDecoding(t *testing.T) {
	bad := map[string]Document{
		"bidi text":        &Approval{Object: 1, Decision: 1, Officer: "a", Reason: "pay \u202eevil"},
		"control text":     &Approval{Object: 1, Decision: 1, Officer: "a", Reason: "a\x1b[2J"},
		"not NFC":          &Approval{Object: 1, Decision: 1, Officer: "a", Reason: "e\u0301"},
		"long text":        &Approval{Object: 1, Decision: 1, Officer: "a", Reason: Text(strings.Repeat("x", 141))},
		"bad name":         &Approval{Object: 1, Decision: 1, Officer: "Ä"},
		"no name":          &Approval{Object: 1, Decision: 1},
		"unknown decision": &Approval{Object: 1, Decision: 4, Officer: "a"},
		"leading zero":     &Reservation{Charges: []Charge{{Limit: "a", Amount: Amount{0, 1}}}},
		"far time":         &Approval{Object: 1, Decision: 1, Officer: "a", NotAfter: maxTime + 1},
	}
	for name, d := range bad {
		b, err := encMode.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		into := reflect.New(reflect.TypeOf(d).Elem()).Interface().(Document)
		if err := Decode(b, into); !errors.Is(err, ErrEncoding) {
			t.Errorf("%s: expected a refusal, found %v", name, err)
		}
	}
}

func TestDigestsOfKindsNeverMeet(t *testing.T) {
	seen := map[Digest]Kind{}
	for _, k := range kinds {
		d := k.Kind().Digest([]byte{0xa0})
		if other, ok := seen[d]; ok {
			t.Errorf("%s and %s: same digest for the same bytes", k.Kind(), other)
		}
		seen[d] = k.Kind()
	}
}

func TestAmountRoundTrips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "bytes"))
		a, err := NewAmount(n)
		if err != nil || a.Check() != nil || a.Int().Cmp(n) != 0 {
			t.Fatalf("%s: %v", n, err)
		}
	})
	for _, n := range []*big.Int{big.NewInt(-1), new(big.Int).Lsh(big.NewInt(1), 256)} {
		if _, err := NewAmount(n); err == nil {
			t.Errorf("%s: expected a refusal", n)
		}
	}
}

func TestWithdrawalIDBindsItsThreeFields(t *testing.T) {
	r := *sample(&Request{}).(*Request)
	want := r.WithdrawalID()
	for name, change := range map[string]func(*Request){
		"organisation": func(r *Request) { r.Organisation[0]++ },
		"requester":    func(r *Request) { r.Requester[31]++ },
		"request id":   func(r *Request) { r.RequestID += "x" },
	} {
		other := r
		change(&other)
		if other.WithdrawalID() == want {
			t.Errorf("%s: changing it leaves the id as it was", name)
		}
	}
	other := r
	other.FeeCap = AmountOf(1)
	if other.WithdrawalID() != want {
		t.Error("fee cap: expected no influence on the id")
	}
}

func FuzzDecode(f *testing.F) {
	for i, k := range kinds {
		b, err := Encode(sample(k))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), b)
		f.Add(uint8(i), b[:len(b)/2])
	}
	f.Add(uint8(0), []byte{0xbf, 0xff})
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		k := kinds[int(kind)%len(kinds)]
		d := reflect.New(reflect.TypeOf(k).Elem()).Interface().(Document)
		if Decode(b, d) != nil {
			return
		}
		again, err := Encode(d)
		if err != nil || !bytes.Equal(b, again) {
			t.Fatalf("accepted bytes that encode otherwise: %x (%v)", b, err)
		}
	})
}
