package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/strongroom/strongroom/internal/ceremony"
	"github.com/strongroom/strongroom/internal/config"
)

type joinCommand struct {
	Parts []string `arg:"" type:"existingfile" help:"Parts, in the order of the wallet's devices in the charter."`
	Dir   string   `required:"" type:"existingdir" placeholder:"DIR" help:"Directory for the pool."`
}

// Run prints the pool's file and digest.
func (c joinCommand) Run() error {
	digest, err := ceremony.Join(c.Dir, c.Parts)
	if err != nil {
		return err
	}
	words := digest.Words()
	fmt.Printf("%s\n%s\n", filepath.Join(c.Dir, config.PoolFile(digest)), strings.Join(words[:], " "))
	return nil
}

type addressesCommand struct {
	Pool   string `arg:"" type:"existingfile" help:"The pool."`
	Needed uint64 `required:"" help:"How many of the devices must sign."`
	HRP    string `name:"hrp" placeholder:"bc" help:"Bitcoin: BIP-173 prefix of addresses."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run prints one address a line.
func (c addressesCommand) Run() error {
	digest, all, err := ceremony.Addresses(c.Pool, c.Needed, c.HRP)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(struct {
			Pool      string             `json:"pool"`
			Needed    uint64             `json:"needed"`
			Addresses []ceremony.Address `json:"addresses"`
		}{digest.String(), c.Needed, all})
	}
	for _, a := range all {
		fmt.Printf("%s %d/%d %s\n", a.Account, a.Branch, a.Index, a.Text)
	}
	return nil
}

type selfcheckCommand struct {
	Module string `placeholder:"PATH" type:"existingfile" help:"PKCS#11 module to hash too."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run prints digests in hexadecimal and as twelve words.
func (c selfcheckCommand) Run() error {
	s, err := ceremony.Check(c.Module)
	if err != nil {
		return err
	}
	view := struct {
		Software string   `json:"software"`
		Words    string   `json:"words"`
		Module   string   `json:"module,omitempty"`
		Passed   []string `json:"passed"`
	}{Software: s.Software.String(), Passed: s.Passed}
	words := s.Software.Words()
	view.Words = strings.Join(words[:], " ")
	if !s.Module.IsZero() {
		view.Module = s.Module.String()
	}
	if c.JSON {
		return printJSON(view)
	}
	fmt.Printf("executable SHA-256 %s\n  %s\n", view.Software, view.Words)
	if view.Module != "" {
		words := s.Module.Words()
		fmt.Printf("module SHA-256 %s\n  %s\n", view.Module, strings.Join(words[:], " "))
	}
	for _, p := range s.Passed {
		fmt.Printf("passed: %s\n", p)
	}
	return nil
}
