package signer_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// A token's key signs in one place, which Cosign alone reaches past its point of no return: nothing else in this package looks keys up or makes
// signatures with them.
func TestNothingButCosignSignsWithATokensKeys(t *testing.T) {
	files, err := filepath.Glob("*.go")
	check(t, err)
	callers := map[string][]string{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		check(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				switch called := call.Fun.(type) {
				case *ast.SelectorExpr:
					callers[called.Sel.Name] = append(callers[called.Sel.Name], f.Name.Name)
				case *ast.Ident:
					callers[called.Name] = append(callers[called.Name], f.Name.Name)
				}
				return true
			})
		}
	}
	// The methods of hsm.ECDSA and hsm.Token come by these names; Sign is also that of the identity, the protocol's engine and the signer itself.
	for called, want := range map[string]string{
		"ECDSA": "openKey", "signWith": "attest runCosign", "attest": "runCosign", "runCosign": "Cosign", "openKeys": "Cosign", "openKey": "checkToken openKeys",
		"Sign": "runSign sign signWith",
	} {
		found := map[string]bool{}
		for _, by := range callers[called] {
			found[by] = true
		}
		for _, by := range strings.Fields(want) {
			if !found[by] {
				t.Errorf("%s: expected a call in %s, found none", called, by)
			}
			delete(found, by)
		}
		for by := range found {
			t.Errorf("%s: expected calls in %s only, found one in %s", called, want, by)
		}
	}
}
