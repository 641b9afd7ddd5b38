package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/strongroom/strongroom/internal/config/genesis"
)

type genesisCommand struct {
	Build   genesisBuild   `cmd:"" help:"Compile a genesis from TOML, check it and print the organisation's id."`
	Example genesisExample `cmd:"" help:"Print a documented genesis, or a documented address book."`
}

type genesisBuild struct {
	From string `required:"" type:"existingfile" help:"TOML of the genesis."`
	Book string `required:"" type:"existingfile" help:"TOML of the address book's entries."`
	Out  string `required:"" type:"path" help:"File to write the signed form to; it must not exist."`
}

// Run compiles and prints what everybody pins: the digest, and twelve words of it to compare aloud.
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
	if err := writeNew(c.Out, g.Document, 0o644); err != nil {
		return err
	}
	words := g.Digest.Words()
	fmt.Printf("organisation %s\nwords        %s\nentries      %d in the book, root %s\n",
		g.Digest, strings.Join(words[:], " "), g.Genesis.Book.Size, g.Genesis.Book.Root)
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
