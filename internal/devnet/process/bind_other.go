//go:build !linux

package process

import "os/exec"

// bindToParent does nothing where the kernel offers no such thing: a child may outlive a parent that is killed.
func bindToParent(*exec.Cmd) {}
