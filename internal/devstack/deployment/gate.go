package deployment

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// gate is what a step asks for, as the command line prints it.
type gate []gateLine

type gateLine struct {
	Name     string `json:"name"`
	OK       bool   `json:"ok"`
	Evidence string `json:"evidence"`
	Waived   string `json:"waived"`
}

// aside is what evidence has beside its main figures.
var aside = regexp.MustCompile(` \([^)]*\)|, 0 diffs|, 0 errors|, over [^;]*|0 open gaps, `)

// gateEvery is the time between two looks at a gate.
const gateEvery = 2 * time.Second

// awaitGate waits until shadow reads have seen enough, and the lag is short: the
// lines that time and traffic bring about.
func (m *Move) awaitGate(ctx context.Context, ask []string) error {
	began := time.Now()
	what := fmt.Sprintf("the gate of %s to open", m.Domain)
	return await.Until(ctx, what, gateEvery, func() (bool, string, error) {
		g, err := m.look(ctx, ask)
		if err != nil {
			return false, "", err
		}
		if g.open() {
			m.Audience.Said("gate", fmt.Sprintf("open after %.0f s: %s", time.Since(began).Seconds(), g.brief()))
			return true, "", nil
		}
		m.Audience.Waits("gate: " + aside.ReplaceAllString(g.held(), ""))
		return false, g.far(), nil
	})
}

// look asks for the gate of a step. What waiting does not mend is an error.
func (m *Move) look(ctx context.Context, ask []string) (gate, error) {
	var report struct {
		Gate gate `json:"gate"`
	}
	err := m.Deployment.JSON(ctx, &report, ask...)
	if !gateHolds(err) || report.Gate.broken() {
		return nil, errors.Join(fmt.Errorf("the gate of %s: %s", m.Domain, report.Gate.held()), err)
	}
	return report.Gate, nil
}

// gateHolds says that a command ended because of the gate, or not at all in
// error.
func gateHolds(err error) bool {
	exit, ok := errors.AsType[*exec.ExitError](err)
	return err == nil || ok && exit.ExitCode() == 3
}

// holds says that the line holds the step, and waiting may help. A rehearsal
// that took too long comes again with the step.
func (l gateLine) holds() bool { return !l.OK && l.Waived == "" && l.Name != "rehearsal" }

func (g gate) open() bool {
	for _, l := range g {
		if l.holds() {
			return false
		}
	}
	return len(g) > 0
}

// broken says that there are differences, which waiting does not mend.
func (g gate) broken() bool {
	for _, l := range g {
		if l.holds() && (l.Name == "verify" || l.Name == "shadow" && !strings.Contains(l.Evidence, " 0 diffs")) {
			return true
		}
	}
	return false
}

// held names the lines that hold the step, with their figures.
func (g gate) held() string {
	var out []string
	for _, l := range g {
		if l.holds() {
			out = append(out, l.Name+": "+l.Evidence)
		}
	}
	return strings.Join(out, "; ")
}

// far is how far a gate is that is not open: the figures of its shadow reads up
// to what is asked for. Those of other lines change back and forth, and when the
// shadow reads are done it takes one look at which all pass.
func (g gate) far() string {
	for _, l := range g {
		if l.Name == "shadow" {
			var matched, asked int64
			_, _ = fmt.Sscanf(l.Evidence, "%d matched of %d asked", &matched, &asked) // else 0: then only the rest counts
			_, unseen, _ := strings.Cut(l.Evidence, "not seen: ")
			return fmt.Sprintf("%d of %d shadow reads; not seen: %s", min(matched, asked), asked, unseen)
		}
	}
	return ""
}

// brief is what an open gate found, in half a line.
func (g gate) brief() string {
	var out []string
	for _, l := range g {
		items := strings.Split(l.Evidence, ", ")
		switch l.Name {
		case "shadow":
			out = append(out, strings.Join(items[:min(2, len(items))], ", "))
		case "gaps":
			out = append(out, items[len(items)-1])
		case "rehearsal":
			before, _, _ := strings.Cut(l.Evidence, " (")
			out = append(out, before)
		}
	}
	return strings.Join(out, "; ")
}
