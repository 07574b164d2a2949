// Package mongosim is a MongoDB server in memory, for tests: it speaks the real
// wire protocol, and does what MongoDB 7.0 is documented to do where our stores
// rely on it, also where that hurts. It is a means of testing and never of
// serving.
//
// It knows the commands, filters, update operators and options that this
// repository sends, and no others: what it does not know is an error that names
// it, never a guess.
//
// Everything that a server holds is one immutable state (state.go), of trees
// that share what has not changed. A reader holds a snapshot at no cost; a
// transaction is a draft of its own; members of a replica set that have not
// heard of a write yet hold an older state; to roll back is to go back to one.
// All writes take turns.
//
// Where it is stricter or laxer than MongoDB: collections are gone through by
// _id where MongoDB promises no order; an index is built in one go; a document
// that is written is checked before, and nothing of it is written when it fails.
package mongosim

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Options say what kind of server it is. The zero value is a single one without
// delay or fault.
type Options struct {
	// ReplicaSet makes three members, of which one is the primary.
	ReplicaSet bool
	// Seed is what faults are drawn from.
	Seed uint64
	// Latency is how long each answer takes, from none to this, by the seed.
	Latency time.Duration
	// Lag is how long a write takes to get to the other members; until then no
	// majority has it.
	Lag time.Duration
	// CursorTimeout is after how long a cursor that nobody asks is gone; 0 is
	// MongoDB's ten minutes.
	CursorTimeout time.Duration
	// TTLInterval is how often documents whose time is over are removed; 0 is
	// MongoDB's minute.
	TTLInterval time.Duration
}

// setName names the replica set.
const setName = "sim"

// Server is one server, or the members of one replica set.
type Server struct {
	o      Options
	closed chan struct{}
	wg     sync.WaitGroup

	// mu guards all that follows and everything that is written.
	mu      sync.Mutex
	nodes   []*node
	term    int64
	changed chan struct{} // closed when something has; see wait
	down    chan struct{} // closed when the connections of the present life end
	recent  []moment
	faults  []*Fault
	rng     *rand.Rand
	frozen  chan struct{} // closed when it goes on; nil unless it is frozen
	lagging bool          // a round of replication is on its way
	serving sync.WaitGroup
}

// moment is a state and when it came about, for Crash.
type moment struct {
	at    time.Time
	state *state
}

// Start starts a server on ports of this machine.
func Start(o Options) (*Server, error) {
	s := &Server{o: o, closed: make(chan struct{}), changed: make(chan struct{}), term: 1,
		rng: rand.New(rand.NewPCG(o.Seed, 0))}
	members := 1
	if o.ReplicaSet {
		members = 3
	}
	first := emptyState()
	for i := range members {
		s.nodes = append(s.nodes, newNode(s, i, first))
	}
	s.nodes[0].primary = true
	s.nodes[0].term = 1
	if err := s.Restart(); err != nil {
		_ = s.Stop()
		return nil, err
	}
	s.wg.Go(s.removeExpired)
	return s, nil
}

// URI returns the connection string.
func (s *Server) URI() string {
	hosts := make([]string, len(s.nodes))
	for i, n := range s.nodes {
		hosts[i] = n.addr
	}
	uri := "mongodb://" + strings.Join(hosts, ",") + "/"
	if s.o.ReplicaSet {
		uri += "?replicaSet=" + setName
	}
	return uri
}

// Addresses returns those of the members, first the one that began as primary.
func (s *Server) Addresses() []string {
	var all []string
	for _, n := range s.nodes {
		all = append(all, n.addr)
	}
	return all
}

// Stop ends the server and forgets everything.
func (s *Server) Stop() error {
	s.mu.Lock()
	select {
	case <-s.closed:
	default:
		close(s.closed)
	}
	s.hangUp()
	s.mu.Unlock()
	s.serving.Wait()
	s.wg.Wait()
	return nil
}

// Restart has a server that has crashed accept clients again, at the same
// addresses.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = make(chan struct{})
	}
	for _, n := range s.nodes {
		if err := n.listen(); err != nil {
			return fmt.Errorf("mongosim: %w", err)
		}
	}
	s.wake()
	return nil
}

