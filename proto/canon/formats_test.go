package canon

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"
	"testing"
)

// docs/FORMATS.md is written from this package: `go test ./proto/canon -run TestFormatsPageIsCurrent -update`.
func TestFormatsPageIsCurrent(t *testing.T) {
	const page = "../../docs/FORMATS.md"
	got := formatsPage(t)
	if *update {
		if err := os.WriteFile(page, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("docs/FORMATS.md is not what this package says; write it anew with -update")
	}
}

const formatsHead = `# The bytes that are signed

Written from the source of proto/canon; do not edit by hand. To write it anew: ` + "`go test ./proto/canon -run TestFormatsPageIsCurrent -update`" + `.

- **Encoding**: deterministic CBOR (RFC 8949 section 4.2.1): definite lengths, shortest forms, integer map keys in order; no floats, tags,
  indefinite lengths or nulls. A field that may be absent is left out when empty. Decoding is strict: size limit first, then depth, unknown
  and duplicate keys, trailing bytes, every field's own rules; at last the document is encoded again and compared.
- **Digest**: SHA-256(kind ‖ 0x00 ‖ bytes). **Signed message**: kind ‖ 0x00 ‖ bytes. People compare the first 132 bits of a digest as twelve
  words of the BIP-39 English list.
- **Signatures**: officers sign by SSHSIG (OpenSSH PROTOCOL.sshsig) with hash sha512 and namespace ` + "`strongroom-approval@v1`" + `; clients by SSHSIG with
  namespace ` + "`strongroom-request@v1`" + ` or by raw Ed25519 (RFC 8032); signers by raw Ed25519.
- **Types**: Amount is a byte string, big-endian, without leading zeros, at most 32 bytes, empty for 0. Time is unsigned Unix seconds.
  Name is 1 to 63 of a-z, 0-9 and hyphen, or "*" where "any" is allowed. ChainID is CAIP-2, AssetID is CAIP-19, in ASCII. Digest and PublicKey
  are 32 bytes. Text is UTF-8 in NFC, at most 140 bytes, printable characters only.
- Golden bytes of every kind lie in proto/canon/testdata.
`

func formatsPage(t *testing.T) string {
	comments := typeComments(t)
	var b strings.Builder
	b.WriteString(formatsHead)
	documents := map[reflect.Type]bool{}
	parts := map[reflect.Type]bool{}
	for _, k := range kinds {
		documents[reflect.TypeOf(k).Elem()] = true
	}
	for _, k := range kinds {
		typ := reflect.TypeOf(k).Elem()
		fmt.Fprintf(&b, "\n## %s\n\nKind `%s`, at most %d bytes. %s\n\n", typ.Name(), k.Kind(), k.limit(), comments[typ.Name()])
		writeFields(&b, typ, comments, parts)
	}
	b.WriteString("\n# Parts of documents\n")
	for written := map[reflect.Type]bool{}; ; {
		var next []reflect.Type
		for p := range parts {
			if !written[p] && !documents[p] {
				next = append(next, p)
			}
		}
		if len(next) == 0 {
			break
		}
		sort.Slice(next, func(i, j int) bool { return next[i].Name() < next[j].Name() })
		for _, p := range next {
			written[p] = true
			fmt.Fprintf(&b, "\n## %s\n\n%s\n\n", p.Name(), comments[p.Name()])
			writeFields(&b, p, comments, parts)
		}
	}
	return b.String()
}

func writeFields(b *strings.Builder, typ reflect.Type, comments map[string]string, parts map[reflect.Type]bool) {
	b.WriteString("| key | field | type | |\n|--:|---|---|---|\n")
	for i := range typ.NumField() {
		f := typ.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("cbor"), ",")
		note := comments[typ.Name()+"."+f.Name]
		if strings.Contains(options, "omitempty") {
			note = strings.TrimPrefix(note+"; left out when empty", "; ")
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", key, f.Name, typeName(f.Type, parts), note)
	}
}

func typeName(t reflect.Type, parts map[reflect.Type]bool) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem(), parts)
	case t.Kind() == reflect.Struct:
		parts[t] = true
		return t.Name()
	case t.Name() != "":
		return t.Name()
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "bytes"
	default:
		return "list of " + typeName(t.Elem(), parts)
	}
}

// typeComments returns the doc comment of every type and the line comment of every field, by "Type" and "Type.Field".
func typeComments(t *testing.T) map[string]string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.TypeSpec)
				out[spec.Name.Name] = oneLine(g.Doc.Text())
				if st, ok := spec.Type.(*ast.StructType); ok {
					for _, field := range st.Fields.List {
						for _, n := range field.Names {
							out[spec.Name.Name+"."+n.Name] = oneLine(field.Comment.Text())
						}
					}
				}
			}
		}
	}
	return out
}

func oneLine(s string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "|", "\\|")
}
