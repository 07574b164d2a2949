package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/amanat-dev/amanat/cutover"
)

const flagPrefix = "REPO_"

// Flag says what an operator expects of a domain at start: "mongo", "dual",
// "pg", or "" for whatever is recorded. It never moves anything.
type Flag string

// The flags.
const (
	FlagAny   Flag = ""
	FlagMongo Flag = "mongo"
	FlagDual  Flag = "dual"
	FlagPG    Flag = "pg"
)

// UnmarshalText takes "postgres" for "pg" as well.
func (f *Flag) UnmarshalText(b []byte) error {
	switch v := Flag(strings.ToLower(string(b))); v {
	case FlagMongo, FlagDual, FlagPG:
		*f = v
	case "postgres":
		*f = FlagPG
	default:
		return badValue(fmt.Sprintf("%q is not mongo, dual or pg", clip(string(b))))
	}
	return nil
}

// flagOf is the flag that expects a phase: both mirror and target have
// PostgreSQL as the primary.
var flagOf = map[cutover.Phase]Flag{
	cutover.PhaseSource: FlagMongo, cutover.PhaseDual: FlagDual, cutover.PhaseMirror: FlagPG, cutover.PhaseTarget: FlagPG,
}

// FlagFor returns the flag that expects a phase.
func FlagFor(phase cutover.Phase) Flag { return flagOf[phase] }

// Allows says whether a recorded phase is what the flag expects.
func (f Flag) Allows(phase cutover.Phase) bool { return f == FlagAny || f == flagOf[phase] }

// Flags are the flags of the domains.
type Flags struct {
	Default      Flag `env:"DEFAULT" example:"mongo" about:"where the domains without a flag of their own are expected to be: mongo, dual or pg"`
	User         Flag `env:"USER" example:"mongo" about:"where the domain user is expected to be: mongo, dual or pg"`
	Marketplace  Flag `env:"MARKETPLACE" example:"mongo" about:"where the domain marketplace is expected to be: mongo, dual or pg"`
	Payment      Flag `env:"PAYMENT" example:"mongo" about:"where the domain payment is expected to be: mongo, dual or pg"`
	Points       Flag `env:"POINTS" example:"mongo" about:"where the domain points is expected to be: mongo, dual or pg"`
	Dispute      Flag `env:"DISPUTE" example:"mongo" about:"where the domain dispute is expected to be: mongo, dual or pg"`
	Content      Flag `env:"CONTENT" example:"mongo" about:"where the domain content is expected to be: mongo, dual or pg"`
	Chat         Flag `env:"CHAT" example:"mongo" about:"where the domain chat is expected to be: mongo, dual or pg"`
	Notification Flag `env:"NOTIFICATION" example:"mongo" about:"where the domain notification is expected to be: mongo, dual or pg"`
	Config       Flag `env:"CONFIG" example:"mongo" about:"where the domain config is expected to be: mongo, dual or pg"`
	Telegram     Flag `env:"TELEGRAM" example:"mongo" about:"where the domain telegram is expected to be: mongo, dual or pg"`
}

// Of returns the flag that holds for a domain and the variable that says so: the
// domain's own, or the default's.
func (f Flags) Of(domain string) (flag Flag, variable string) {
	variable = flagPrefix + strings.ToUpper(domain)
	if own := f.all()[variable]; own != FlagAny {
		return own, variable
	}
	if f.Default != FlagAny {
		return f.Default, flagPrefix + "DEFAULT"
	}
	return FlagAny, variable
}

// all returns each variable's flag.
func (f Flags) all() map[string]Flag {
	out := map[string]Flag{}
	for field, v := range reflect.ValueOf(f).Fields() {
		out[flagPrefix+field.Tag.Get("env")] = v.Interface().(Flag)
	}
	return out
}

// checkFlags wants no flag that the databases at hand cannot serve.
func (c *Config) checkFlags() (m Mistakes) {
	flags := c.Repo.all()
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		switch flag := flags[name]; {
		case flag == FlagAny:
		case c.MongoURI.IsSet() && !c.PGURL.IsSet() && flag != FlagMongo:
			m = append(m, Mistake{name, fmt.Sprintf("is %s, which needs PostgreSQL", flag),
				"set PG_URL=postgres://amanat@127.0.0.1:5432/amanat, or " + name + "=mongo"})
		case c.PGURL.IsSet() && !c.MongoURI.IsSet() && flag != FlagPG:
			m = append(m, Mistake{name, fmt.Sprintf("is %s, which needs MongoDB", flag),
				"set MONGODB_URI=mongodb://127.0.0.1:27017, or " + name + "=pg"})
		}
	}
	return m
}

// unknownFlags finds flags of domains that there are not: a misspelt flag would
// be silently without effect.
func unknownFlags(vars map[string]string) (m Mistakes) {
	known := Flags{}.all()
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if _, ok := known[name]; !ok && strings.HasPrefix(name, flagPrefix) {
			m = append(m, Mistake{name, "there is no such flag",
				"unset it; there are " + strings.Join(slices.Sorted(maps.Keys(known)), ", ")})
		}
	}
	return m
}
