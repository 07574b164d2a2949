package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// databases are both sides, open.
type databases struct {
	client *mongo.Client // nil when only PostgreSQL is looked at
	db     *mongo.Database
	pg     *pgx.Conn // nil when only MongoDB is looked at
}

func open(ctx context.Context, o Options) (*databases, error) {
	d := &databases{}
	var err error
	if !o.MongoOnly {
		if d.pg, err = pgx.Connect(ctx, o.PGURL); err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
	}
	if o.PostgresOnly {
		return d, nil
	}
	d.client, err = mongo.Connect(options.Client().ApplyURI(o.MongoURI).SetServerSelectionTimeout(20 * time.Second))
	if err != nil {
		d.close()
		return nil, fmt.Errorf("audit: %w", err)
	}
	d.db = d.client.Database(o.Database)
	return d, nil
}

func (d *databases) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if d.pg != nil {
		_ = d.pg.Close(ctx) // nothing was written
	}
	if d.client != nil {
		_ = d.client.Disconnect(ctx)
	}
}

// read returns all records of a kind on both sides by id.
func (d *databases) read(ctx context.Context, k kind) (m, p map[string]record, err error) {
	if d.pg != nil {
		if p, err = d.rows(ctx, k); err != nil {
			return nil, nil, err
		}
	}
	if d.client != nil {
		m, err = d.documents(ctx, k)
	}
	return m, p, err
}

func (d *databases) documents(ctx context.Context, k kind) (map[string]record, error) {
	cursor, err := d.db.Collection(k.collection).Find(ctx, bson.D{})
	if err != nil {
		return nil, err
	}
	defer cursor.Close(ctx)
	out := map[string]record{}
	for cursor.Next(ctx) {
		var doc bson.D
		if err := cursor.Decode(&doc); err != nil {
			return nil, err
		}
		if removed(doc) {
			continue
		}
		r := fromDocument(doc)
		if k.legacy != nil {
			k.legacy(r)
		}
		out[r["id"].text] = r
	}
	return out, cursor.Err()
}

// removed says that a document only marks where one was.
func removed(doc bson.D) bool {
	return slices.ContainsFunc(doc, func(e bson.E) bool { return e.Key == "_deleted" && e.Value == true })
}

// fromDocument flattens a document. Fields that begin with an underscore are
// the storage's own, and Mongoose's version counter means nothing here.
func fromDocument(doc bson.D) record {
	r := record{}
	for _, e := range doc {
		if e.Key == "_id" || !strings.HasPrefix(e.Key, "_") {
			r.flatten(join("", e.Key), e.Value)
		}
	}
	return r
}

// rows reads a table, each row as one JSON object in which its child tables
// are lists.
func (d *databases) rows(ctx context.Context, k kind) (map[string]record, error) {
	query, err := d.query(ctx, k)
	if err != nil {
		return nil, err
	}
	rows, err := d.pg.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := map[string]record{}
	for rows.Next() {
		var raw []byte
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		r, err := fromRow(raw)
		if err != nil {
			return nil, err
		}
		out[r["id"].text] = r
	}
	return out, rows.Err()
}

// query builds the statement that reads a table with its children.
func (d *databases) query(ctx context.Context, k kind) (string, error) {
	rows, err := d.pg.Query(ctx, `
		SELECT c.conrelid::regclass::text FROM pg_constraint c
		JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
		JOIN pg_attribute p ON p.attrelid = c.conrelid AND p.attname = 'position'
		WHERE c.contype = 'f' AND a.attname = 'parent_id' AND c.confrelid = $1::regclass
		ORDER BY 1`, k.table)
	if err != nil {
		return "", err
	}
	children, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", err
	}
	list := "to_jsonb(t)"
	for _, child := range children {
		list += fmt.Sprintf(` || jsonb_build_object('%s', (SELECT jsonb_agg(to_jsonb(c) - 'parent_id' - 'position' ORDER BY c.position)
			FROM %s c WHERE c.parent_id = t.id))`, listName(k, child), child)
	}
	return fmt.Sprintf("SELECT %s FROM %s t", list, k.table), nil
}

// listName returns the field whose elements a child table holds: most tables are
// named after the record and the field.
func listName(k kind, child string) string {
	if name, ok := lists[child]; ok {
		return name
	}
	return strings.TrimPrefix(child, k.name+"_")
}

// fromRow flattens a row; the unknown fields of its document, which travel in
// a column, become fields again.
func fromRow(raw []byte) (record, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var row map[string]any
	if err := d.Decode(&row); err != nil {
		return nil, err
	}
	r := record{}
	if extra, ok := row["extra"].(map[string]any); ok {
		if err := addExtra(r, extra); err != nil {
			return nil, err
		}
	}
	delete(row, "extra")
	// What unique rules derive is the storage's own, as an underscore says in a
	// document.
	maps.DeleteFunc(row, func(column string, _ any) bool { return strings.HasPrefix(column, "key_") })
	r.flatten("", row)
	return r, nil
}

func addExtra(r record, extra map[string]any) error {
	raw, err := json.Marshal(extra)
	if err != nil {
		return err
	}
	var doc bson.D
	if err := bson.UnmarshalExtJSON(raw, true, &doc); err != nil {
		return fmt.Errorf("column extra: %w", err)
	}
	for name, v := range fromDocument(doc) {
		r[name] = v
	}
	return nil
}

// unaudited reports tables with records that no kind names: they would go
// unchecked.
func (d *databases) unaudited(ctx context.Context, r *Report) error {
	rows, err := d.pg.Query(ctx, `
		SELECT table_name FROM information_schema.columns
		WHERE table_schema = current_schema() AND column_name IN ('id', 'rev', 'updated_at')
		GROUP BY 1 HAVING count(*) = 3 ORDER BY 1`)
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, table := range tables {
		if !slices.ContainsFunc(kinds, func(k kind) bool { return k.table == table }) {
			r.Unaudited = append(r.Unaudited, table)
		}
	}
	return nil
}
