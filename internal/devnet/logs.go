package devnet

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/devnet/process"
)

// Logs returns the ends of all logs, for an error.
func (d *Devnet) Logs() string {
	var b strings.Builder
	for _, p := range append([]*process.Process{d.coordinator}, d.processes()...) {
		if p != nil {
			fmt.Fprintf(&b, "--- %s\n%s\n", p.Name, p.Tail(25))
		}
	}
	return b.String()
}

// Texts returns what outsiders could read: the logs, and the arguments and environments of the running processes.
func (d *Devnet) Texts() map[string][]byte {
	texts := map[string][]byte{}
	for _, p := range append([]*process.Process{d.coordinator}, d.processes()...) {
		for _, path := range []string{p.Log, fmt.Sprintf("/proc/%d/cmdline", p.PID()), fmt.Sprintf("/proc/%d/environ", p.PID())} {
			if b, err := os.ReadFile(path); err == nil {
				texts[path] = b
			}
		}
	}
	if logs, err := filepath.Glob(filepath.Join(d.Dir, "*", "*.log")); err == nil {
		for _, path := range logs {
			if b, err := os.ReadFile(path); err == nil {
				texts[path] = b
			}
		}
	}
	return texts
}
