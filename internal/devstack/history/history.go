// Package history records what clients ask of contended records through
// several servers, and what they were answered, and judges whether each record
// is linearizable: whether its operations can be put in one order that agrees
// with every answer and with the time at which each was given. A lost update, a
// stale read or a write that comes back from a database that is no longer
// primary leaves no such order.
package history

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// History is what was asked and answered, of any number of records. The zero
// value is empty.
type History struct {
	mu      sync.Mutex
	began   time.Time
	clients int
	records map[string][]porcupine.Operation // by kind/id
}

// open is the time of the answer that has not come, and may take effect at any
// moment. A client that waits for one asks nothing else.
const open = -1

// client returns the number of one more client.
func (h *History) client() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clients++
	return h.clients - 1
}

// now is the time since the first time that anybody asked for it.
func (h *History) now() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.began.IsZero() {
		h.began = time.Now()
	}
	return int64(time.Since(h.began))
}

// add records one operation. One whose outcome is not known ends with open.
func (h *History) add(client int, record string, in Input, out Output, call, end int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.records == nil {
		h.records = map[string][]porcupine.Operation{}
	}
	h.records[record] = append(h.records[record],
		porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: end})
}

// Count counts the operations of each action on records of a kind, and as
// "unknown" those among them whose outcome is not known.
func (h *History) Count(kind string) map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := map[string]int{}
	for name, ops := range h.records {
		if !strings.HasPrefix(name, kind+"/") {
			continue
		}
		for _, o := range ops {
			counts[string(o.Input.(Input).Action)]++
			if !o.Output.(Output).Known {
				counts["unknown"]++
			}
		}
	}
	return counts
}

// checkTime is when judging one record counts as hopeless: there are histories
// for which it takes longer than anybody lives.
const checkTime = await.Hang

// Check returns an error that names each record whose operations no order
// explains, with a page in dir that shows them. A record that takes too long to
// judge is an error too.
func (h *History) Check(dir string) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(h.records)) {
		errs = append(errs, check(name, h.records[name], dir))
	}
	return errors.Join(errs...)
}

func check(name string, ops []porcupine.Operation, dir string) error {
	result, info := porcupine.CheckOperationsVerbose(model, closed(ops), checkTime)
	switch result {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("%s: not judged within %s: %d operations", name, checkTime, len(ops))
	}
	page := filepath.Join(dir, strings.NewReplacer("/", "-", " ", "-").Replace(name)+".html")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("%s is not linearizable: %w", name, err)
	}
	if err := porcupine.VisualizePath(model, info, page); err != nil {
		return fmt.Errorf("%s is not linearizable: %w", name, err)
	}
	return fmt.Errorf("%s is not linearizable: no order explains its %d operations, see %s", name, len(ops), page)
}

// closed returns the operations with those that are open ending after all others.
func closed(ops []porcupine.Operation) []porcupine.Operation {
	var last int64
	for _, o := range ops {
		last = max(last, o.Call, o.Return)
	}
	ops = slices.Clone(ops)
	for i := range ops {
		if ops[i].Return == open {
			ops[i].Return = last + 1
		}
	}
	return ops
}
