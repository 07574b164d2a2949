package main

import (
	"os"
	"strings"
	"testing"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/internal/devstack"
)

func TestTheExampleMovesItsApplication(t *testing.T) {
	stack := devstack.Shared(t)
	phase, text := move(stack.Mongo.URI(), stack.NewMongoDatabase(t), stack.Postgres.NewDatabase(t))
	if phase != cutover.PhaseMirror || text != "written to MongoDB" {
		t.Errorf("it ends in phase %s with the note %q, want phase mirror and what was written", phase, text)
	}
}

func TestTheExampleIsSixtyLines(t *testing.T) {
	text, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(text), "\n"); n > 60 {
		t.Errorf("it has %d lines", n)
	}
}
