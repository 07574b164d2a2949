package user

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/amanat-dev/amanat/internal/web"
)

// verifiedMost is how many access tokens are remembered: a few megabytes.
const verifiedMost = 20_000

// verified remembers access tokens that were found valid, by their hash. A
// member calls with the same one for as long as it lives, and to check a
// signature and read its claims costs more than all else that happens before a
// route's own work. What a token says never changes; that it has not ended is
// asked each time.
type verified struct {
	mu     sync.RWMutex
	tokens map[[sha256.Size]byte]verifiedToken
}

type verifiedToken struct {
	who   web.Principal
	until time.Time
}

func hashOf(token string) [sha256.Size]byte { return sha256.Sum256([]byte(token)) }

// find returns who holds a token that is remembered and has not ended.
func (v *verified) find(token [sha256.Size]byte, now time.Time) (web.Principal, bool) {
	v.mu.RLock()
	known, ok := v.tokens[token]
	v.mu.RUnlock()
	return known.who, ok && now.Before(known.until)
}

// remember makes room by forgetting all: to read a token again is cheap.
func (v *verified) remember(token [sha256.Size]byte, who web.Principal, until time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens == nil || len(v.tokens) >= verifiedMost {
		v.tokens = map[[sha256.Size]byte]verifiedToken{}
	}
	v.tokens[token] = verifiedToken{who, until}
}
