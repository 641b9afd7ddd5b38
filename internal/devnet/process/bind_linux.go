package process

import (
	"os/exec"
	"syscall"
)

// bindToParent has the kernel kill the child when this process dies, however it dies (prctl(2), PR_SET_PDEATHSIG), and keeps
// the terminal's Ctrl-C from it, so that this process can stop it in order.
func bindToParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
