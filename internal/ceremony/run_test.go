package ceremony

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	p11 "github.com/miekg/pkcs11"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
	"github.com/strongroom/strongroom/internal/pin"
	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
)

// agreeing confirms everything by the name that is asked for.
type agreeing struct{}

func (agreeing) Line(prompt string) (string, error) { return strings.Fields(prompt)[0], nil }
func (agreeing) Secret(string) ([]byte, error)      { return nil, io.ErrUnexpectedEOF }

// generating is a plan for one key of class wrap in the token, and how it is run.
func generating(t *testing.T, cfg pkcs11.Config) (*Plan, Options) {
	t.Helper()
	text := planText(t)
	text = text[:strings.Index(text, "[backup]")] + "identity_label = \"id\"\n"
	for before, after := range map[string]string{`"backup"`: `"generate"`, "/m.so": cfg.Module, `"cold-1"`: fmt.Sprintf("%q", cfg.TokenLabel)} {
		text = strings.Replace(text, before, after, 1)
	}
	plan, err := load(t, text)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "pin")
	if err := os.WriteFile(path, []byte(hsmtest.UserPIN), 0o600); err != nil {
		t.Fatal(err)
	}
	return plan, Options{Dir: filepath.Join(t.TempDir(), "ceremony"), PIN: pin.Source{File: path}, Person: agreeing{}, Out: io.Discard, Now: time.Now}
}

