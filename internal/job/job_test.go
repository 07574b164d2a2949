package job_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/internal/job"
)

func TestAJobIsDoneAgainAlsoAfterItFailed(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	runs := 0
	job.Job{Name: "sweep", Every: time.Millisecond, Do: func(context.Context) (int, error) {
		if runs++; runs == 1 {
			return 0, errors.New("no broom")
		}
		if runs == 3 {
			stop()
		}
		return 2, nil
	}}.Run(ctx, func() bool { return true }, slog.New(slog.NewTextHandler(&log, nil)))
	if text := log.String(); runs < 3 || !strings.Contains(text, "no broom") || !strings.Contains(text, "job=sweep done=2") {
		t.Errorf("%d runs, and the log says %q", runs, text)
	}
}
