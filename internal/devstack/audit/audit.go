// Package audit compares a MongoDB and a PostgreSQL database without any of
// the project's own stores and codecs, and checks both against what clients
// were told: it reads documents and rows raw, and computes for itself.
package audit

import (
	"context"
	"fmt"
)

// Options name the databases and what must be in them.
type Options struct {
	MongoURI string
	Database string // in MongoDB
	PGURL    string
	Domains  []string // whose kinds to look at; all when empty
	Facts    []Fact   // what servers have acknowledged
	Sole     []Sole   // what must not be there twice
	// PostgresOnly leaves MongoDB out, once the move is finished; MongoOnly
	// PostgreSQL, before it has begun.
	PostgresOnly, MongoOnly bool
}

// Run reads both databases and returns what it found. Nothing may write
// meanwhile, and the copies must have arrived. An error means that the check
// could not be made.
func Run(ctx context.Context, o Options) (*Report, error) {
	sides, err := open(ctx, o)
	if err != nil {
		return nil, err
	}
	defer sides.close()
	r := &Report{PostgresOnly: o.PostgresOnly, MongoOnly: o.MongoOnly}
	var mongoAll, pgAll = records{}, records{}
	for _, k := range kindsOf(o.Domains) {
		m, p, err := sides.read(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("audit: %s: %w", k.name, err)
		}
		if !o.PostgresOnly && !o.MongoOnly {
			r.compare(k, m, p)
		}
		mongoAll[k.name], pgAll[k.name] = m, p
	}
	if !o.PostgresOnly {
		r.Mongo = examine("MongoDB", mongoAll, o)
	}
	if o.MongoOnly {
		return r, nil
	}
	r.Postgres = examine("PostgreSQL", pgAll, o)
	return r, sides.unaudited(ctx, r)
}

// records are all records of all kinds on one side: kind → id → record.
type records map[string]map[string]record

// Side is what one database says by itself.
type Side struct {
	Name    string
	Facts   int // acknowledged records looked for
	Lost    []string
	Twice   []string
	Ledger  Ledger
	Records int
}

func examine(name string, all records, o Options) Side {
	s := Side{Name: name, Facts: len(o.Facts)}
	for _, f := range o.Facts {
		s.Lost = append(s.Lost, f.missingIn(all)...)
	}
	for _, one := range o.Sole {
		s.Twice = append(s.Twice, one.twiceIn(all)...)
	}
	for _, byID := range all {
		s.Records += len(byID)
	}
	s.Ledger = balance(all)
	return s
}
