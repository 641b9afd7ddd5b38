package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/strongroom/strongroom"

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	CgoFiles   []string
	Standard   bool
}

// list returns the packages that `go list` knows under the patterns, test files left out.
func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps,CgoFiles,Standard"}, args...)...)
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, stderr.String())
	}
	var all []listed
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	if len(all) == 0 {
		t.Fatalf("go list %v: expected packages, found none", args)
	}
	return all
}

func own(t *testing.T) []listed { return list(t, "./...") }

// rel returns the path within the module, and false for other modules' packages.
func rel(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// tiers lists the houses from top to bottom; a package imports its own tier's and lower ones only.
var tiers = [][]string{
	{"cmd", "internal/devnet"},
	{"internal"},
	{"airgap"},
	{"mpc"}, // over policy for guard.Digest alone: only what the guard minted can be signed
	{"policy", "audit"},
	{"wallets", "hsm"},
	{"proto"},
}

func tierOf(path string) int {
	return slices.IndexFunc(tiers, func(folders []string) bool { return under(path, folders...) })
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, p := range own(t) {
		from, ok := rel(p.ImportPath)
		if !ok {
			continue
		}
		if tierOf(from) < 0 {
			t.Errorf("%s: in none of the module's houses", from)
			continue
		}
		for _, i := range p.Imports {
			to, ok := rel(i)
			if !ok {
				continue
			}
			if tierOf(to) < tierOf(from) {
				t.Errorf("%s imports %s, which stands above it", from, to)
			}
		}
	}
}

func TestPolicyReachesMpcNever(t *testing.T) {
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		for _, i := range p.Imports {
			to, _ := rel(i)
			if under(from, "mpc") && under(to, "policy") && to != "policy/guard" {
				t.Errorf("%s imports %s: expected guard's digest only", from, to)
			}
			if under(from, "wallets") && under(to, "hsm") || under(from, "hsm") && under(to, "wallets") {
				t.Errorf("%s imports %s: expected neither of the two to know the other", from, to)
			}
			if under(from, "policy") && under(to, "audit") || under(from, "audit") && under(to, "policy") {
				t.Errorf("%s imports %s: expected neither of the two to know the other", from, to)
			}
		}
	}
}

func TestSignerAndCoordinatorNeverMeet(t *testing.T) {
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		if !under(from, "internal/signer", "internal/coordinator", "cmd/strongroom-node", "cmd/strongroomd") {
			continue
		}
		for _, d := range p.Deps {
			to, _ := rel(d)
			if under(from, "internal/signer", "cmd/strongroom-node") && under(to, "internal/coordinator") {
				t.Errorf("%s reaches %s", from, to)
			}
			if under(from, "internal/coordinator", "cmd/strongroomd") && under(to, "internal/signer") {
				t.Errorf("%s reaches %s", from, to)
			}
		}
	}
}

func TestDecidingPackagesDoNoIO(t *testing.T) {
	forbidden := []string{"net", "net/http", "net/rpc", "database/sql", "google.golang.org/grpc", "os/exec"}
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		if !under(from, "policy", "audit", "airgap", "wallets/bitcoin", "wallets/ethereum", "wallets/keyset", "wallets/descriptor", "proto/canon", "proto/refusal") {
			continue
		}
		for _, i := range p.Imports {
			if under(i, "google.golang.org/grpc") || slices.Contains(forbidden, i) {
				t.Errorf("%s imports %s", from, i)
			}
		}
	}
}

// What the guard reaches is what the tool on a machine without a network will link.
func TestGuardLinksNoNetworkStack(t *testing.T) {
	forbidden := []string{"net/http", "google.golang.org/grpc", "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/bnb-chain/tss-lib"}
	for _, p := range list(t, "./policy/guard", "./policy/...", "./wallets/bitcoin", "./wallets/ethereum", "./audit") {
		for _, d := range p.Deps {
			if under(d, forbidden...) || strings.HasPrefix(d, "github.com/bnb-chain/tss-lib") {
				t.Errorf("%s reaches %s", p.ImportPath, d)
			}
		}
	}
}

// The tool on a machine without a network: nothing in it speaks HTTP, gRPC or SQL, or can hold a share. Package net itself is there, for the socket of an
// ssh-agent, and database/sql for an interface that a number type implements; no driver is.
func TestOfflineToolLinksNoNetwork(t *testing.T) {
	forbidden := []string{"net/http", "net/rpc", "google.golang.org/grpc", "modernc.org/sqlite", "github.com/jackc/pgx"}
	for _, p := range list(t, "./cmd/strongroom-offline") {
		for _, d := range p.Deps {
			own, _ := rel(d)
			if under(d, forbidden...) || strings.HasPrefix(d, "github.com/bnb-chain/tss-lib") || under(own, "internal/coordinator", "mpc", "proto/rpc") {
				t.Errorf("%s reaches %s", p.ImportPath, d)
			}
		}
	}
}

func TestOnePackageUsesCgo(t *testing.T) {
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		direct := slices.Contains(p.Imports, "C") || len(p.CgoFiles) > 0 || slices.Contains(p.Imports, "github.com/miekg/pkcs11")
		if direct != (from == "hsm/pkcs11") {
			t.Errorf("%s: expected cgo in hsm/pkcs11 and nowhere else, found %v here", from, direct)
		}
	}
}

// A vendor's library may crash, hang or overwrite memory: a signer with shares in its memory reaches it through a child process only. Programs that are
// such a child, or hold no share, open it themselves.
func TestVendorsLibrariesStayOutOfSigners(t *testing.T) {
	const library = "hsm/pkcs11"
	may := []string{"cmd", "hsm/hsmtest", "internal/ceremony", "internal/devnet"}
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		for _, d := range p.Deps {
			if to, _ := rel(d); to == library && !under(from, may...) {
				t.Errorf("%s reaches %s: expected only %v to", from, library, may)
			}
		}
	}
}

// What runs on a machine without a network links none.
func TestAirGappedToolsLinkNoNetworkStack(t *testing.T) {
	forbidden := []string{"net/http", "google.golang.org/grpc", "modernc.org/sqlite", "github.com/jackc/pgx", "github.com/bnb-chain/tss-lib"}
	seen := 0
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		if !under(from, "cmd/strongroom-offline", "internal/ceremony", "internal/keypool", "internal/pin") {
			continue
		}
		seen++
		for _, d := range p.Deps {
			if under(d, forbidden...) {
				t.Errorf("%s reaches %s", from, d)
			}
		}
	}
	if seen < 3 {
		t.Errorf("expected at least 3 packages of tools for machines without a network, found %d", seen)
	}
}

// What seals and carries shares must not depend on one protocol's library, and what only tests may load stays with tests.
func TestEngineStaysBehindItsInterface(t *testing.T) {
	for _, p := range own(t) {
		from, _ := rel(p.ImportPath)
		for _, d := range p.Deps {
			if under(from, "mpc/share", "mpc/transport") && strings.HasPrefix(d, "github.com/bnb-chain/tss-lib") {
				t.Errorf("%s reaches %s", from, d)
			}
		}
		for _, i := range p.Imports {
			to, _ := rel(i)
			if strings.HasSuffix(to, "test") && !strings.HasSuffix(from, "test") {
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
	}
}
