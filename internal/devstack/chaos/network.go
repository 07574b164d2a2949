package chaos

import (
	"maps"
	"net/url"
	"sync"

	"github.com/amanat-dev/amanat/internal/devstack/link"
)

// lines are the links by which one process reaches both databases.
type lines struct{ mongo, postgres *link.Link }

func (l lines) all() []*link.Link { return []*link.Link{l.mongo, l.postgres} }

// network has lines for each process, by its place in the deployment.
type network struct {
	mongo, postgres string // host:port

	mu    sync.Mutex // guards what follows
	lines map[int]lines
	dead  []lines // of processes that vanished: silent until the round is over
}

func newNetwork(mongoURI, pgURL string, processes ...int) (*network, error) {
	m, err := url.Parse(mongoURI)
	if err != nil {
		return nil, err
	}
	p, err := url.Parse(pgURL)
	if err != nil {
		return nil, err
	}
	n := &network{mongo: m.Host, postgres: p.Host, lines: map[int]lines{}}
	for _, process := range processes {
		if n.lines[process], err = n.connect(); err != nil {
			n.close()
			return nil, err
		}
	}
	return n, nil
}

func (n *network) connect() (l lines, err error) {
	if l.mongo, err = link.To(n.mongo); err != nil {
		return l, err
	}
	if l.postgres, err = link.To(n.postgres); err != nil {
		l.mongo.Close()
	}
	return l, err
}

// of returns the lines of a process.
func (n *network) of(process int) lines {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.lines[process]
}

// all returns those of every process.
func (n *network) all() map[int]lines {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.lines)
}

// through returns the address of a database as a process has it.
func through(address string, l *link.Link) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // it was parsed before
	}
	u.Host = l.Address()
	return u.String()
}

// lose makes a process vanish as far as the databases can tell, and returns its
// successor lines of its own. The process itself is the caller's to end.
func (n *network) lose(process int) error {
	gone := n.of(process)
	for _, l := range gone.all() {
		if err := l.Silence(); err != nil {
			return err
		}
	}
	fresh, err := n.connect()
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dead = append(n.dead, gone)
	n.lines[process] = fresh
	return nil
}

// bury closes what vanished processes have left.
func (n *network) bury() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.dead {
		l.mongo.Close()
		l.postgres.Close()
	}
	n.dead = nil
}

func (n *network) close() {
	n.bury()
	for _, l := range n.all() {
		l.mongo.Close()
		l.postgres.Close()
	}
}
