package pkcs11_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// spied tells a process of this test binary that it works for TestTheSpySeesNoKeyLeave.
const spied = "STRONGROOM_TEST_SPIED_TOKEN"

func TestMain(m *testing.M) {
	if label := os.Getenv(spied); label != "" {
		if err := useEverything(label); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// useEverything makes, finds and uses a key of each kind.
func useEverything(label string) error {
	ctx := context.Background()
	token, err := pkcs11.Open(ctx, pkcs11.Config{Module: os.Getenv("STRONGROOM_TEST_SPY"), TokenLabel: label, PIN: []byte(hsmtest.UserPIN)})
	if err != nil {
		return err
	}
	for name, class := range map[string]hsm.KeyClass{"hot": {}, "cold": {Attended: true}, "restorable": {Restorable: true}} {
		k, err := token.CreateECDSA(ctx, name, class)
		if err != nil {
			return err
		}
		var pin hsm.PIN
		if class.Attended {
			pin = []byte(hsmtest.UserPIN)
		}
		if _, err := k.Sign(ctx, [32]byte{1}, pin); err != nil {
			return err
		}
		if _, err := token.ECDSA(ctx, name, class); err != nil {
			return err
		}
	}
	id, err := token.CreateIdentity(ctx, "id")
	if err != nil {
		return err
	}
	if _, err := id.SignContext(ctx, []byte("m")); err != nil {
		return err
	}
	sealer, err := token.CreateSealer(ctx, "share")
	if err != nil {
		return err
	}
	blob, err := sealer.Seal(ctx, []byte("secret"), nil)
	if err != nil {
		return err
	}
	if _, err := sealer.Open(ctx, blob, nil); err != nil {
		return err
	}
	if err := token.Check(ctx); err != nil {
		return err
	}
	if _, err := token.Inventory(ctx); err != nil {
		return err
	}
	return token.Close()
}

func TestTheSpySeesNoKeyLeave(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	log := filepath.Join(t.TempDir(), "spy.log") // it shows the PIN
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), spied+"="+cfg.TokenLabel, "STRONGROOM_TEST_SPY="+hsmtest.Spy(t), "PKCS11SPY="+cfg.Module, "PKCS11SPY_OUTPUT="+log)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text := string(must[[]byte](t)(os.ReadFile(log)))
	calls := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\d+: (C_\w+)$`).FindAllStringSubmatch(text, -1) {
		calls[m[1]]++
	}
	if calls["C_Sign"] == 0 || calls["C_Encrypt"] == 0 || calls["C_GenerateKeyPair"] == 0 || calls["C_GetAttributeValue"] == 0 {
		t.Fatalf("the spy saw too little: %v", calls)
	}
	for _, never := range []string{"C_WrapKey", "C_UnwrapKey", "C_DeriveKey", "C_CopyObject", "C_SetAttributeValue", "C_CreateObject", "C_GetOperationState", "C_SetPIN", "C_InitToken"} {
		if calls[never] != 0 {
			t.Errorf("%s was called %d times", never, calls[never])
		}
	}
	for _, attribute := range []string{"CKA_VALUE", "CKA_PRIVATE_EXPONENT", "CKA_PRIME_1", "CKA_PRIME_2"} {
		if regexp.MustCompile(attribute + `\s`).MatchString(text) {
			t.Errorf("%s was asked for", attribute)
		}
	}
	if !strings.Contains(text, "CKA_EXTRACTABLE") {
		t.Error("the spy names no attributes")
	}
	// Two logins: one when the token is opened, one for the attended key's one signature.
	if calls["C_Login"] != 2 {
		t.Errorf("%d logins, want 2", calls["C_Login"])
	}
}
