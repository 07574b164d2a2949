package pace

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"
)

// served has one after the other sent to a server whose answers take so long,
// and returns how many there are in a minute of the test's clock.
func served(t *testing.T, p *Pace, takes time.Duration) int {
	t.Helper()
	n := 0
	for began := time.Now(); time.Since(began) < time.Minute; n++ {
		end, err := p.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			time.Sleep(takes)
			end()
		}()
	}
	time.Sleep(takes)
	synctest.Wait()
	return n
}

func TestThePaceFollowsHowLongAnswersTake(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		rate  float64 // that comes of it
	}{
		{"a fast server is asked at the ceiling", 10 * time.Millisecond, 20},
		{"a slower one so that half a request is under way", 100 * time.Millisecond, 5},
		{"a very slow one at the floor", 2 * time.Second, floor},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if n := served(t, New(Options{20, 0.5, 100}), c.takes); math.Abs(float64(n)/60-c.rate) > 0.1*c.rate {
					t.Errorf("want about %v requests per second, got %v", c.rate, float64(n)/60)
				}
			})
		})
	}
}

func TestThePaceRisesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{20, 0.5, 100})
		served(t, p, 30*time.Second) // a server that hangs
		served(t, p, 10*time.Millisecond)
		if p.Rate() < 19 {
			t.Errorf("want the ceiling within a minute, got %v per second", p.Rate())
		}
	})
}

func TestWhoStopsSendsNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		if _, err := New(Options{1000, 1, 1}).Begin(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("want canceled, got %v", err)
		}
	}
}

func TestNoMoreAreUnderWayThanMayBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := New(Options{20, 0.5, 2})
		var ends []func()
		for range 2 {
			end, err := p.Begin(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, end)
		}
		third := make(chan error, 1)
		go func() {
			_, err := p.Begin(t.Context())
			third <- err
		}()
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(third) > 0 {
			t.Fatal("want the third to wait for an answer to one of the two before")
		}
		ends[0]()
		if err := <-third; err != nil {
			t.Error(err)
		}
	})
}
