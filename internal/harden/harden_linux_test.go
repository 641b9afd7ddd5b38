package harden_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/strongroom/strongroom/internal/harden"
)

// crashMode has this test's executable harden itself, say so and crash with a secret on its stack.
const crashMode = "harden-and-crash"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == crashMode {
		hardenAndCrash()
	}
	os.Exit(m.Run())
}

func hardenAndCrash() {
	if err := harden.Process(); err != nil {
		panic(err)
	}
	if err := harden.Stderr(); err != nil {
		panic(err)
	}
	dumpable, _, _ := syscall.Syscall(syscall.SYS_PRCTL, unix.PR_GET_DUMPABLE, 0, 0)
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		panic(err)
	}
	fmt.Fprintf(os.Stderr, "dumpable %d, core %d of %d\n", dumpable, core.Cur, core.Max)
	panic("the PIN is 314159")
}

func TestACrashAfterHardeningSaysNothing(t *testing.T) {
	out, err := exec.Command("/proc/self/exe", crashMode).CombinedOutput()
	if err == nil {
		t.Error("expected a crash, found none")
	}
	if got, want := strings.TrimSpace(string(out)), "dumpable 0, core 0 of 0"; got != want {
		t.Errorf("expected %q and nothing of the crash, found %q", want, got)
	}
}