// Crash ends all connections and takes none until Restart. A single server
// loses what it has written in the time lose before, as far as nobody was
// promised that it is in the journal; a replica set goes on with what a majority
// has.
func (s *Server) Crash(lose time.Duration) {
	s.mu.Lock()
	primary := s.primary()
	back := primary.committed.Load()
	if !s.o.ReplicaSet {
		back = s.before(time.Now().Add(-lose))
	}
	for _, n := range s.nodes {
		n.adopt(back)
	}
	s.hangUp()
	s.wake()
	s.mu.Unlock()
	s.serving.Wait()
	s.Thaw()
}

// before returns the state that is in the journal at t.
func (s *Server) before(t time.Time) *state {
	n := s.nodes[0]
	back := n.durable
	for _, m := range s.recent {
		if !m.at.After(t) && m.state.seq > back.seq {
			back = m.state
		}
	}
	if last := n.last.Load(); len(s.recent) == 0 || !s.recent[len(s.recent)-1].at.After(t) {
		return last
	}
	return back
}

// hangUp ends connections and listening.
func (s *Server) hangUp() {
	if s.down != nil {
		close(s.down)
		s.down = nil
	}
	for _, n := range s.nodes {
		if n.listener != nil {
			_ = n.listener.Close()
			n.listener = nil
		}
		n.dropConns()
	}
}

// wait returns a channel that is closed when something changes. The lock is
// held.
func (s *Server) wait() <-chan struct{} { return s.changed }

// wake tells all that wait. The lock is held.
func (s *Server) wake() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// primary returns the member that was elected last.
func (s *Server) primary() *node {
	best := s.nodes[0]
	for _, n := range s.nodes {
		if n.primary && (!best.primary || n.term > best.term) {
			best = n
		}
	}
	return best
}

// node is one member.
type node struct {
	server *Server
	i      int
	addr   string

	last      atomicState // what it has
	committed atomicState // what a majority has, as far as it knows

	// Guarded by the server's lock:
	durable  *state // what is in the journal for sure
	primary  bool   // it takes itself for the primary
	term     int64  // of its election
	version  int64  // of what it says of itself, for waiting hellos
	cut      bool   // the others do not hear of it, nor it of them
	quiet    bool   // it says nothing of its election yet
	open     map[string]*transaction
	claims   map[string]*transaction
	cursors  map[int64]*cursor
	pinned   map[bson.Timestamp]*state
	listener net.Listener
	conns    map[net.Conn]bool
}

func newNode(s *Server, i int, first *state) *node {
	n := &node{server: s, i: i, durable: first, version: 1, open: map[string]*transaction{}, claims: map[string]*transaction{},
		cursors: map[int64]*cursor{}, pinned: map[bson.Timestamp]*state{}, conns: map[net.Conn]bool{}}
	n.last.Store(first)
	n.committed.Store(first)
	return n
}

// adopt has a member hold a state, whatever it held before: its transactions
// and cursors are gone.
func (n *node) adopt(st *state) {
	n.last.Store(st)
	n.committed.Store(st)
	n.durable = st
	for _, t := range n.open {
		n.end(t)
	}
	n.cursors = map[int64]*cursor{}
	n.pinned = map[bson.Timestamp]*state{}
}

func (n *node) listen() error {
	if n.listener != nil {
		return nil
	}
	address := n.addr
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	if n.addr == "" {
		n.addr = l.Addr().String()
	}
	n.listener = l
	n.server.serving.Go(func() { n.accept(l) })
	return nil
}

func (n *node) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return // the listener was closed
		}
		n.server.mu.Lock()
		live := n.listener == l
		if live {
			n.conns[c] = true
			down := n.server.down
			n.server.serving.Go(func() { n.serve(c, down) })
		}
		n.server.mu.Unlock()
		if !live {
			_ = c.Close()
		}
	}
}

func (n *node) dropConns() {
	for c := range n.conns {
		_ = c.Close()
	}
	n.conns = map[net.Conn]bool{}
}

func (n *node) forget(c net.Conn) {
	_ = c.Close()
	n.server.mu.Lock()
	defer n.server.mu.Unlock()
	delete(n.conns, c)
}
