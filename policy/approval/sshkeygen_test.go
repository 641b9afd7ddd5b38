package approval_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/strongroom/strongroom/policy/approval"
	"github.com/strongroom/strongroom/proto/canon"
	"golang.org/x/crypto/ssh"
)

// keygen runs the real ssh-keygen and returns its output.
func keygen(t *testing.T, stdin []byte, args ...string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath("ssh-keygen")
	if err != nil {
		t.Fatalf("expected ssh-keygen in the path: install openssh-client: %v", err)
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin = bytes.NewReader(stdin)
	cmd.Env = append(os.Environ(), "SSH_ASKPASS_REQUIRE=never", "SSH_AUTH_SOCK=")
	return cmd.CombinedOutput()
}

func mustKeygen(t *testing.T, stdin []byte, args ...string) []byte {
	t.Helper()
	out, err := keygen(t, stdin, args...)
	if err != nil {
		t.Fatalf("ssh-keygen %s: %v: %s", args[0], err, out)
	}
	return out
}

func write(t *testing.T, path string, b []byte) string {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func readPublic(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key.Marshal()
}

func TestSSHKeygenMakesApprovals(t *testing.T) {
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}, {"-t", "rsa", "-b", "3072"}} {
		t.Run(args[1], func(t *testing.T) {
			dir := t.TempDir()
			key := filepath.Join(dir, "key")
			mustKeygen(t, nil, append(args, "-q", "-N", "", "-f", key)...)
			public := readPublic(t, key+".pub")
			c := withOfficerKey(t, public, canon.ClassFile)
			document := encode(t, baseApproval(c, "alice"))
			message := write(t, filepath.Join(dir, "message"), canon.KindApproval.Message(document))
			mustKeygen(t, nil, "-Y", "sign", "-q", "-n", approval.NamespaceApproval, "-f", key, message)
			armored, err := os.ReadFile(message + ".sig")
			if err != nil {
				t.Fatal(err)
			}
			signed, err := approval.Import(canon.KindApproval, document, approval.NamespaceApproval, public, armored)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := approval.VerifyApproval(c, signed); err != nil {
				t.Error(err)
			}
			if again := approval.Armor(signed.Signature); !bytes.Equal(again, armored) {
				t.Errorf("armor: expected\n%s found\n%s", armored, again)
			}
		})
	}
}

func TestSignaturesOfSSHKeygenInAnotherFormAreRefused(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "key")
	mustKeygen(t, nil, "-t", "ed25519", "-q", "-N", "", "-f", key)
	public := readPublic(t, key+".pub")
	c := withOfficerKey(t, public, canon.ClassFile)
	document := encode(t, baseApproval(c, "alice"))
	for name, args := range map[string][]string{
		"hash sha256":   {"-n", approval.NamespaceApproval, "-O", "hashalg=sha256"},
		"namespace git": {"-n", "git"},
	} {
		message := write(t, filepath.Join(dir, "message"), canon.KindApproval.Message(document))
		if err := os.RemoveAll(message + ".sig"); err != nil {
			t.Fatal(err)
		}
		mustKeygen(t, nil, append(append([]string{"-Y", "sign", "-q"}, args...), "-f", key, message)...)
		armored, err := os.ReadFile(message + ".sig")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := approval.Import(canon.KindApproval, document, approval.NamespaceApproval, public, armored); err == nil {
			t.Errorf("%s: expected an error, found none", name)
		}
	}
}

func TestSSHKeygenVerifiesOurSignatures(t *testing.T) {
	dir := t.TempDir()
	text, s, err := approval.NewKeyFile(passphrase, "alice")
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.ParsePublicKey(s.Public())
	if err != nil {
		t.Fatal(err)
	}
	c := withOfficerKey(t, s.Public(), canon.ClassFile)
	signed := sign(t, s, baseApproval(c, "alice"))
	allowed := write(t, filepath.Join(dir, "allowed"), append([]byte("alice "), ssh.MarshalAuthorizedKey(public)...))
	sig := write(t, filepath.Join(dir, "sig"), approval.Armor(signed.Signature))
	verify := []string{"-Y", "verify", "-f", allowed, "-I", "alice", "-n", approval.NamespaceApproval, "-s", sig}
	mustKeygen(t, canon.KindApproval.Message(signed.Document), verify...)
	if out, err := keygen(t, canon.KindStatement.Message(signed.Document), verify...); err == nil {
		t.Errorf("another kind: expected a refusal, found %s", out)
	}
	// The key file is one that OpenSSH opens, with the passphrase only.
	file := write(t, filepath.Join(dir, "key"), text)
	line := mustKeygen(t, nil, "-y", "-P", string(passphrase), "-f", file)
	if want := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))); !strings.HasPrefix(string(line), want) {
		t.Errorf("expected %s, found %s", want, line)
	}
	if out, err := keygen(t, nil, "-y", "-P", "wrong", "-f", file); err == nil {
		t.Errorf("wrong passphrase: expected a refusal, found %s", out)
	}
}

func TestKeyFilesOfSSHKeygenSign(t *testing.T) {
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}, {"-t", "rsa", "-b", "3072"}} {
		key := filepath.Join(t.TempDir(), "key")
		mustKeygen(t, nil, append(args, "-q", "-N", string(passphrase), "-f", key)...)
		text, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		s, err := approval.LoadKeyFile(text, passphrase)
		if err != nil {
			t.Fatal(err)
		}
		if want := readPublic(t, key+".pub"); !bytes.Equal(s.Public(), want) {
			t.Errorf("%s: expected key %x, found %x", args[1], want, s.Public())
		}
		c := withOfficerKey(t, s.Public(), canon.ClassFile)
		if _, err := approval.VerifyApproval(c, sign(t, s, baseApproval(c, "alice"))); err != nil {
			t.Errorf("%s: %v", args[1], err)
		}
	}
}
