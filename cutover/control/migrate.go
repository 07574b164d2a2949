package control

import (
	"embed"
	"slices"

	"github.com/jackc/pgx/v5"
)

// Migrations holds the control plane's tables as goose migrations, in the
// folder MigrationsDir. Package postgresql runs them: see its DB.Up.
//
//go:embed migrations/*.sql
var Migrations embed.FS

const (
	// MigrationsDir is the folder in Migrations.
	MigrationsDir = "migrations"
	// VersionTable is where goose notes which of Migrations were run: a table
	// of its own, since the application has migrations too.
	VersionTable = "cutover_db_version"
)

// Hosts returns every host that a connection by this URL may go to, with what
// the driver's own defaults and environment add to the URL. A path is a Unix
// socket's folder.
func Hosts(url string) ([]string, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, unreadable()
	}
	hosts := []string{config.Host}
	for _, f := range config.Fallbacks {
		if !slices.Contains(hosts, f.Host) {
			hosts = append(hosts, f.Host)
		}
	}
	return hosts, nil
}
