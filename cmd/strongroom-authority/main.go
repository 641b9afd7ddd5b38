// Command strongroom-authority is a small outside authority: it states prices or attributes of clients, or decides about requests by screening and
// the travel rule, from files that others keep up to date and by what people decide. Package internal/authority says what it trusts.
//
// This package is flags and wiring. Private keys are read from files that only their owner can read; no file is overwritten.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/strongroom/strongroom/internal/authority"
	"github.com/strongroom/strongroom/proto/canon"
)

type cli struct {
	Run     runCommand     `cmd:"" help:"Run the authority until SIGTERM."`
	Key     keyCommand     `cmd:"" help:"Make the key that signs statements and the TLS key, and print their public keys."`
	Config  configCommand  `cmd:"" help:"Print a documented configuration."`
	Pending pendingCommand `cmd:"" help:"List the requests that wait for a person."`
	Decide  decideCommand  `cmd:"" help:"Clear or refuse a request."`
}

func main() {
	var c cli
	parser, err := kong.New(&c, kong.Name("strongroom-authority"), kong.UsageOnError(),
		kong.Description("An outside authority of a Strongroom organisation: prices, attributes of clients, screening, travel rule."))
	if err != nil {
		fmt.Fprintln(os.Stderr, "strongroom-authority:", err)
		os.Exit(2)
	}
	ctx, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	if err := ctx.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "strongroom-authority:", err)
		os.Exit(1)
	}
}

type runCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file."`
}

// Run serves until SIGTERM or SIGINT. It logs to standard error, one JSON object a line.
func (c runCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	config, hash, err := authority.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	log.Info("starting", "config", c.Config, "sha256", hash)
	return authority.Serve(ctx, config, log)
}

type keyCommand struct {
	Out string `required:"" type:"path" help:"File for the key that signs statements, mode 0600; it must not exist."`
	TLS string `required:"" name:"tls" type:"path" help:"File for the TLS key, mode 0600; it must not exist."`
}

// Run prints the public keys in hexadecimal: the charter names the first, the coordinator's configuration the second.
func (c keyCommand) Run() error {
	signing, err := authority.NewKey(c.Out)
	if err != nil {
		return err
	}
	tls, err := authority.NewKey(c.TLS)
	if err != nil {
		return errors.Join(err, os.Remove(c.Out))
	}
	_, err = fmt.Printf("signing %s\ntls     %s\n", signing, tls)
	return err
}

type configCommand struct {
	Facts bool `help:"Print a documented file of facts instead."`
}

// Run prints the example.
func (c configCommand) Run() error {
	text := authority.ExampleConfig
	if c.Facts {
		text = authority.ExampleFacts
	}
	_, err := fmt.Print(text)
	return err
}

type pendingCommand struct {
	Config string `required:"" type:"existingfile" help:"Configuration file."`
}

// Run prints one JSON object a line. What cannot be read is an error after the others.
func (c pendingCommand) Run() error {
	config, _, err := authority.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	list, unread := authority.List(config, time.Now())
	out := json.NewEncoder(os.Stdout)
	for _, w := range list {
		if err := out.Encode(w); err != nil {
			return err
		}
	}
	return unread
}

type decideCommand struct {
	Config   string `required:"" type:"existingfile" help:"Configuration file."`
	Request  string `required:"" placeholder:"DIGEST" help:"Digest of the request, as pending lists it."`
	Reason   string `help:"Why, for those who read the decision; at most 140 bytes."`
	Replace  bool   `help:"Replace what was decided before. Statements that were signed meanwhile count until they end."`
	Decision string `arg:"" enum:"clear,refuse" help:"clear or refuse."`
}

// Run records the decision; the running authority finds it with the next question.
func (c decideCommand) Run() error {
	config, _, err := authority.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	request, err := canon.ParseDigest(c.Request)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	d := authority.Decision{Clear: c.Decision == "clear", Reason: canon.Text(c.Reason), Time: time.Now().UTC()}
	return authority.Decide(config, request, d, c.Replace)
}
