package user

import (
	"context"
	"fmt"
	"runtime"

	"github.com/alexedwards/argon2id"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Cost is how much work a password hash is (argon2id).
type Cost struct {
	MemoryKiB   uint32
	Iterations  uint32
	Parallelism uint8
}

// DefaultCost is the least that OWASP's Password Storage Cheat Sheet advises.
var DefaultCost = Cost{MemoryKiB: 19 * 1024, Iterations: 2, Parallelism: 1}

// passwords hashes no more at a time than there are cores: more would only
// take memory.
type passwords struct {
	params *argon2id.Params
	slots  chan struct{}
	dummy  string // a hash of nothing anybody knows
}

func newPasswords(c Cost) (*passwords, error) {
	if c == (Cost{}) {
		c = DefaultCost
	}
	p := &passwords{
		params: &argon2id.Params{Memory: c.MemoryKiB, Iterations: c.Iterations, Parallelism: c.Parallelism, SaltLength: 16, KeyLength: 32},
		slots:  make(chan struct{}, runtime.GOMAXPROCS(0)),
	}
	var err error
	p.dummy, err = argon2id.CreateHash(newReferralCode()+newReferralCode(), p.params)
	return p, err
}

func (p *passwords) hash(ctx context.Context, password string) (string, error) {
	if err := p.enter(ctx); err != nil {
		return "", err
	}
	defer p.leave()
	return argon2id.CreateHash(password, p.params)
}

// matches says whether it is the password. Without a hash it takes as long and
// says no, so that time does not tell which accounts there are.
func (p *passwords) matches(ctx context.Context, password, hash string) (bool, error) {
	if err := p.enter(ctx); err != nil {
		return false, err
	}
	defer p.leave()
	if hash == "" {
		_, err := argon2id.ComparePasswordAndHash(password, p.dummy)
		return false, err
	}
	ok, err := argon2id.ComparePasswordAndHash(password, hash)
	if err != nil {
		return false, fmt.Errorf("stored password hash: %w", err)
	}
	return ok, nil
}

func (p *passwords) enter(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), fault.Unavailable, "too much to do; try again")
	}
}

func (p *passwords) leave() { <-p.slots }
