// Package traffic plays the members of a marketplace over HTTP: they register,
// sign in, post requests, make and select offers, pay, deliver, confirm; an
// admin releases and refunds; a stand-in for the payment scanner sends its
// signed callbacks. It keeps account of every write that a server has
// acknowledged, so that a check can tell afterwards whether any was lost.
package traffic

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// Options say who acts, where, and how fast.
type Options struct {
	Servers []string // base URLs, used in turn
	Mailbox string   // folder where the servers leave mail as .eml files
	Scanner *Scanner // receives the watches of payments
	Seed    uint64   // the same seed makes the same members do the same things
	Rate    float64  // requests per second at most, all members together; 20 when zero. They follow what the servers serve
	Abreast int      // requests under way at the same time at most; 4 when zero
	Deals   int      // deals under way at the same time; 8 when zero

	Admin   Credentials   // releases and refunds
	Sellers []Credentials // members with a verified wallet, so that they can be paid
	Buyers  []Credentials // likewise, so that they can be refunded

	// Note is told about each answer that nobody expected. May be nil.
	Note func(format string, args ...any)
}

// Credentials are what a member signs in with.
type Credentials struct{ Email, Password string }

// readers is how many look around at the same time.
const readers = 2

// Traffic is members acting. Make it with New.
type Traffic struct {
	o       Options
	client  *client
	mail    *mailbox
	account *Account

	admin   *member
	sellers []*member
	buyers  []*member // by dealer, who alone touches it; nil: not signed in yet

	mu     sync.Mutex
	runs   uint64         // how often Run was called: each has other deals
	stages map[string]int // how many deals came how far
}

// New signs the given members in, which takes a moment.
func New(ctx context.Context, o Options) (*Traffic, error) {
	if len(o.Servers) == 0 || len(o.Sellers) < 2 || len(o.Buyers) == 0 {
		return nil, errors.New("traffic: needs a server, two sellers and a buyer")
	}
	if o.Rate == 0 {
		o.Rate = 20
	}
	if o.Abreast == 0 {
		o.Abreast = abreast
	}
	if o.Deals == 0 {
		o.Deals = 8
	}
	o.Deals = min(o.Deals, len(o.Buyers)) // each dealer has a buyer of its own
	if o.Note == nil {
		o.Note = func(string, ...any) {}
	}
	t := &Traffic{o: o, client: newClient(o), mail: newMailbox(o.Mailbox), account: newAccount(), stages: map[string]int{}, buyers: make([]*member, o.Deals)}
	return t, t.signInCast(ctx)
}

// signInCast signs in those whom all deals share.
func (t *Traffic) signInCast(ctx context.Context) error {
	var err error
	if t.admin, err = t.signIn(ctx, t.o.Admin); err != nil {
		return fmt.Errorf("traffic: the admin: %w", err)
	}
	for _, c := range t.o.Sellers {
		m, err := t.signIn(ctx, c)
		if err != nil {
			return fmt.Errorf("traffic: seller %s: %w", c.Email, err)
		}
		t.sellers = append(t.sellers, m)
	}
	return nil
}

// Run lets members act until ctx ends; requests under way are finished, never
// cut off, so that their outcome is known. It may be run again.
func (t *Traffic) Run(ctx context.Context) {
	var wg sync.WaitGroup
	run := t.begin()
	for i := range t.o.Deals {
		wg.Go(func() { t.dealer(ctx, run, i) })
	}
	for i := range readers {
		wg.Go(func() { t.reader(ctx, i) })
	}
	wg.Wait()
}

// begin returns the number of a run, from 0.
func (t *Traffic) begin() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.runs++
	return t.runs - 1
}

// dealer carries one deal after the other through.
func (t *Traffic) dealer(ctx context.Context, run uint64, i int) {
	random := rand.New(rand.NewPCG(t.o.Seed, run<<16+uint64(i)))
	for n := 0; ctx.Err() == nil; n++ {
		d := &deal{t: t, random: random, dealer: i, sellers: t.sellers, name: fmt.Sprintf("%d-%d-%x", i, n, random.Uint32())}
		err := d.play(ctx)
		t.closed(d, err)
		if err != nil && ctx.Err() == nil {
			pause(ctx, 200*time.Millisecond)
		}
	}
}

// closed counts how far a deal came, and tells why it came no farther.
func (t *Traffic) closed(d *deal, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stages[d.stage]++
	if err != nil && !errors.Is(err, errStopping) {
		t.o.Note("deal %s ended at %q: %v", d.name, d.stage, err)
	}
}

// Stages says how many deals ended where.
func (t *Traffic) Stages() map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make(map[string]int, len(t.stages))
	for k, v := range t.stages {
		out[k] = v
	}
	return out
}

// Counts says what was sent and how it went.
func (t *Traffic) Counts() Counts { return t.client.counts.snapshot() }

// Account returns what must be in the databases.
func (t *Traffic) Account() *Account { return t.account }

// Rate says how many requests per second members may send at present.
func (t *Traffic) Rate() float64 { return t.client.pace.Rate() }

// until waits for what the servers bring about by themselves.
func until(ctx context.Context, what string, holds func() (bool, error)) error {
	err := await.Until(ctx, what, 100*time.Millisecond, func() (bool, string, error) {
		done, err := holds()
		return done, "", err
	})
	if err != nil && ctx.Err() != nil {
		return errStopping
	}
	return err
}

// pause waits, or less when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
