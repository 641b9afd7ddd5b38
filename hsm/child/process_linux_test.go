package child_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/hsm/child"
	"github.com/strongroom/strongroom/hsm/hsmtest"
	"github.com/strongroom/strongroom/hsm/pkcs11"
)

// parentMode makes this test's executable a parent that starts a child as its argument says, tells the child's process id, and waits to be killed.
const parentMode = "hsm-parent"

type parentSettings struct{ Mode, Module, Label string }

func beParent(settings string) {
	var p parentSettings
	must0(json.Unmarshal([]byte(settings), &p))
	token, err := child.Start(context.Background(), child.Config{Args: []string{childMode, p.Mode}, Env: child.Environment(pkcs11.SoftHSMConf),
		Opening: child.Opening{Module: p.Module, TokenLabel: p.Label, PIN: hsm.PIN(hsmtest.UserPIN)}})
	must0(err)
	pids, err := childrenOf(os.Getpid())
	must0(err)
	fmt.Println(pids[0])
	id, err := token.Identity(context.Background(), "id")
	must0(err)
	_, err = id.SignContext(context.Background(), []byte("m"))
	must0(err)
	select {}
}

func childrenOf(pid int) ([]int, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if errors.Is(err, os.ErrNotExist) {
			continue // a thread that ended meanwhile
		}
		if err != nil {
			return nil, err
		}
		for _, field := range strings.Fields(string(b)) {
			var pid int
			if _, err := fmt.Sscan(field, &pid); err != nil {
				return nil, err
			}
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// childOf returns the one child of this process.
func childOf(t *testing.T) int {
	t.Helper()
	pids := must[[]int](t)(childrenOf(os.Getpid()))
	if len(pids) != 1 {
		t.Fatalf("expected one child, found %v", pids)
	}
	return pids[0]
}

// The child of a parent that was killed ends too, also while it hangs inside the module and reads nothing.
func TestTheChildEndsWithItsParent(t *testing.T) {
	for _, mode := range []string{"hang", "stop"} {
		t.Run(mode, func(t *testing.T) {
			cfg := configured(t, mode)
			settings := must[[]byte](t)(json.Marshal(parentSettings{mode, cfg.Opening.Module, cfg.Opening.TokenLabel}))
			parent := exec.Command("/proc/self/exe", parentMode, string(settings))
			out := must[*bufio.Reader](t)(pipeOf(parent))
			parent.Stderr = os.Stderr
			must0(parent.Start())
			defer func() { _ = parent.Process.Kill() }() // where the test failed before
			var pid int
			if _, err := fmt.Fscan(out, &pid); err != nil {
				t.Fatal(err)
			}
			if !alive(pid) {
				t.Fatal("no child")
			}
			must0(parent.Process.Kill())
			_ = parent.Wait() // killed
			until(t, "the end of the child", func() bool { return !alive(pid) })
		})
	}
}

func pipeOf(cmd *exec.Cmd) (*bufio.Reader, error) {
	out, err := cmd.StdoutPipe()
	return bufio.NewReader(out), err
}

// alive is false for a process that is gone or that only waits to be waited for.
func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(after, "Z")
}

// until polls with a deadline so long that only what never happens fails the test.
func until(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: it never happened", what)
		}
		<-time.After(time.Millisecond)
	}
}

// What others of this user can see of the child holds no secret, and nothing of the parent's environment but what is listed.
func TestTheChildShowsNothing(t *testing.T) {
	t.Setenv("STRONGROOM_TEST_SECRET", "not for children")
	cfg := configured(t, "pkcs11")
	start(t, cfg)
	pid := childOf(t)
	for _, name := range []string{"cmdline", "environ"} {
		b := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name)))
		if bytes.Contains(b, []byte(hsmtest.UserPIN)) || bytes.Contains(b, []byte("STRONGROOM")) {
			t.Errorf("%s shows a secret: %q", name, b)
		}
	}
	environ := must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)))
	want := pkcs11.SoftHSMConf + "=" + os.Getenv(pkcs11.SoftHSMConf) + "\x00"
	if string(environ) != want {
		t.Errorf("environment %q, want %q", environ, want)
	}
	limits := string(must[[]byte](t)(os.ReadFile(fmt.Sprintf("/proc/%d/limits", pid))))
	for line := range strings.Lines(limits) {
		if strings.HasPrefix(line, "Max core file size") && !strings.Contains(line, " 0  ") {
			t.Errorf("core files: %s", line)
		}
	}
}

// openExamined refuses to open in a process that others can read.
func openExamined(ctx context.Context, o child.Opening) (hsm.Token, error) {
	dumpable, _, errno := syscall.Syscall(syscall.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0)
	if errno != 0 || dumpable != 0 {
		return nil, fmt.Errorf("dumpable %d, %v: %w", dumpable, errno, hsm.ErrArgument)
	}
	return openPKCS11(ctx, o)
}

func TestTheChildIsHardenedBeforeItReadsThePIN(t *testing.T) {
	cfg := configured(t, "examined")
	token := start(t, cfg)
	if err := token.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// A person who starts the child's command by hand gets an error.
func TestServeRefusesToBeStartedByHand(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", childMode, "pkcs11").CombinedOutput()
	if err == nil {
		t.Errorf("expected an error, found %q", out)
	}
}
