package devstack

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// binaries are PostgreSQL's programs, all of one version.
type binaries struct {
	dir   string
	major string   // "17"; before PostgreSQL 10 "9.6"
	libs  []string // directories with shared libraries that came along
}

func (b *binaries) path(program string) string { return filepath.Join(b.dir, program) }

// env is the environment that the programs run in. Ours stays out of it: PGDATA,
// PGPORT and their like would change what they do.
func (b *binaries) env() []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	if len(b.libs) > 0 {
		env = append(env, "LD_LIBRARY_PATH="+strings.Join(b.libs, ":"))
	}
	return env
}

// systemBins is where Debian and its kin put each version's programs, none of
// which are in PATH.
const systemBins = "/usr/lib/postgresql/*/bin"

// installing keeps two servers that start together from installing twice.
var installing sync.Mutex

// findBinaries returns PostgreSQL's programs, and installs them if it must.
func findBinaries(ctx context.Context, o Options) (*binaries, error) {
	installing.Lock()
	defer installing.Unlock()
	if b := inPath(ctx); b != nil {
		return b, nil
	}
	if b := newest(ctx, systemBins, nil); b != nil {
		return b, nil
	}
	return install(ctx, o)
}

// inPath looks for initdb and postgres in PATH. What stands there may be a link
// or a wrapper. A link is followed, because initdb looks for its kin beside
// itself; a wrapper that does not lead to both programs is passed over.
func inPath(ctx context.Context) *binaries {
	found, err := exec.LookPath("initdb")
	if err != nil {
		return nil
	}
	dirs := []string{filepath.Dir(found)}
	if real, err := filepath.EvalSymlinks(found); err == nil {
		dirs = append([]string{filepath.Dir(real)}, dirs...)
	}
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir, nil); err == nil {
			return b
		}
	}
	return nil
}

// newest returns the latest version among the directories that match pattern.
func newest(ctx context.Context, pattern string, libs []string) *binaries {
	dirs, _ := filepath.Glob(pattern) // fails only on a malformed pattern
	var all []*binaries
	for _, dir := range dirs {
		if b, err := inspect(ctx, dir, libs); err == nil {
			all = append(all, b)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return slices.MaxFunc(all, func(a, b *binaries) int {
		return cmp.Compare(a.number(), b.number())
	})
}

func (b *binaries) number() float64 {
	n, _ := strconv.ParseFloat(b.major, 64) // digits by the pattern below
	return n
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (9\.\d+|\d+)`)

// inspect checks that a directory's initdb and postgres run and are of one
// version.
func inspect(ctx context.Context, dir string, libs []string) (*binaries, error) {
	b := &binaries{dir: dir, libs: libs}
	for _, program := range []string{"initdb", "postgres"} {
		cmd := exec.CommandContext(ctx, b.path(program), "--version")
		cmd.Env = b.env()
		out, err := run(cmd)
		if err != nil {
			return nil, err
		}
		version := versionPattern.FindStringSubmatch(out)
		if version == nil || b.major != "" && b.major != version[1] {
			return nil, fmt.Errorf("%s says %q", b.path(program), strings.TrimSpace(out))
		}
		b.major = version[1]
	}
	return b, nil
}

// install brings PostgreSQL from the distribution's packages: properly as root,
// else unpacked into the user's cache.
func install(ctx context.Context, o Options) (*binaries, error) {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return nil, errors.New("initdb and postgres are neither in PATH nor in " + systemBins +
			", and there is no apt-get to install them: install PostgreSQL 14 or later, or set " + EnvPostgres)
	}
	if os.Geteuid() == 0 {
		return installAsRoot(ctx, o)
	}
	return installInCache(ctx, o)
}

func installAsRoot(ctx context.Context, o Options) (*binaries, error) {
	o.logf("installing PostgreSQL")
	for _, args := range [][]string{
		{"update", "-q"},
		{"install", "-q", "-y", "--no-install-recommends", "postgresql"},
	} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if _, err := run(cmd); err != nil {
			return nil, fmt.Errorf("install PostgreSQL: %w", err)
		}
	}
	if b := newest(ctx, systemBins, nil); b != nil {
		return b, nil
	}
	return nil, errors.New("PostgreSQL was installed, yet nothing is in " + systemBins)
}

// installInCache unpacks the packages that an installation would bring, without
// installing them: the server, its libraries, and whatever of the libraries'
// own needs this machine lacks.
func installInCache(ctx context.Context, o Options) (*binaries, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	root := filepath.Join(cache, "amanat", "postgresql")
	if b := unpacked(ctx, root); b != nil {
		return b, nil
	}
	o.logf("unpacking PostgreSQL into %s", root)
	if err := unpack(ctx, root); err != nil {
		return nil, fmt.Errorf("unpack PostgreSQL: %w", err)
	}
	if b := unpacked(ctx, root); b != nil {
		return b, nil
	}
	return nil, fmt.Errorf("PostgreSQL was unpacked into %s, yet it does not run from there", root)
}

func unpacked(ctx context.Context, root string) *binaries {
	libs, _ := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-*"))
	more, _ := filepath.Glob(filepath.Join(root, "lib/*-linux-*"))
	return newest(ctx, filepath.Join(root, systemBins), append(libs, more...))
}

// unpack downloads and extracts next to root and renames at the end, so that
// what is there is whole, whoever else is doing the same.
func unpack(ctx context.Context, root string) error {
	if err := os.MkdirAll(filepath.Dir(root), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(root), "unpacking-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	if err := download(ctx, work); err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	debs, _ := filepath.Glob(filepath.Join(work, "*.deb"))
	for _, deb := range debs {
		if _, err := run(exec.CommandContext(ctx, "dpkg", "-x", deb, tree)); err != nil {
			return err
		}
	}
	if err := os.Rename(tree, root); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

var toInstall = regexp.MustCompile(`(?m)^Inst (\S+)`)

// download fetches what `apt-get install postgresql` would install. A lists
// directory of our own spares us both the root that apt-get update wants and
// the question how old the system's lists are.
func download(ctx context.Context, dir string) error {
	apt := func(args ...string) (string, error) {
		args = append([]string{"-q",
			"-o", "Dir::State::Lists=" + filepath.Join(dir, "lists"),
			"-o", "Dir::Cache=" + filepath.Join(dir, "cache"),
			"-o", "Debug::NoLocking=1",
		}, args...)
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Dir = dir // apt-get download writes to where it is
		return run(cmd)
	}
	for _, sub := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	if _, err := apt("update"); err != nil {
		return err
	}
	plan, err := apt("--simulate", "--no-install-recommends", "install", "postgresql")
	if err != nil {
		return err
	}
	names := []string{"download"}
	for _, match := range toInstall.FindAllStringSubmatch(plan, -1) {
		names = append(names, match[1])
	}
	if len(names) == 1 {
		return errors.New("apt-get says that PostgreSQL is installed, yet nothing is in " + systemBins)
	}
	_, err = apt(names...)
	return err
}

// run runs a command and returns what it printed. The error carries the end of
// what it complained about.
func run(cmd *exec.Cmd) (string, error) {
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", cmd, err, tail(complaint.String()+out.String()))
	}
	return out.String(), nil
}

// tail returns the last lines of a text, enough to tell what went wrong.
func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > 8 {
		lines = lines[len(lines)-8:]
	}
	return strings.Join(lines, "\n")
}
