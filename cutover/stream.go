package cutover

import (
	"context"
	"slices"
)

// Streamer is a Store that reads many records faster as one stream than page by
// page with Scan: because it asks once, and because what it reads may be decoded
// while what it read before is worked on.
type Streamer interface {
	// Stream reads records of a kind as Scan does, and calls do with one page
	// after the other, none of them empty, until do fails. page says before each
	// how many records it shall have at most. A stream of the whole kind, where
	// after and until are zero, has as well what Foreign lists, as far as it
	// comes, among or between the others: items with a RawID.
	//
	// What it returns was committed when it was read, which may be some pages ago.
	Stream(ctx context.Context, kind string, after, until ID, page func() int, do func([]Item) error) error
	// Ranges says that reading a part of a kind costs no more than that part.
	// Where it does not, a kind is best read as a whole.
	Ranges(ctx context.Context) (bool, error)
}

// ahead is how many pages of a stream are read before somebody wants them.
const ahead = 2

// reader reads records of one kind page by page: of a Streamer ahead of whoever
// wants them, of other stores when they are wanted. Close it at the end.
type reader struct {
	next    func() ([]Item, error) // no items: at the end
	close   func()
	end     bool // nothing comes any more; a stream does not know
	foreign bool // it also gives what Foreign lists
}

// read begins to read a range of a kind. page says how many records a page shall
// have at most; it is called from another goroutine.
func read(ctx context.Context, store Store, kind string, after, until ID, page func() int) *reader {
	if s, ok := store.(Streamer); ok {
		return stream(ctx, s, kind, after, until, page)
	}
	r := &reader{close: func() {}}
	r.next = func() ([]Item, error) {
		if r.end {
			return nil, nil
		}
		limit := page()
		items, err := store.Scan(ctx, kind, after, until, limit)
		if r.end = len(items) < limit; !r.end {
			after = items[len(items)-1].Key.ID
		}
		return items, err
	}
	return r
}

// apart tells the items of a stream apart from those whose identity is no ID.
func apart(items []Item) (with, foreign []Item) {
	with = items
	for i, item := range items {
		switch {
		case item.RawID != "" && foreign == nil:
			with, foreign = slices.Clone(items[:i]), []Item{item}
		case item.RawID != "":
			foreign = append(foreign, item)
		case foreign != nil:
			with = append(with, item)
		}
	}
	return with, foreign
}

func stream(ctx context.Context, s Streamer, kind string, after, until ID, page func() int) *reader {
	ctx, cancel := context.WithCancel(ctx)
	pages, end := make(chan []Item, ahead-1), make(chan error, 1)
	go func() {
		defer close(pages)
		end <- s.Stream(ctx, kind, after, until, page, func(items []Item) error {
			select {
			case pages <- items:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return &reader{
		foreign: after.IsZero() && until.IsZero(),
		next: func() ([]Item, error) {
			if items, ok := <-pages; ok {
				return items, nil
			}
			err := <-end
			end <- err // for whoever asks again
			return nil, err
		},
		close: func() {
			cancel()
			for range pages { // until it has noticed
			}
		},
	}
}
