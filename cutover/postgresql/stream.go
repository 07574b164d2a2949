package postgresql

import (
	"context"

	"github.com/amanat-dev/amanat/cutover"
)

// Ranges is true: the primary key serves them.
func (s *store) Ranges(context.Context) (bool, error) { return true, nil }

// Stream reads page by page, see cutover.Streamer: the primary key finds where
// the last one ended, and no transaction stays open.
func (s *store) Stream(ctx context.Context, kind string, after, until cutover.ID, page func() int, do func([]cutover.Item) error) error {
	for {
		limit := page()
		items, err := s.Scan(ctx, kind, after, until, limit)
		if err != nil || len(items) == 0 {
			return err
		}
		after = items[len(items)-1].Key.ID
		if err := do(items); err != nil || len(items) < limit {
			return err
		}
	}
}
