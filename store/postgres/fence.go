package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/control"
)

// fence holds the transaction to the epoch in which the Update was admitted.
func fence(ctx context.Context, q pgx.Tx, g cutover.Guard) error {
	if !g.Fenced {
		return nil
	}
	return control.Fence(ctx, q, g.Domain, g.Epoch)
}
