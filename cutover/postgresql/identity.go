package postgresql

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
)

// MapIdentity puts on record which ID stands for a legacy identity, see
// cutover.IdentityMap.
func (db *DB) MapIdentity(ctx context.Context, kind, legacy string, id cutover.ID) (cutover.ID, error) {
	var text string
	err := db.pool.QueryRow(ctx, `INSERT INTO id_map (kind, legacy_id, id) VALUES ($1, $2, $3)
		ON CONFLICT (kind, legacy_id) DO UPDATE SET id = id_map.id RETURNING id`, kind, legacy, id.String()).Scan(&text)
	if err != nil {
		return cutover.ID{}, translate(err)
	}
	return cutover.ParseID(text)
}

// Identities returns all legacy identities that are on record.
func (db *DB) Identities(ctx context.Context) ([]cutover.Identity, error) {
	type row struct{ kind, legacy, id string }
	rows, err := rowsOf(ctx, db, func(r *row) []any { return []any{&r.kind, &r.legacy, &r.id} },
		`SELECT kind, legacy_id, id FROM id_map ORDER BY kind, legacy_id`)
	if err != nil {
		return nil, err
	}
	out := make([]cutover.Identity, len(rows))
	for i, r := range rows {
		id, err := cutover.ParseID(r.id)
		if err != nil {
			return nil, err
		}
		out[i] = cutover.Identity{Kind: r.kind, LegacyID: r.legacy, ID: id}
	}
	return out, nil
}
