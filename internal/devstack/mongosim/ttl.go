package mongosim

import (
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// defaultTTLInterval is MongoDB's.
const defaultTTLInterval = time.Minute

// removeExpired removes documents whose time is over, and ends transactions that
// are open for too long, until the server stops.
// https://www.mongodb.com/docs/v7.0/core/index-ttl/
func (s *Server) removeExpired() {
	every := s.o.TTLInterval
	if every == 0 {
		every = defaultTTLInterval
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-s.closed:
			return
		case <-tick.C:
			s.mu.Lock()
			s.endOld()
			s.primary().removeExpired(time.Now())
			s.mu.Unlock()
		}
	}
}

// removeExpired removes what is expired on a member. What a transaction has
// claimed it leaves for later. The lock is held.
func (n *node) removeExpired(now time.Time) {
	d := n.last.Load().draft(n)
	for _, ns := range d.colls.Keys() {
		for _, x := range d.collection(ns).indexes {
			for id := range x.expired(d.collection(ns), now) {
				_ = d.set(ns, id, nil, false) // claimed: later
			}
		}
	}
	if len(d.changes) > 0 {
		n.publish(d)
	}
}

// expired returns the ids of documents whose time is over: by the earliest date
// of a list. What is no date never expires.
func (x *index) expired(c *collection, now time.Time) map[string]bool {
	if x.ttl < 0 {
		return nil
	}
	out := map[string]bool{}
	date := string([]byte{rankDate})
	end := keyOf(raw(bson.NewDateTimeFromTime(now.Add(-time.Duration(x.ttl)*time.Second)))) + "\xff"
	part := span{date, end}
	if x.fields[0].desc {
		part = span{string(appendDirected(nil, strings.TrimSuffix(end, "\xff"), true)), string(appendDirected(nil, date, true)) + "\xff"}
	}
	walkTree(x.entries, part, false, "", func(_, id string) bool {
		out[id] = true
		return true
	})
	return out
}
