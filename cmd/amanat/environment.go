package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/amanat-dev/amanat/internal/config"
)

// environmentHelp is a help topic: what can be set, with an example each.
func environmentHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "environment",
		Short:   "What can be set in the environment",
		Long:    describeEnvironment(),
		Example: "  amanat help environment",
	}
}

func describeEnvironment() string {
	var b strings.Builder
	b.WriteString("Amanat is configured by the environment. A variable that is empty counts as not set.\n")
	for _, v := range config.Variables() {
		fmt.Fprintf(&b, "\n%s\n    %s", v.Name, v.About)
		if v.Default != "" {
			fmt.Fprintf(&b, " (default %s)", v.Default)
		}
		fmt.Fprintf(&b, "\n    %s=%s\n", v.Name, v.Example)
	}
	b.WriteString(`
A flag REPO_<DOMAIN> only says what is expected at start; where it disagrees with
the recorded phase, amanat serve does not start and names the command that brings
them together. Without a flag, what is recorded holds.`)
	return b.String()
}
