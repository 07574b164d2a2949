package devstack

import (
	"context"
	"errors"
	"os"
	"testing"
	"time"
)

func TestPostgres_StopLeavesNothing(t *testing.T) {
	p, err := StartPostgres(t.Context(), Options{Settings: map[string]string{"work_mem": "9MB"}})
	if err != nil {
		t.Fatal(err)
	}
	var workMem string
	if err := connect(t, p.URL("")).QueryRow(t.Context(), "SHOW work_mem").Scan(&workMem); err != nil || workMem != "9MB" {
		t.Errorf("work_mem: want the caller's 9MB, got %q, %v", workMem, err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := p.ping(t.Context()); err == nil {
		t.Error("want no answer after Stop, got one")
	}
	if _, err := os.Stat(p.root); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("want %s removed by Stop, got %v", p.root, err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("want a second Stop to do nothing, got %v", err)
	}
}

func TestPostgres_KillLosesNoCommit(t *testing.T) {
	p := start(t, StartPostgres, Options{})
	url := p.URL("")
	conn := connect(t, url)
	execute(t, conn, "CREATE TABLE kept (n int)")
	for range 100 {
		execute(t, conn, "INSERT INTO kept VALUES (1)")
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := p.ping(t.Context()); err == nil {
		t.Fatal("want no answer after Kill, got one")
	}
	if err := p.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := p.URL(""); got != url {
		t.Errorf("want the same URL after Restart, %s, got %s", url, got)
	}
	if n := count(t, connect(t, url), "SELECT count(*) FROM kept"); n != 100 {
		t.Errorf("want 100 rows after Kill and Restart, got %d", n)
	}
}

func TestPostgres_DirKeepsData(t *testing.T) {
	dir, err := os.MkdirTemp("", "amanat-kept-") // t.TempDir's parent is closed to the server's account
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	p, err := StartPostgres(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, connect(t, p.URL("")), "CREATE TABLE kept (n int)")
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	p = start(t, StartPostgres, Options{Dir: dir})
	if n := count(t, connect(t, p.URL("")), "SELECT count(*) FROM kept"); n != 0 {
		t.Errorf("want the empty table kept, got %d rows", n)
	}
}

func TestPostgres_FrozenAnswersNobodyUntilThawed(t *testing.T) {
	p := start(t, StartPostgres, Options{})
	conn := connect(t, p.URL(""))
	if err := p.Freeze(); err != nil {
		t.Fatal(err)
	}
	answer := make(chan error, 1)
	go func() { _, err := conn.Exec(t.Context(), "SELECT 1"); answer <- err }()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := p.ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("want no answer to a new connection, and no refusal, got %v", err)
	}
	select {
	case err := <-answer:
		t.Errorf("want no answer on an old connection, got %v", err)
	default:
	}
	if err := p.Thaw(); err != nil {
		t.Fatal(err)
	}
	if err := <-answer; err != nil {
		t.Errorf("want the answer after Thaw, got %v", err)
	}
}

func TestPostgres_FrozenCanBeKilledAndRestarted(t *testing.T) {
	p := start(t, StartPostgres, Options{})
	connect(t, p.URL(""))
	for _, end := range []func() error{p.Kill, func() error { return nil }} {
		if err := p.Freeze(); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := p.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := p.ping(t.Context()); err != nil {
			t.Fatalf("want an answer after Restart, got %v", err)
		}
	}
}
