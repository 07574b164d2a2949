package devstack

import (
	"context"
	"errors"
	"strings"

	"github.com/amanat-dev/amanat/internal/devstack/mongosim"
)

// EnvMongoKind says which server StartMongo starts: "sim" is mongosim as a single
// server and "simset" as a replica set, "ferret" is FerretDB, also where there is
// a mongod; anything else is mongod from PATH, or FerretDB. It says nothing where
// MONGODB_URI names a server.
const EnvMongoKind = "MONGO"

// sim is mongosim, a server in this process.
type sim struct {
	o      mongosim.Options
	server *mongosim.Server
}

func (s *sim) address() string { return strings.Join(s.server.Addresses(), ",") }

func (s *sim) start(context.Context) error {
	if s.server != nil {
		return s.server.Restart()
	}
	var err error
	s.server, err = mongosim.Start(s.o)
	return err
}

// kill ends it as a power cut would that comes when all is in the journal.
func (s *sim) kill() error {
	if s.server != nil {
		s.server.Crash(0)
	}
	return nil
}

func (s *sim) freeze() error {
	s.server.Freeze()
	return nil
}

func (s *sim) thaw() error {
	s.server.Thaw()
	return nil
}

func (s *sim) stop() error {
	if s.server == nil {
		return nil
	}
	return s.server.Stop()
}

// Sim returns the server in this process that a Mongo is, to have elections and
// faults with; an error for any other.
func (m *Mongo) Sim() (*mongosim.Server, error) {
	if s, ok := m.server.(*sim); ok {
		return s.server, nil
	}
	return nil, errors.New("devstack: this MongoDB server is no mongosim of this process")
}

// StartFerret is StartMongo for FerretDB, whatever there is besides.
func StartFerret(ctx context.Context, o Options) (*Mongo, error) {
	return startMongo(ctx, &ferret{o: o})
}
