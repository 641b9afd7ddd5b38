package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/signer"
	"github.com/strongroom/strongroom/internal/signer/ledger"
	"github.com/strongroom/strongroom/mpc/share"
	"github.com/strongroom/strongroom/policy/charter"
)

// openLedger opens the node's ledger. It makes a new one once only: a key in the node's token, which encrypts nothing, says that there was one, for
// whoever lost a ledger usually lost everything else on that disk too. A node with a new ledger would have forgotten what it promised and what officers
// told it to stop, and its token would sign all the same.
func (c *configFile) openLedger(ctx context.Context, dir string, opened *charter.Charter, token hsm.Token, shares *share.Store) (*ledger.Ledger, error) {
	organisation := opened.Organisation()
	label := fmt.Sprintf("strongroom-ledger/%x/%s", organisation[:8], c.Name)
	_, err := token.Sealer(ctx, label)
	marked := err == nil || errors.Is(err, hsm.ErrAmbiguous)
	if !marked && !errors.Is(err, hsm.ErrNoKey) {
		return nil, fmt.Errorf("ledger: key %s of the token: %w", label, err)
	}
	there, err := ledger.Exists(dir)
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	if marked && !there {
		return nil, fmt.Errorf("%w: %s: expected the ledger that key %s in the token tells of, found none: put its newest copy back if nothing was signed since; otherwise "+
			"leave this signer switched off, and amend the charter to have another, with another identity, in its place", ledger.ErrMissing, dir, label)
	}
	l, err := signer.OpenLedger(ctx, dir, opened, c.Name, shares)
	if err != nil || marked {
		return l, err
	}
	// After the ledger: a node that ends in between promised nothing yet, and finds its ledger next time.
	if _, err := token.CreateSealer(ctx, label); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: key %s of the token: %w", label, err), l.Close())
	}
	return l, nil
}
