package fault_test

import (
	"errors"
	"fmt"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// A fault's kind says what the caller can do; its cause is for logs and errors.Is.
func Example() {
	away := errors.New("dial tcp: connection refused")
	err := fmt.Errorf("orders: %w", fault.Wrap(away, fault.Unavailable, "the database is away"))
	var f *fault.Error
	fmt.Println(fault.KindOf(err), errors.As(err, &f) && f.Message == "the database is away", errors.Is(err, away))
	// Output: unavailable true true
}
