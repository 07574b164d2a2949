package postgresql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
	"github.com/amanat-dev/amanat/cutover/shape"
)

// MendKeys gives rows the keys that unique rules derive from their records, where
// a migration or an earlier version has written others or none. It goes through a
// table once for all rules that are new to it, and puts that on record; with
// again it goes through all. Records that break a rule are an error each, and
// leave the rule for the next time. It returns how many rows were changed.
func (db *DB) MendKeys(ctx context.Context, d cutover.Definition, again bool) (int, error) {
	total := 0
	var errs []error
	for _, k := range d.Kinds {
		m := mending{db: db, table: newTable(k, 0)}
		unsure, err := db.unsure(ctx, m.table)
		if err != nil {
			return total, err
		}
		if len(m.keys) == 0 || len(unsure) == 0 && !again {
			continue
		}
		if err := m.run(ctx); err != nil {
			return total, err
		}
		total += m.changed
		errs = append(errs, m.broken...)
		if len(m.broken) == 0 {
			if err := db.putOnRecord(ctx, m.table); err != nil {
				return total, err
			}
		}
	}
	return total, errors.Join(errs...)
}

// UnmendedKeys names the rules of a domain that MendKeys has not been through:
// old rows may lack their keys.
func (db *DB) UnmendedKeys(ctx context.Context, d cutover.Definition) (names []string, err error) {
	for _, k := range d.Kinds {
		unsure, err := db.unsure(ctx, newTable(k, 0))
		if err != nil {
			return nil, err
		}
		for _, rule := range unsure {
			names = append(names, k.Name+" "+rule.Rule())
		}
	}
	return names, nil
}

// Of StaleKeys: how many of each kind's newest rows are looked at, and how many
// rows are named.
const (
	staleLooked = 1000
	staleNamed  = 10
)

// StaleKeys looks at the newest rows of a domain, and names some with other keys
// than unique rules derive from their records.
func (db *DB) StaleKeys(ctx context.Context, d cutover.Definition) (keys []cutover.Key, err error) {
	for _, k := range d.Kinds {
		t := newTable(k, 0)
		if len(t.keys) == 0 {
			continue
		}
		var newest []*found
		tail := fmt.Sprintf("ORDER BY id DESC LIMIT %d", staleLooked)
		if err := ask(ctx, db.pool, t.fetchKeyed(&newest, tail)); err != nil {
			return nil, translate(err)
		}
		for _, f := range newest {
			if len(f.stale) > 0 && len(keys) < staleNamed {
				keys = append(keys, t.item(f).Key)
			}
		}
	}
	return keys, nil
}

// unsure returns the rules that are not on record.
func (db *DB) unsure(ctx context.Context, t *table) (out []cutover.Unique, err error) {
	if len(t.keys) == 0 {
		return nil, nil
	}
	rows, err := db.pool.Query(ctx, "SELECT rule FROM cutover_keys WHERE kind = $1", t.kind)
	if err != nil {
		return nil, translate(err)
	}
	known, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, k := range t.keys {
		if !slices.Contains(known, k.rule.Name) {
			out = append(out, k.rule)
		}
	}
	return out, translate(err)
}

func (db *DB) putOnRecord(ctx context.Context, t *table) error {
	for _, k := range t.keys {
		if _, err := db.pool.Exec(ctx, "INSERT INTO cutover_keys (kind, rule) VALUES ($1, $2) ON CONFLICT DO NOTHING", t.kind, k.rule.Name); err != nil {
			return translate(err)
		}
	}
	return nil
}

// mending is one way through a table.
type mending struct {
	*table
	db      *DB
	changed int
	broken  []error
}

// brokenTold bounds how many records that break a rule are named.
const brokenTold = 10

func (m *mending) run(ctx context.Context) error {
	var after cutover.ID
	for {
		var page []*found
		tail := fmt.Sprintf("WHERE id > $1 ORDER BY id LIMIT %d", eachPage)
		if err := ask(ctx, m.db.pool, m.fetchKeyed(&page, tail, after.String())); err != nil {
			return translate(err)
		}
		if err := m.page(ctx, page); err != nil {
			return err
		}
		if len(page) < eachPage {
			return nil
		}
		if err := after.UnmarshalText([]byte(page[len(page)-1].id)); err != nil {
			return err
		}
	}
}

// page mends the rows of one. A value may have to be given up by another row
// first, and what cannot be read is left.
func (m *mending) page(ctx context.Context, page []*found) error {
	todo := slices.DeleteFunc(slices.Clone(page), func(f *found) bool { return len(f.stale) == 0 })
	if len(todo) == 0 {
		return nil
	}
	last := map[string]error{}
	err := inRounds(todo, func(f *found) error {
		err := m.row(ctx, f)
		last[f.id] = err
		return err
	})
	if violationOf(err) == nil {
		return err
	}
	for _, f := range todo {
		if last[f.id] != nil {
			if err := m.tell(ctx, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// row leaves the revision as it is: the record has not changed. Whoever writes
// it meanwhile sets the keys as well.
func (m *mending) row(ctx context.Context, f *found) error {
	set := make([]string, len(m.keys))
	args := []any{f.id, f.rev}
	for i, k := range m.keys {
		args = append(args, k.value(f.record()))
		set[i] = fmt.Sprintf("%s = $%d", quote(k.name), len(args))
	}
	tag, err := m.db.pool.Exec(ctx, "UPDATE "+quote(m.name)+" SET "+strings.Join(set, ", ")+" WHERE id = $1 AND rev = $2", args...)
	m.changed += int(tag.RowsAffected())
	return translate(err)
}

// tell notes who breaks a rule.
func (m *mending) tell(ctx context.Context, f *found) error {
	for _, k := range m.keys {
		if len(m.broken) == brokenTold {
			return nil
		}
		var other string
		err := m.db.pool.QueryRow(ctx, "SELECT id FROM "+quote(m.name)+" WHERE "+quote(k.name)+" = $1 AND id <> $2",
			k.value(f.record()), f.id).Scan(&other)
		switch {
		case err == nil:
			m.broken = append(m.broken, fault.New(fault.Conflict, "%s: %s and %s have the same %s", shape.Words(m.kind), f.id, other, k.rule.Rule()))
		case !errors.Is(err, pgx.ErrNoRows):
			return translate(err)
		}
	}
	return nil
}
