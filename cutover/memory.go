package cutover

import (
	"context"
	"sort"
)

// memoryStore is a store in memory with what a comparison asks of one, and no more:
// the healthy twin of a scratch database. For everything else its embedded
// Store, which is nil, stands.
type memoryStore struct {
	Store
	items map[Key]Item
}

func newMemoryStore() *memoryStore { return &memoryStore{items: map[Key]Item{}} }

func (s *memoryStore) Name() string { return "memory" }

func (s *memoryStore) Get(_ context.Context, keys []Key) ([]Item, error) {
	out := make([]Item, len(keys))
	for i, k := range keys {
		out[i] = s.items[k]
		out[i].Key = k
	}
	return out, nil
}

func (s *memoryStore) Scan(_ context.Context, kind string, after, until ID, limit int) ([]Item, error) {
	var out []Item
	for k, item := range s.items {
		if k.Kind == kind && string(k.ID[:]) > string(after[:]) && (until.IsZero() || string(k.ID[:]) <= string(until[:])) {
			out = append(out, item)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Key.less(out[j].Key) })
	return out[:min(limit, len(out))], nil
}

func (s *memoryStore) Foreign(context.Context, string, int) ([]Item, error) { return nil, nil }

// Apply puts items in as they are.
func (s *memoryStore) Apply(_ context.Context, items []Item, _ ApplyOptions) ([]error, error) {
	for _, i := range items {
		if i.Deleted {
			delete(s.items, i.Key)
			continue
		}
		s.items[i.Key] = i
	}
	return make([]error, len(items)), nil
}
