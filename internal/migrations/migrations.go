// Package migrations makes the domains' tables in PostgreSQL. What the engine
// keeps beside them has migrations of its own, in cutover/postgresql.
package migrations

import (
	"embed"

	"github.com/amanat-dev/amanat/cutover/postgresql"
)

//go:embed *.sql
var files embed.FS

// Source is the set of them.
var Source = postgresql.Source{Name: "store", Files: files, Dir: ".", Table: "store_db_version"}
