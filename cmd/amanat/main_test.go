package main

import (
	"bytes"
	"context"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/spf13/cobra"
)

// output is a writer that goroutines may share with the test that reads it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// amanat runs a command line and returns its exit status and what it printed.
func amanat(ctx context.Context, environ []string, args ...string) (status int, out, err string) {
	var o, e output
	c := &cli{environ: environ, out: &o, err: &e}
	status = c.run(ctx, args)
	return status, o.String(), e.String()
}

func wantStatus(t *testing.T, want, got int, stderr string) {
	t.Helper()
	if got != want {
		t.Fatalf("exit status %d, want %d; stderr: %s", got, want, stderr)
	}
}

// wantText wants parts in a text, where a table may have broken their lines.
func wantText(t *testing.T, text string, parts ...string) {
	t.Helper()
	unbroken := strings.Join(strings.Fields(text), " ")
	for _, part := range parts {
		if !strings.Contains(text, part) && !strings.Contains(unbroken, part) {
			t.Errorf("want %q in:\n%s", part, text)
		}
	}
}

// eachCommand calls do with every command and the words that lead to it.
func eachCommand(cmd *cobra.Command, path []string, do func(cmd *cobra.Command, path []string)) {
	do(cmd, path)
	for _, sub := range cmd.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			eachCommand(sub, append(path[:len(path):len(path)], sub.Name()), do)
		}
	}
}

func TestHelpOfEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	seen := 0
	eachCommand((&cli{}).root(), nil, func(cmd *cobra.Command, path []string) {
		seen++
		name := strings.Join(append([]string{"amanat"}, path...), " ")
		if cmd.Short == "" || !strings.Contains(cmd.Example, "amanat ") {
			t.Errorf("%s: want a description and an example", name)
		}
		if cmd.IsAdditionalHelpTopicCommand() {
			return // its help is its own text alone
		}
		status, out, stderr := amanat(t.Context(), nil, append(path, "--help")...)
		if status != exitOK || !strings.Contains(out, strings.TrimSpace(cmd.Example)) {
			t.Errorf("%s --help: status %d, and its example is missing: %s%s", name, status, out, stderr)
		}
	})
	if seen < 25 {
		t.Errorf("saw %d commands, want all", seen)
	}
}

func TestWrongCommandLineIsUsageAndSaysWhatToDo(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"bogus":                                `no command "bogus"`,
		"cutover bogus":                        `no command "bogus"`,
		"cutover switch":                       "want cutover switch <domain>",
		"cutover switch user --waive gaps=x":   "what can be waived is",
		"cutover switch user --waive shadow=":  "want a reason",
		"cutover start user --waive shadow=x":  "unknown flag",
		"cutover finish user --waive shadow=x": "what can be waived is last-copy",
		"cutover set user":                     "nothing to set",
		"backfill":                             "want backfill <domain>",
		"backfill user --workers 0":            "at least 1",
		"gaps waive user":                      "say why",
		"gaps waive user --why x":              "give --all",
		"gaps waive user user 1 --all --why x": "give --all",
		"migrate sideways":                     `no command "sideways"`,
		"serve now":                            "want serve",
		"version --yaml":                       "unknown flag",
	} {
		status, _, stderr := amanat(t.Context(), nil, strings.Fields(line)...)
		if status != exitUsage || !strings.Contains(stderr, want) || !strings.Contains(stderr, "--help") || strings.Count(stderr, "\n") != 1 {
			t.Errorf("amanat %s: status %d, stderr %q, want %d and one line with %q", line, status, stderr, exitUsage, want)
		}
	}
}

func TestWrongEnvironmentIsToldAllAtOnce(t *testing.T) {
	t.Parallel()
	environ := []string{"PORT=http", "REPO_USER=both", "PG_URL=mysql://u:hunter2@db/x", "JWT_SECRET=hunter2"}
	status, _, stderr := amanat(t.Context(), environ, "serve")
	wantStatus(t, exitUsage, status, stderr)
	wantText(t, stderr, "5 mistakes", "PORT:", "REPO_USER:", "PG_URL:", "JWT_SECRET:", "CODE_SECRET:", "set for example")
	if strings.Contains(stderr, "hunter2") {
		t.Errorf("a secret is shown: %s", stderr)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	status, out, stderr := amanat(t.Context(), nil, "version")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "amanat ", "go1.")
}

func TestEnvironmentTopicDescribesEachVariable(t *testing.T) {
	t.Parallel()
	status, out, stderr := amanat(t.Context(), nil, "help", "environment")
	wantStatus(t, exitOK, status, stderr)
	wantText(t, out, "PORT\n", "(default 5001)", "REPO_TELEGRAM", "MIGRATION_PG_ALLOWED_HOSTS")
}

// What only tests and the demo need must not be in production.
func TestProductionLinksNeitherFerretDBNorDevstack(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for dep := range strings.Lines(string(out)) {
		for _, banned := range []string{"FerretDB", "amanat/devstack", "amanat/cmd/demo", "testing\n"} {
			if strings.HasSuffix(banned, "\n") && dep == banned || !strings.HasSuffix(banned, "\n") && strings.Contains(dep, banned) {
				t.Errorf("cmd/amanat links %s", strings.TrimSpace(dep))
			}
		}
	}
}

func TestBackfillWritesOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	mongo := "MONGODB_URI=mongodb://127.0.0.1:1"
	for name, test := range map[string]struct {
		environ []string
		want    string // in the error; what comes after the check is that nobody answers
	}{
		"elsewhere":          {[]string{"PG_URL=postgres://u:hunter2@db.example.org:1/x"}, "MIGRATION_PG_ALLOWED_HOSTS=db.example.org"},
		"its own URL counts": {[]string{"PG_URL=postgres://u@127.0.0.1:1/x", "MIGRATION_PG_URL=postgres://u@10.0.0.7:1/x"}, "MIGRATION_PG_ALLOWED_HOSTS=10.0.0.7"},
		"hidden in options":  {[]string{"PG_URL=postgres://u@127.0.0.1:1/x?host=10.0.0.7"}, "10.0.0.7 is not this machine"},
		"one of several":     {[]string{"PG_URL=postgres://u@127.0.0.1:1,10.0.0.7:1/x"}, "10.0.0.7 is not this machine"},
		"nowhere":            {nil, "set PG_URL or MIGRATION_PG_URL"},
		"loopback":           {[]string{"PG_URL=postgres://u@127.0.0.1:1/x"}, "does not answer"},
		"localhost":          {[]string{"PG_URL=postgres://u@LOCALHOST:1/x"}, "does not answer"},
		"Unix socket":        {[]string{"PG_URL=postgres://u@/x?host=/nowhere"}, "does not answer"},
		"allowed":            {[]string{"PG_URL=postgres://u@127.0.0.2:1,localhost:1/x", "MIGRATION_PG_ALLOWED_HOSTS=a, b"}, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, stderr := amanat(t.Context(), append(test.environ, mongo), "backfill", "user")
			wantStatus(t, exitFailure, status, stderr)
			wantText(t, stderr, test.want)
			if strings.Contains(stderr, "hunter2") || strings.Count(stderr, "\n") != 1 {
				t.Errorf("want one line without a password, got %s", stderr)
			}
		})
	}
}
