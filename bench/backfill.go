package main

import (
	"context"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	mongooptions "go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/jackc/pgx/v5"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/domain/payment"
	"github.com/amanat-dev/amanat/internal/devstack/deployment"
)

// move is a deployment whose payments are to be moved from MongoDB to
// PostgreSQL. Its server has nobody to serve, so that the commands have the
// databases to themselves.
type move struct {
	d        *deployment.Deployment
	pg       *pgx.Conn
	payments *mongo.Collection
	count    int
	copied   bool // the payments are in PostgreSQL
}

// paymentsMove makes it when it is first asked for.
func (e *env) paymentsMove(ctx context.Context) (*move, error) {
	if e.move != nil {
		return e.move, nil
	}
	url, err := e.migrated(ctx)
	if err != nil {
		return nil, err
	}
	client, uri, database, err := e.mongoDatabase(ctx)
	if err != nil {
		return nil, err
	}
	m := &move{payments: client.Database(database).Collection("payments"), count: e.size(100_000)}
	if e.mongo.IsFerret() {
		// It sorts a collection in memory before it answers, which takes long.
		m.count = e.size(2000)
	}
	if m.pg, err = writer(ctx, url); err != nil {
		return nil, err
	}
	e.atEnd(func() error { return m.pg.Close(context.WithoutCancel(ctx)) })
	if m.d, err = e.deployment(deployment.Options{MongoURI: uri, Database: database, PGURL: url, Ports: []int{0}}); err != nil {
		return nil, err
	}
	e.say("seeding %d payments", m.count)
	if err := m.seed(ctx); err != nil {
		return nil, err
	}
	if err := m.d.Serve(ctx); err != nil {
		return nil, err
	}
	e.move = m
	return m, nil
}

// mongoDatabase names a fresh database on the server that speaks MongoDB's
// protocol.
func (e *env) mongoDatabase(ctx context.Context) (client *mongo.Client, uri, name string, err error) {
	server, err := e.mongoServer(ctx)
	if err != nil {
		return nil, "", "", err
	}
	name = freshName()
	if client, err = mongo.Connect(mongooptions.Client().ApplyURI(server.URI())); err != nil {
		return nil, "", "", err
	}
	e.atEnd(func() error { return client.Disconnect(context.WithoutCancel(ctx)) })
	e.atEnd(func() error { return server.DropDatabase(context.WithoutCancel(ctx), name) })
	return client, server.URI(), name, nil
}

// seed writes payments as the application has them in MongoDB.
func (m *move) seed(ctx context.Context) error {
	const batch = 1000
	at := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	for n := 0; n < m.count; n += batch {
		var documents []bson.D
		for i := n; i < min(n+batch, m.count); i++ {
			documents = append(documents, paymentDocument(i, at.Add(time.Duration(i)*time.Second)))
		}
		if _, err := m.payments.InsertMany(ctx, documents); err != nil {
			return err
		}
	}
	return nil
}

