package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// SetActivity: see cutover.ActivityControl. It also removes what was told long ago.
func (p *Plane) SetActivity(ctx context.Context, a cutover.Activity) error {
	_, err := p.exec(ctx, `WITH old AS (DELETE FROM cutover_activities WHERE at < now() - interval '1 hour')
		INSERT INTO cutover_activities (domain, role, who, doing, at) VALUES ($1, $2, $3, $4, now())
		ON CONFLICT (domain, role, who) DO UPDATE SET doing = excluded.doing, at = excluded.at`,
		a.Domain, a.Role, a.Who, text(a.Doing, 0))
	return err
}

// Activities: see cutover.ActivityControl.
func (p *Plane) Activities(ctx context.Context, domain string) ([]cutover.Activity, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (a cutover.Activity, err error) {
		a.Domain = domain
		err = row.Scan(&a.Role, &a.Who, &a.Doing, &a.At)
		a.At = a.At.UTC()
		return a, err
	}, `SELECT role, who, doing, at FROM cutover_activities
		WHERE domain = $1 AND at > now() - interval '30 seconds' ORDER BY role, who`, domain)
}
