// Command strongroom-devnet plays the demonstration, or starts a devnet and leaves it running. Everything it starts listens on loopback,
// lives in one directory, and ends with it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/alecthomas/kong"
	"github.com/charmbracelet/x/term"

	"github.com/strongroom/strongroom/internal/devnet"
	"github.com/strongroom/strongroom/internal/devnet/demo"
)

type where struct {
	Dir   string `default:".devnet" type:"path" help:"Directory of the devnet; what an earlier one left there is removed."`
	Tools string `default:".tools" type:"path" help:"Directory of btcd, which is built when it is missing."`
}

type demoCommand struct{ where }

type upCommand struct{ where }

type cli struct {
	Demo demoCommand `cmd:"" help:"Play the main job on a fresh devnet and stop."`
	Up   upCommand   `cmd:"" help:"Start a devnet with funded accounts and leave it running until Ctrl-C."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("strongroom-devnet"), kong.Description("A whole Strongroom on loopback, with chains of its own."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "\nstrongroom-devnet:", err)
		os.Exit(1)
	}
}

// up starts a devnet with the binaries beside this one.
func (w where) up(ctx context.Context) (*devnet.Devnet, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	progress := devnet.NewProgress(os.Stdout, term.IsTerminal(os.Stdout.Fd()))
	progress.Title("1. A devnet on loopback in %s", w.Dir)
	return devnet.Up(ctx, devnet.Options{Dir: w.Dir, Bin: filepath.Dir(self), Tools: w.Tools, Progress: progress})
}

// Run plays, writes the report whatever came of it, and prints the table.
func (c demoCommand) Run(ctx context.Context) error {
	d, err := c.up(ctx)
	if err != nil {
		return err
	}
	defer d.Down()
	report, err := demo.Play(ctx, d)
	path := filepath.Join(c.Dir, "report.json")
	err = errors.Join(err, report.Write(path))
	fmt.Println()
	if err := report.Table(os.Stdout); err != nil {
		return err
	}
	if err != nil {
		return err
	}
	fmt.Printf("\nAll of it as it should be, in %.0f seconds. The same with raw transactions: %s\n", report.Seconds, path)
	return nil
}

// Run starts a devnet, makes its key and addresses, funds them, and waits.
func (c upCommand) Run(ctx context.Context) error {
	d, err := c.up(ctx)
	if err != nil {
		return err
	}
	defer d.Down()
	if err := demo.PrepareVault(ctx, d); err != nil {
		return err
	}
	fmt.Println()
	fmt.Println(demo.Instructions(d))
	select {
	case <-ctx.Done():
		fmt.Println("\nstopping")
		return nil
	case name := <-d.Ended():
		return fmt.Errorf("%s ended by itself", name)
	}
}
