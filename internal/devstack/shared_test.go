package devstack

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.mongodb.org/mongo-driver/v2/bson"
)

func TestShared_IsOneStack(t *testing.T) {
	if a, b := Shared(t), Shared(t); a != b {
		t.Errorf("want the same stack twice, got %p and %p", a, b)
	}
}

func TestShared_EnvironmentNamesServers(t *testing.T) {
	own := Shared(t)
	t.Setenv(EnvPostgres, own.Postgres.URL(""))
	t.Setenv(EnvMongo, own.Mongo.URI())
	s, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Postgres.URL("x"), own.Postgres.URL("x"); got != want {
		t.Errorf("want the URL %s, got %s", want, got)
	}
	if got, want := s.Mongo.IsFerret(), own.Mongo.IsFerret(); got != want {
		t.Errorf("want IsFerret %v, got %v", want, got)
	}
	if err := errors.Join(s.Postgres.Kill(), s.Mongo.Kill()); !errors.Is(err, errNotOurs) {
		t.Errorf("want servers that were not started here spared, got %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := own.Postgres.ping(t.Context()); err != nil {
		t.Errorf("want the server to run on after Stop, got %v", err)
	}
}

func TestShared_NamedServerThatIsNotThereIsAnError(t *testing.T) {
	t.Setenv(EnvPostgres, "postgres://postgres@127.0.0.1:1/postgres")
	t.Setenv(EnvMongo, Shared(t).Mongo.URI())
	if _, err := Start(t.Context(), Options{}); err == nil {
		t.Error("want an error, got a stack")
	}
}

func TestStack_NewDatabaseMakesTemplateOnce(t *testing.T) {
	s := Shared(t)
	key := uniqueName()
	var prepared atomic.Int32
	prepare := func(ctx context.Context, url string) error {
		prepared.Add(1)
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "CREATE TABLE prepared (n int)")
		return err
	}
	var urls sync.Map
	begin := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { urls.Store(s.NewDatabase(t, key, prepare), true) })
	}
	wg.Wait()
	t.Logf("8 databases from a template in %v", time.Since(begin).Round(time.Millisecond))
	if n := prepared.Load(); n != 1 {
		t.Errorf("want the template prepared once, got %d times", n)
	}
	distinct := 0
	urls.Range(func(url, _ any) bool {
		distinct++
		execute(t, connect(t, url.(string)), "INSERT INTO prepared VALUES (1)")
		return true
	})
	if distinct != 8 {
		t.Errorf("want 8 databases, got %d", distinct)
	}
}

func TestStack_FailedTemplateIsTriedAgain(t *testing.T) {
	s := Shared(t)
	key, boom := uniqueName(), errors.New("boom")
	_, err := s.Postgres.template(t.Context(), key, func(context.Context, string) error { return boom })
	if !errors.Is(err, boom) {
		t.Fatalf("want the error of prepare, got %v", err)
	}
	s.NewDatabase(t, key, func(context.Context, string) error { return nil })
}

func TestStack_DatabasesAreDroppedAfterTheTest(t *testing.T) {
	s := Shared(t)
	var url, name string
	t.Run("use", func(t *testing.T) {
		url, name = s.Postgres.NewDatabase(t), s.NewMongoDatabase(t)
		connect(t, url)
		insert(t, client(t, s.Mongo.URI()).Database(name).Collection("c"), bson.M{"a": 1})
	})
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("want the PostgreSQL database dropped, it is there")
	}
	left, err := client(t, s.Mongo.URI()).Database(name).ListCollectionNames(t.Context(), bson.D{})
	if err != nil || len(left) != 0 {
		t.Errorf("want the MongoDB database dropped, got collections %v, %v", left, err)
	}
}
