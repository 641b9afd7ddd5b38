package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/strongroom/strongroom/internal/pin"
)

// splitCommand generates a PIN of which nobody alone knows anything.
type splitCommand struct {
	Shares  int    `required:"" help:"How many shares to write."`
	Needed  int    `required:"" help:"How many of them give the PIN."`
	Out     string `required:"" type:"existingdir" placeholder:"DIR" help:"Directory for the files with the shares, one for each person, mode 0600."`
	Length  int    `default:"20" help:"Characters of the PIN."`
	Digits  bool   `help:"Digits only, for a token with a PIN pad. Default: letters a to z and digits 2 to 7."`
	PINFile string `name:"pin-file" placeholder:"PATH" help:"Write the PIN to this file too, for a vendor's tool that sets it. Erase it afterwards."`
}

// Run writes the shares. It prints where, and nothing secret.
func (c splitCommand) Run() error {
	alphabet := pin.Base32
	if c.Digits {
		alphabet = pin.Digits
	}
	secret, lines, err := pin.Split(c.Shares, c.Needed, c.Length, alphabet)
	if err != nil {
		return err
	}
	defer func() {
		clear(secret)
		for _, line := range lines {
			clear(line)
		}
	}()
	if c.PINFile != "" {
		if err := pin.WriteFile(c.PINFile, secret); err != nil {
			return err
		}
	}
	var written []string
	for i, line := range lines {
		path := filepath.Join(c.Out, fmt.Sprintf("pin-share-%d-of-%d", i+1, len(lines)))
		if err := pin.WriteFile(path, line); err != nil {
			return errors.Join(err, remove(written))
		}
		written = append(written, path)
	}
	for _, path := range written {
		if _, err := fmt.Println(path); err != nil {
			return err
		}
	}
	return nil
}

// remove takes back shares of a set that is not whole.
func remove(paths []string) error {
	var errs []error
	for _, path := range paths {
		errs = append(errs, os.Remove(path))
	}
	return errors.Join(errs...)
}
