package await

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWhatGetsOnIsWaitedForHoweverLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		err := Until(t.Context(), "a thousand", Hang-time.Second, func() (bool, string, error) {
			n++
			return n == 1000, fmt.Sprint(n), nil
		})
		if err != nil || n != 1000 {
			t.Errorf("want it done, got %v at %d", err, n)
		}
	})
}

func TestAHangEndsTheWaitAndSaysWhereItStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := Until(t.Context(), "rain", time.Second, func() (bool, string, error) { return false, "two clouds", nil })
		if err == nil || !strings.Contains(err.Error(), "rain") || !strings.Contains(err.Error(), "two clouds") {
			t.Errorf("want an error that says what was waited for and where it stands, got %v", err)
		}
		if took := time.Since(began); took < Hang || took > Hang+5*time.Second {
			t.Errorf("want it to end after %s, got %s", Hang, took)
		}
	})
}

func TestAnErrorEndsTheWait(t *testing.T) {
	broken := errors.New("broken")
	if err := Until(t.Context(), "rain", time.Hour, func() (bool, string, error) { return false, "", broken }); !errors.Is(err, broken) {
		t.Errorf("want the error of the look, got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Until(ctx, "rain", time.Hour, func() (bool, string, error) { return false, "", nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("want canceled, got %v", err)
	}
}
