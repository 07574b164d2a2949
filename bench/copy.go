package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// backfillCopyShare compares a backfill from memory with a plain COPY of the same
// rows, from memory as well, into a table that is alike and empty.
func backfillCopyShare(ctx context.Context, e *env) (out samples, err error) {
	count := e.size(100_000)
	for range e.times(3) {
		err := e.within(ctx, func(e *env) error {
			url, err := e.migrated(ctx)
			if err != nil {
				return err
			}
			backfill, err := e.backfillFromMemory(ctx, url, count)
			if err != nil {
				return err
			}
			plain, err := copyPlainly(ctx, url, count)
			if err != nil {
				return err
			}
			e.say("backfill %.0f rows/s, plain COPY %.0f/s", float64(count)/backfill.Seconds(), float64(count)/plain.Seconds())
			out = append(out, plain.Seconds()/backfill.Seconds())
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// copyPlainly copies the payments that are there into another table, and returns
// how long the copying itself took.
func copyPlainly(ctx context.Context, url string, count int) (time.Duration, error) {
	conn, err := writer(ctx, url)
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "CREATE TABLE plain (LIKE payments INCLUDING ALL)"); err != nil {
		return 0, err
	}
	rows, err := conn.Query(ctx, "SELECT * FROM payments ORDER BY id")
	if err != nil {
		return 0, err
	}
	var columns []string
	for _, f := range rows.FieldDescriptions() {
		columns = append(columns, f.Name)
	}
	values, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]any, error) { return r.Values() })
	if err != nil {
		return 0, err
	}
	began := time.Now()
	n, err := conn.CopyFrom(ctx, pgx.Identifier{"plain"}, columns, pgx.CopyFromRows(values))
	if err == nil && n != int64(count) {
		err = fmt.Errorf("%d rows were copied, want %d", n, count)
	}
	return time.Since(began), err
}

// A process of its own whose peak memory is of interest: this program, started
// once more with these in its environment.
const (
	envChildCount = "BENCH_BACKFILL_COUNT"
	envChildURL   = "BENCH_BACKFILL_URL"
)

// backfillGrowth compares the peak memory of a process that backfills a million
// records with that of one that backfills a tenth of them.
func backfillGrowth(ctx context.Context, e *env) (out samples, err error) {
	for range e.times(3) {
		few, err := e.peakMemory(ctx, e.size(100_000))
		if err != nil {
			return nil, err
		}
		many, err := e.peakMemory(ctx, e.size(1_000_000))
		if err != nil {
			return nil, err
		}
		e.say("peak memory %.1f MiB, of a tenth of the records %.1f MiB", many/1024, few/1024)
		out = append(out, many/few)
	}
	return out, nil
}

// peakMemory returns the most memory, in KiB, that a process had which backfilled
// so many records from memory.
func (e *env) peakMemory(ctx context.Context, count int) (peak float64, err error) {
	err = e.within(ctx, func(e *env) error {
		url, err := e.migrated(ctx)
		if err == nil {
			peak, err = peakOfChild(ctx, url, count)
		}
		return err
	})
	return peak, err
}

func peakOfChild(ctx context.Context, url string, count int) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	child := exec.CommandContext(ctx, self)
	child.Env = append(os.Environ(), envChildCount+"="+strconv.Itoa(count), envChildURL+"="+url)
	child.Stderr = os.Stderr
	out, err := child.Output()
	if err != nil {
		return 0, fmt.Errorf("backfill of %d records: %w", count, err)
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// isChild says that this process is one that peakMemory started.
func isChild() bool { return os.Getenv(envChildCount) != "" }

// runChild backfills and prints the most memory that this process has had.
func runChild(ctx context.Context, out io.Writer) (err error) {
	count, err := strconv.Atoi(os.Getenv(envChildCount))
	if err != nil {
		return err
	}
	e := &env{}
	defer func() { err = errors.Join(err, e.close()) }()
	if _, err := e.backfillFromMemory(ctx, os.Getenv(envChildURL), count); err != nil {
		return err
	}
	peak, err := peakKiB()
	if err == nil {
		_, err = fmt.Fprintln(out, peak)
	}
	return err
}

// peakKiB is this process's peak memory as Linux counts it.
func peakKiB() (string, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) > 1 && fields[0] == "VmHWM:" {
			return fields[1], nil
		}
	}
	return "", errors.New("/proc/self/status does not say VmHWM")
}
