package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Server is what a server that speaks MongoDB's protocol says of itself.
type Server struct {
	Version  string    // of MongoDB, or that of which it speaks the protocol
	FerretDB string    // FerretDB's own version; "" for MongoDB
	SetName  string    // of its replica set; "" for a single server
	Sharded  bool      // it is a router
	Now      time.Time // by its clock; zero when it does not say
}

// Transactions says that the server has transactions over several documents,
// and change streams. This package needs neither.
func (s Server) Transactions() bool { return s.FerretDB == "" && (s.SetName != "" || s.Sharded) }

// What findsLists knows.
const (
	listsByIndex = 1
	listsByScan  = 2
)

// findsLists says that the server looks a list of identities up by its index.
// FerretDB goes through the whole collection, where one identity after the
// other would be looked up at once. It is asked once.
func (db *DB) findsLists(ctx context.Context) (bool, error) {
	if known := db.lists.Load(); known != 0 {
		return known == listsByIndex, nil
	}
	server, err := db.Server(ctx)
	if err != nil {
		return false, err
	}
	known := int32(listsByIndex)
	if server.FerretDB != "" {
		known = listsByScan
	}
	db.lists.Store(known)
	return known == listsByIndex, nil
}

// Server asks the server.
func (db *DB) Server(ctx context.Context) (Server, error) {
	var build struct {
		Version  string `bson:"version"`
		FerretDB string `bson:"ferretdbVersion"`
	}
	var hello struct {
		SetName   string    `bson:"setName"`
		Msg       string    `bson:"msg"`
		LocalTime time.Time `bson:"localTime"`
	}
	if err := db.db.RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}).Decode(&build); err != nil {
		return Server{}, translate(err, reading)
	}
	err := db.db.RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Decode(&hello)
	return Server{build.Version, build.FerretDB, hello.SetName, hello.Msg == "isdbgrid", hello.LocalTime}, translate(err, reading)
}
