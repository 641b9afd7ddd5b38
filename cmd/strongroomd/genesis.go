package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/strongroom/strongroom/internal/config/genesis"
	"github.com/strongroom/strongroom/internal/poolcheck"
	"github.com/strongroom/strongroom/policy/charter"
)

type genesisCommand struct {
	Build   genesisBuild   `cmd:"" help:"Compile a genesis from TOML, check it and print the organisation's id."`
	Example genesisExample `cmd:"" help:"Print a documented genesis, or a documented address book."`
}

type genesisBuild struct {
	From  string `required:"" type:"existingfile" help:"TOML of the genesis."`
	Book  string `required:"" type:"existingfile" help:"TOML of the address book's entries."`
	Out   string `required:"" type:"path" help:"File to write the signed form to; it must not exist."`
	Pools string `type:"path" placeholder:"DIR" help:"Directory with the key pools that the genesis names: those that do not fit it are refused."`
}

// Run compiles and prints what everybody pins: the digest, and twelve words of it to compare aloud; and what is known of the pools of keys that it names.
func (c genesisBuild) Run() error {
	from, err := os.ReadFile(c.From)
	if err != nil {
		return err
	}
	book, err := os.ReadFile(c.Book)
	if err != nil {
		return err
	}
	g, err := genesis.Build(from, book)
	if err != nil {
		return err
	}
	compiled, err := charter.Open(g.Document, g.Digest)
	if err != nil {
		return err
	}
	pools := poolcheck.In(c.Pools).Check(nil, compiled)
	if err := poolcheck.Refused(pools); err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if err := writeNew(c.Out, g.Document, 0o644); err != nil {
		return err
	}
	words := g.Digest.Words()
	fmt.Printf("organisation %s\nwords        %s\nentries      %d in the book, root %s\n",
		g.Digest, strings.Join(words[:], " "), g.Genesis.Book.Size, g.Genesis.Book.Root)
	for _, p := range pools {
		if words := p.Words(); words != "" {
			fmt.Printf("pool         %s\n", words)
		}
		for _, w := range p.Warnings() {
			fmt.Printf("WARNING      %s\n", w)
		}
	}
	return nil
}

type genesisExample struct {
	Book bool `help:"The address book instead of the genesis."`
}

// Run prints the example.
func (c genesisExample) Run() error {
	text := genesis.Example
	if c.Book {
		text = genesis.ExampleBook
	}
	_, err := fmt.Print(text)
	return err
}
