package main

import "testing"

// TestArgumentsThatAreNoTextAreNoFailureOfADatabase: a shell passes any bytes.
func TestArgumentsThatAreNoTextAreNoFailureOfADatabase(t *testing.T) {
	t.Parallel()
	d := both(t)
	for _, c := range []struct {
		status int
		line   []string
	}{
		{exitFailure, []string{"cutover", "start", "user", "--execute", "--why", "caf\xe9", "--who", "\xff"}}, // nobody serves
		{exitFailure, []string{"cutover", "set", "us\xffer", "--shadow", "50"}},
		{exitOK, []string{"gaps", "waive", "user", "user", "old\xff", "--why", "caf\xe9"}}, // there is none
		{exitFailure, []string{"gaps", "list", "\xff"}},
		{exitFailure, []string{"user", "create", "\xff@example.org"}},
		{exitFailure, []string{"user", "create", "a@example.org", "--first-name", "\xff"}},
	} {
		status, out, stderr := d.run(t, c.line...)
		if status != c.status || driverText.MatchString(out+stderr) {
			t.Errorf("%q: exit status %d, want %d\n%s%s", c.line, status, c.status, out, stderr)
		}
	}
}