// asUser runs raw calls with the user PIN, as an insider can before a ceremony.
func asUser(t *testing.T, cfg pkcs11.Config, f func(c *p11.Ctx, s p11.SessionHandle) error) {
	t.Helper()
	c := p11.New(cfg.Module)
	err := c.Initialize()
	if err == nil {
		err = errors.Join(onToken(c, cfg.TokenLabel, f), c.Finalize())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func onToken(c *p11.Ctx, label string, f func(c *p11.Ctx, s p11.SessionHandle) error) error {
	slots, err := c.GetSlotList(true)
	if err != nil {
		return err
	}
	for _, slot := range slots {
		if info, err := c.GetTokenInfo(slot); err != nil || info.Label != label {
			continue
		}
		s, err := c.OpenSession(slot, p11.CKF_SERIAL_SESSION|p11.CKF_RW_SESSION)
		if err != nil {
			return err
		}
		return errors.Join(c.Login(s, p11.CKU_USER, hsmtest.UserPIN), f(c, s), c.Logout(s), c.CloseSession(s))
	}
	return errors.New("no such token")
}

// secp256k1 is the curve's OID as CKA_EC_PARAMS.
var secp256k1 = []byte{0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x0a}

// plant imports the key of these tests under the label of the plan's.
func plant(c *p11.Ctx, s p11.SessionHandle) error {
	a := p11.NewAttribute
	names := []*p11.Attribute{a(p11.CKA_KEY_TYPE, p11.CKK_EC), a(p11.CKA_EC_PARAMS, secp256k1), a(p11.CKA_TOKEN, true), a(p11.CKA_LABEL, "w/a/0/0"), a(p11.CKA_ID, []byte{1}),
		a(p11.CKA_COPYABLE, false), a(p11.CKA_DERIVE, false)}
	_, err := c.CreateObject(s, append(names, a(p11.CKA_CLASS, p11.CKO_PRIVATE_KEY), a(p11.CKA_SIGN, true), a(p11.CKA_SIGN_RECOVER, false), a(p11.CKA_DECRYPT, false),
		a(p11.CKA_PRIVATE, true), a(p11.CKA_SENSITIVE, true), a(p11.CKA_EXTRACTABLE, false), a(p11.CKA_UNWRAP, false), a(p11.CKA_VALUE, private.Serialize())))
	if err != nil {
		return err
	}
	_, err = c.CreateObject(s, append(names, a(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY), a(p11.CKA_PRIVATE, false), a(p11.CKA_MODIFIABLE, false), a(p11.CKA_VERIFY, true),
		a(p11.CKA_VERIFY_RECOVER, false), a(p11.CKA_ENCRYPT, false), a(p11.CKA_WRAP, false), a(p11.CKA_EC_POINT, append([]byte{4, 65}, public.SerializeUncompressed()...))))
	return err
}

// A key that somebody imported, and so knows, looks like one that was restored. A ceremony that makes keys takes neither, and its end as aborted says so.
func TestImportedKeysAreNotTakenForNewOnes(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	asUser(t, cfg, plant)
	plan, o := generating(t, cfg)
	if _, err := Run(t.Context(), plan, o); !errors.Is(err, hsm.ErrKeyAttributes) || !strings.Contains(err.Error(), "CKA_LOCAL") {
		t.Fatalf("expected %v of CKA_LOCAL, found %v", hsm.ErrKeyAttributes, err)
	}
	if found, err := filepath.Glob(filepath.Join(o.Dir, "*.pool")); err != nil || len(found) > 0 {
		t.Errorf("expected no part of a pool, found %v, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(o.Dir, BackupFile), []byte("a backup whose step was not recorded"), 0o600); err != nil {
		t.Fatal(err)
	}
	aborted, err := Abort(t.Context(), plan, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Verify(aborted.Transcript, Expected{Aborted: true})
	if !errors.Is(err, ErrUnsigned) || len(r.Keys) != 1 || r.Keys[0].Label != "id" {
		t.Errorf("expected a record with the identity alone, found %v, %v", r.Keys, err)
	}
	var b bytes.Buffer
	if r.Write(&b); !strings.Contains(b.String(), "key w/a/0/0 is in the token and not one of this ceremony's") {
		t.Errorf("expected a step about the key, found %s", b.String())
	}
	if !strings.Contains(b.String(), "a backup was written and is left") {
		t.Errorf("expected a step about the backup, found %s", b.String())
	}
}

// An imported key must not hide behind a good one of another kind with its label.
func TestLabelsOfTwoKeysAreRefused(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	token, err := pkcs11.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = token.CreateIdentity(t.Context(), "w/a/0/0"); errors.Join(err, token.Close()) != nil {
		t.Fatal(err)
	}
	plan, o := generating(t, cfg)
	if _, err := Run(t.Context(), plan, o); refusal.Of(err) == nil || !strings.Contains(err.Error(), "one key with the label w/a/0/0") {
		t.Errorf("expected a refusal of the label, found %v", err)
	}
}

func TestPoolsAreHeldAgainstTheTranscript(t *testing.T) {
	cfg := hsmtest.NewToken(t)
	plan, o := generating(t, cfg)
	result, err := Run(t.Context(), plan, o)
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(o.Dir, "*.pool"))
	if err != nil || len(found) != 1 {
		t.Fatalf("expected a part of a pool, found %v, %v", found, err)
	}
	r, err := Verify(result.Transcript, Expected{Pool: found[0]})
	if !errors.Is(err, ErrUnsigned) || r.Pool == nil || r.Pool.Signer != "s" || r.Pool.Keys != 1 {
		t.Errorf("expected the pool of signer s, found %+v, %v", r.Pool, err)
	}
	var b bytes.Buffer
	if r.Write(&b); !strings.Contains(b.String(), "0 found, 1 to be made") {
		t.Errorf("expected the number of keys that were there, found %s", b.String())
	}
	// Another ceremony's pool has none of these keys.
	other, options := generating(t, hsmtest.NewToken(t))
	if _, err := Run(t.Context(), other, options); err != nil {
		t.Fatal(err)
	}
	strange, err := filepath.Glob(filepath.Join(options.Dir, "*.pool"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(result.Transcript, Expected{Pool: strange[0]}); refusal.Of(err) == nil {
		t.Errorf("another pool: expected a refusal, found %v", err)
	}
}

func TestPartsOfPoolsHaveTheKeysOfTheTranscript(t *testing.T) {
	plan, o := generating(t, hsmtest.NewToken(t))
	result, err := Run(t.Context(), plan, o)
	if err != nil {
		t.Fatal(err)
	}
	found, err := filepath.Glob(filepath.Join(o.Dir, "*.pool"))
	if err != nil || len(found) != 1 {
		t.Fatalf("expected a part of a pool, found %v, %v", found, err)
	}
	tr, err := readTranscript(result.Transcript)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readPool(found[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*canon.KeyPool){
		"another key":      func(p *canon.KeyPool) { p.Devices[0].Keys[0] = public.SerializeCompressed() },
		"another address":  func(p *canon.KeyPool) { p.Accounts[0] = "b" },
		"another backup":   func(p *canon.KeyPool) { p.Devices[0].Backup = canon.BackupNone },
		"attended":         func(p *canon.KeyPool) { p.Devices[0].Attended = true },
		"another identity": func(p *canon.KeyPool) { p.Devices[0].Identity[0] ^= 1 },
	} {
		var d canon.KeyPool
		b, err := canon.Encode(*p.Document())
		if err == nil {
			err = canon.Decode(b, &d)
		}
		if err != nil {
			t.Fatal(err)
		}
		change(&d)
		var l refusal.List
		if checkPart(&l, tr.Keys, &d, 0); l.Err() == nil {
			t.Errorf("%s: expected a refusal, found none", name)
		}
	}
}

// The power went after C_UnwrapKey, before the public half was there.
func TestRestorationsGoOnFromHalfAKey(t *testing.T) {
	value := [32]byte{1}
	kcv := pkcs11.KCV(&value)
	opened := func(use pkcs11.KEKUse) (pkcs11.Config, *pkcs11.Token) {
		cfg := hsmtest.NewToken(t)
		officer := cfg
		officer.PIN = []byte(hsmtest.SecurityOfficerPIN)
		if err := pkcs11.CreateKEK(t.Context(), officer, "kek", use, &value); err != nil {
			t.Fatal(err)
		}
		token, err := pkcs11.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		return cfg, token
	}
	_, from := opened(pkcs11.KEKWraps)
	cfg, to := opened(pkcs11.KEKUnwraps)
	_, err := from.CreateECDSA(t.Context(), "w/a/0/0", hsm.KeyClass{Restorable: true})
	if err != nil {
		t.Fatal(err)
	}
	w, err := from.Wrap(t.Context(), "kek", kcv, "w/a/0/0", false)
	if err == nil {
		err = (&run{}).unwrap(t.Context(), to, "kek", kcv, w)
	}
	if errors.Join(err, from.Close(), to.Close()) != nil {
		t.Fatal(err)
	}
	asUser(t, cfg, func(c *p11.Ctx, s p11.SessionHandle) error {
		if err := c.FindObjectsInit(s, []*p11.Attribute{p11.NewAttribute(p11.CKA_CLASS, p11.CKO_PUBLIC_KEY), p11.NewAttribute(p11.CKA_LABEL, "w/a/0/0")}); err != nil {
			return err
		}
		found, _, err := c.FindObjects(s, 2)
		if err := errors.Join(err, c.FindObjectsFinal(s)); err != nil || len(found) != 1 {
			return fmt.Errorf("%d public keys, %w", len(found), err)
		}
		return c.DestroyObject(s, found[0])
	})
	token := hsmtest.OpenConfig(t, cfg)
	for range 2 {
		if err := (&run{}).unwrap(t.Context(), token, "kek", kcv, w); err != nil {
			t.Fatalf("going on: %v", err)
		}
	}
}

func TestOneCeremonyRunsInADirectory(t *testing.T) {
	dir := t.TempDir()
	j, err := openJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(dir); refusal.Of(err) == nil {
		t.Errorf("a second one: expected a refusal, found %v", err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = openJournal(dir); err != nil {
		t.Fatalf("after the first ended: %v", err)
	}
	if err := j.file.Close(); err != nil {
		t.Fatal(err)
	}
}

// Where the output is no terminal, nobody sees a component, and no file keeps it.
func TestComponentsAreDrawnOnATerminalOnly(t *testing.T) {
	plan, err := load(t, planText(t))
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var screen bytes.Buffer
	h := &holder{screen: &screen}
	r := &run{plan: plan, room: &room{out: &screen, person: h}, journal: j, o: Options{Out: &screen, Now: time.Now}}
	defer r.leave()
	if key, err := r.components(true); err == nil || key != nil {
		t.Errorf("expected no key and an error, found %v, %v", key, err)
	}
	if componentLine.MatchString(screen.String()) || strings.Contains(screen.String(), "Write this down") {
		t.Errorf("a component was shown: %s", screen.String())
	}
}
