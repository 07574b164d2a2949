// Package await waits for what comes about by itself, however long a slow
// machine takes for it. What ends a wait in vain is a hang: that nothing gets on
// any more.
package await

import (
	"context"
	"fmt"
	"time"
)

// Hang is how long nothing may get on. It is no measure of speed: it is ample on
// any machine that works at all.
const Hang = 5 * time.Minute

// Until looks every so often until done. The look also says how far things are,
// in a text that changes whenever they have got on; an error ends the wait. It
// fails when that text has stayed the same for Hang.
func Until(ctx context.Context, what string, every time.Duration, look func() (done bool, far string, err error)) error {
	moved, last := time.Now(), ""
	for {
		done, far, err := look()
		if done || err != nil {
			return err
		}
		if far != last {
			moved, last = time.Now(), far
		}
		if time.Since(moved) > Hang {
			return fmt.Errorf("waited in vain for %s: nothing has got on for %s%s", what, Hang, standing(far))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w%s", what, ctx.Err(), standing(far))
		case <-time.After(every):
		}
	}
}

func standing(far string) string {
	if far == "" {
		return ""
	}
	return "; it stands at " + far
}
