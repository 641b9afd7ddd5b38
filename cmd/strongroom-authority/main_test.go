package main

import (
	"fmt"
	"os"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/strongroom/strongroom/internal/config/genesis"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"strongroom-authority": main})
}

func TestScripts(t *testing.T) {
	c, err := genesis.Build([]byte(genesis.Example), []byte(genesis.ExampleBook))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ORG", c.Digest.String())
			return os.WriteFile(e.WorkDir+"/genesis.cbor", c.Document, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// mode 0600 file: the file has exactly these permissions.
			"mode": func(ts *testscript.TestScript, neg bool, args []string) {
				info, err := os.Stat(ts.MkAbs(args[1]))
				ts.Check(err)
				if got := fmt.Sprintf("%04o", info.Mode().Perm()); (got == args[0]) == neg {
					ts.Fatalf("%s: expected mode %s, found %s", args[1], args[0], got)
				}
			},
			// configure file: writes a configuration with this run's organisation.
			"configure": func(ts *testscript.TestScript, _ bool, args []string) {
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(os.Expand(ts.ReadFile(args[1]), ts.Getenv)), 0o600))
			},
		},
	})
}
