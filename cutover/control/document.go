package control

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
)

// SaveDocument: see cutover.DocumentControl. It returns a document without an ID
// one, and one without a time the present; saving the same ID again replaces
// it.
func (p *Plane) SaveDocument(ctx context.Context, d cutover.Document) error {
	if d.ID == "" {
		d.ID = cutover.NewID().String()
	}
	if d.At.IsZero() {
		d.At = cutover.Now()
	}
	if len(d.Body) == 0 {
		d.Body = []byte("{}")
	}
	_, err := p.exec(ctx, `INSERT INTO cutover_documents (id, domain, type, epoch, at, who, ok, body)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO UPDATE SET domain = excluded.domain,
		type = excluded.type, epoch = excluded.epoch, at = excluded.at, who = excluded.who, ok = excluded.ok,
		body = excluded.body`,
		d.ID, d.Domain, d.Type, d.Epoch, d.At, text(d.Who, 0), d.OK, string(d.Body))
	return err
}

// Documents: see cutover.DocumentControl. A limit of 0 gives all.
func (p *Plane) Documents(ctx context.Context, domain, typ string, limit int) ([]cutover.Document, error) {
	return list(ctx, p, func(row pgx.CollectableRow) (d cutover.Document, err error) {
		var body string
		err = row.Scan(&d.ID, &d.Domain, &d.Type, &d.Epoch, &d.At, &d.Who, &d.OK, &body)
		d.At, d.Body = d.At.UTC(), []byte(body)
		return d, err
	}, `SELECT id, domain, type, epoch, at, who, ok, body::text FROM cutover_documents
		WHERE domain = $1 AND type = $2 ORDER BY at DESC, id DESC LIMIT nullif($3::bigint, 0)`, domain, typ, limit)
}
