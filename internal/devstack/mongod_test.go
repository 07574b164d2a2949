//go:build unix

package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// envStandIn has a test binary be a program that is called as mongod is, with
// FerretDB behind its port.
const envStandIn = "DEVSTACK_TEST_MONGOD"

func standIn() {
	args := map[string]string{}
	for i := 1; i+1 < len(os.Args); i += 2 {
		args[os.Args[i]] = os.Args[i+1]
	}
	if err := serveAsMongod(args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveAsMongod(args map[string]string) error {
	pid := fmt.Sprint(os.Getpid())
	if err := os.WriteFile(args["--pidfilepath"], []byte(pid), 0o644); err != nil {
		return err
	}
	behind := &ferret{}
	if err := behind.start(context.Background()); err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort(args["--bind_ip"], args["--port"]))
	if err != nil {
		return errors.Join(err, behind.stop())
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go join(c, behind.address())
		}
	}()
	asked, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	<-asked.Done()
	return errors.Join(l.Close(), behind.pg.Stop())
}

func join(c net.Conn, address string) {
	defer c.Close()
	s, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer s.Close()
	go func() { _, _ = io.Copy(s, c) }()
	_, _ = io.Copy(c, s)
}

// TestMongod_IsPreferredWhereThereIsOne shows how a mongod in PATH is started,
// killed, restarted and stopped. What a real one does with its data is its own.
func TestMongod_IsPreferredWhereThereIsOne(t *testing.T) {
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", envStandIn, self)
	if err := os.WriteFile(filepath.Join(bin, "mongod"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	if found, err := exec.LookPath("mongod"); err != nil || found != filepath.Join(bin, "mongod") {
		t.Fatalf("mongod is %s, %v", found, err)
	}
	data := t.TempDir()
	m := start(t, StartMongo, Options{Dir: data})
	server, ok := m.server.(*mongod)
	if !ok {
		t.Fatalf("a %T was started", m.server)
	}
	pid, err := os.ReadFile(filepath.Join(data, "mongod.pid"))
	if err != nil || strings.TrimSpace(string(pid)) != fmt.Sprint(server.cmd.Process.Pid) {
		t.Errorf("its pid file says %q, %v", pid, err)
	}
	insert(t, client(t, m.URI()).Database("d").Collection("c"), bson.M{"_id": 1})

	uri := m.URI()
	if err := m.Kill(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", server.address()); err == nil {
		c.Close()
		t.Error("it answers after it was killed")
	}
	if err := m.Restart(t.Context()); err != nil || m.URI() != uri {
		t.Fatalf("restarted at %s, %v; want %s", m.URI(), err, uri)
	}
	insert(t, client(t, m.URI()).Database("d").Collection("c2"), bson.M{"_id": 1})
	if err := m.Stop(); err != nil {
		t.Fatal(err)
	}
	if server.cmd.ProcessState == nil {
		t.Error("it runs on after Stop")
	}
}