func paymentDocument(n int, at time.Time) bson.D {
	id := func() bson.ObjectID { return bson.NewObjectIDFromTimestamp(at) }
	return bson.D{
		{Key: "_id", Value: id()}, {Key: "rev", Value: int64(1)}, {Key: "createdAt", Value: at}, {Key: "updatedAt", Value: at},
		{Key: "purchaseRequestId", Value: id()}, {Key: "sellerOfferId", Value: id()}, {Key: "buyerId", Value: id()}, {Key: "sellerId", Value: id()},
		{Key: "amount", Value: bson.D{{Key: "amount", Value: fmt.Sprintf("%d.25", 10+n%900)}, {Key: "currency", Value: "USDT"}}},
		{Key: "provider", Value: "request.network"}, {Key: "direction", Value: "in"}, {Key: "status", Value: "pending"},
		{Key: "blockchain", Value: bson.D{
			{Key: "chainId", Value: int64(56)}, {Key: "network", Value: "bsc"}, {Key: "token", Value: "USDT"},
			{Key: "tokenAddress", Value: "0x55d398326f99059fF775485246999027B3197955"},
			{Key: "destination", Value: fmt.Sprintf("0x%040x", n)}, {Key: "paymentReference", Value: fmt.Sprintf("%016x", n)},
			{Key: "logIndex", Value: int64(0)}, {Key: "blockNumber", Value: int64(0)}, {Key: "confirmations", Value: int64(0)},
			{Key: "confirmationsRequired", Value: int64(200)}}},
		{Key: "expectedUnits", Value: fmt.Sprintf("%d250000000000000000", 10+n%900)},
		{Key: "callbackSecret", Value: fmt.Sprintf("%064x", n)}, {Key: "salt", Value: fmt.Sprintf("%016x", n)},
		{Key: "expiresAt", Value: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
}

// backfillShare compares a backfill by the product's command, from its start to
// its end, with reading the same collection through a plain cursor.
func backfillShare(ctx context.Context, e *env) (out samples, err error) {
	m, err := e.paymentsMove(ctx)
	if err != nil {
		return nil, err
	}
	for range e.times(3) {
		if err := m.restart(ctx, e); err != nil {
			return nil, err
		}
		raw, err := m.readMongo(ctx)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		if err := m.backfill(ctx, e); err != nil {
			return nil, err
		}
		copied := float64(m.count) / time.Since(began).Seconds()
		e.say("backfill %.0f rows/s, raw reads %.0f/s", copied, raw)
		out = append(out, copied/raw)
	}
	return out, nil
}

// restart brings the move to phase dual with nothing in PostgreSQL.
func (m *move) restart(ctx context.Context, e *env) error {
	if m.copied {
		if err := e.run(ctx, m.d, "cutover", "abandon", "payment", "--execute", "--why", "once more"); err != nil {
			return err
		}
		if _, err := m.pg.Exec(ctx, "TRUNCATE payments CASCADE"); err != nil {
			return err
		}
	}
	m.copied = false
	return e.run(ctx, m.d, "cutover", "start", "payment", "--execute", "--why", "a measurement")
}

func (m *move) backfill(ctx context.Context, e *env) error {
	if err := e.run(ctx, m.d, "backfill", "payment"); err != nil {
		return err
	}
	m.copied = true
	var there int
	if err := m.pg.QueryRow(ctx, "SELECT count(*) FROM payments").Scan(&there); err != nil {
		return err
	}
	if there != m.count {
		return fmt.Errorf("%d payments were copied, want %d", there, m.count)
	}
	return nil
}

// readMongo returns how many documents a plain cursor reads in a second.
func (m *move) readMongo(ctx context.Context) (float64, error) {
	began := time.Now()
	cursor, err := m.payments.Find(ctx, bson.D{})
	if err != nil {
		return 0, err
	}
	defer cursor.Close(ctx)
	read := 0
	for cursor.Next(ctx) {
		read++
	}
	if err := cursor.Err(); err != nil {
		return 0, err
	}
	if read != m.count {
		return 0, fmt.Errorf("%d documents were read, want %d", read, m.count)
	}
	return float64(read) / time.Since(began).Seconds(), nil
}

// readPostgres is readMongo for the table.
func (m *move) readPostgres(ctx context.Context) (float64, error) {
	began := time.Now()
	rows, err := m.pg.Query(ctx, "SELECT * FROM payments")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		_ = rows.RawValues()
	}
	if rows.Err() != nil || rows.CommandTag().RowsAffected() != int64(m.count) {
		return 0, fmt.Errorf("%d rows were read, want %d: %w", rows.CommandTag().RowsAffected(), m.count, rows.Err())
	}
	return float64(m.count) / time.Since(began).Seconds(), nil
}

// verifyShare compares the records that a verify compares in a second with plain
// reads of whichever side is slower to read.
func verifyShare(ctx context.Context, e *env) (out samples, err error) {
	m, err := e.paymentsMove(ctx)
	if err != nil {
		return nil, err
	}
	if !m.copied {
		if err := m.restart(ctx, e); err != nil {
			return nil, err
		}
		if err := m.backfill(ctx, e); err != nil {
			return nil, err
		}
	}
	for range e.times(3) {
		source, err := m.readMongo(ctx)
		if err != nil {
			return nil, err
		}
		target, err := m.readPostgres(ctx)
		if err != nil {
			return nil, err
		}
		compared, all, err := m.verify(ctx)
		if err != nil {
			return nil, err
		}
		e.say("verify %.0f records/s, raw reads: MongoDB %.0f/s, PostgreSQL %.0f/s; with the invariants %.1f s", compared, source, target, all)
		out = append(out, compared/min(source, target))
	}
	return out, nil
}

// verify returns how many payments a verify compared in a second, and how long
// it took together with the other kinds and the invariants.
func (m *move) verify(ctx context.Context) (compared, all float64, err error) {
	var results []cutover.VerifyResult
	if err := m.d.JSON(ctx, &results, "verify", "payment"); err != nil {
		return 0, 0, err
	}
	for _, k := range results[0].Kinds {
		if k.Kind == payment.KindPayment && k.Source == int64(m.count) && k.Differences() == 0 {
			return float64(m.count) / k.Seconds, results[0].Seconds, nil
		}
	}
	return 0, 0, fmt.Errorf("the verify did not find %d payments alike: %+v", m.count, results[0].Kinds)
}
