package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/internal/coordinator"
	"github.com/strongroom/strongroom/internal/coordinator/store"
	"github.com/strongroom/strongroom/internal/coordinator/store/sqlite"
	"github.com/strongroom/strongroom/proto/canon"
)

type auditCommands struct {
	Verify auditVerify `cmd:"" help:"Recompute the audit log of a database and compare it with rows, events and checkpoints."`
}

type auditVerify struct {
	Config string `required:"" type:"existingfile" help:"Configuration file of the coordinator."`
}

// Run reads everything. Auditors who do not trust the database's host recompute the log over the API, with strongroom.
func (c auditVerify) Run() error {
	ctx := context.Background()
	config, _, err := coordinator.LoadConfig(c.Config)
	if err != nil {
		return err
	}
	organisation, err := canon.ParseDigest(config.Organisation)
	if err != nil {
		return fmt.Errorf("organisation: %w", err)
	}
	s, err := sqlite.Open(ctx, config.Database, organisation)
	if err != nil {
		return err
	}
	err = report(ctx, s)
	return errors.Join(err, s.Close())
}

func report(ctx context.Context, s store.Store) error {
	if err := s.Verify(ctx); err != nil {
		return err
	}
	tree, err := s.Tree(ctx)
	if err != nil {
		return err
	}
	fmt.Println("rows, events and audit log agree:", tree)
	return nil
}
