// Package config reads the environment once, checks it as a whole, and reports
// every mistake in one go with what to set instead.
package config

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is the environment of one process. A tag example shows a value, a tag
// about says what the variable is for; both are part of every message.
type Config struct {
	Host     string `env:"HOST" envDefault:"0.0.0.0" example:"127.0.0.1" about:"the address on which HTTP is served"`
	Port     Port   `env:"PORT" envDefault:"5001" example:"5001" about:"the port on which HTTP is served"`
	Instance string `env:"INSTANCE" example:"web-1" about:"this process's name in lists; default host name and port"`

	MongoURI DatabaseURL `env:"MONGODB_URI" example:"mongodb://127.0.0.1:27017" about:"the MongoDB server"`
	DBName   string      `env:"DB_NAME" envDefault:"marketplace" example:"marketplace" about:"the MongoDB database's name"`
	PGURL    DatabaseURL `env:"PG_URL" example:"postgres://amanat@127.0.0.1:5432/amanat" about:"the PostgreSQL database"`

	MigrationPGURL DatabaseURL `env:"MIGRATION_PG_URL" example:"postgres://amanat@127.0.0.1:5432/amanat" about:"the PostgreSQL database that a backfill fills; default PG_URL"`
	MigrationHosts List        `env:"MIGRATION_PG_ALLOWED_HOSTS" example:"db.example.org,10.0.0.7" about:"hosts beside this machine that a backfill may fill"`

	ReportKeyFile string `env:"REPORT_KEY_FILE" envDefault:"amanat-report.key" example:"/etc/amanat/report.key" about:"the file with the private key that signs reports; made when it is not there"`

	Repo Flags `envPrefix:"REPO_"`

	JWTSecret  Secret `env:"JWT_SECRET" example:"$(openssl rand -hex 32)" about:"the key of access tokens, at least 32 characters"`
	CodeSecret Secret `env:"CODE_SECRET" example:"$(openssl rand -hex 32)" about:"the key of the hashes of codes, at least 32 characters"`

	FrontendURL WebURL      `env:"FRONTEND_URL" envDefault:"http://localhost:3000" example:"https://amanat.example.org" about:"the front end: browsers let its pages call this API (CORS)"`
	SMTPURL     DatabaseURL `env:"SMTP_URL" example:"smtp://user:password@mail.example.org:587" about:"the mail server; unset: mails go to MAILBOX_DIR"`
	MailboxDir  string      `env:"MAILBOX_DIR" envDefault:"mailbox" example:"/var/lib/amanat/mailbox" about:"the folder that takes mails while SMTP_URL is not set"`

	OracleQuoting  bool    `env:"ORACLE_QUOTING_ENABLED" envDefault:"false" example:"true" about:"whether the server computes what a payment costs, true or false"`
	OracleSources  Sources `env:"ORACLE_SOURCES" example:"[{\"name\":\"one\",\"url\":\"https://rates.example.org/{base}-{quote}\",\"price\":\"data.amount\"},…]" about:"where prices come from, a JSON list of {name, url, price}"`
	QuoteValidity  Seconds `env:"QUOTE_VALIDITY_S" envDefault:"90" example:"90" about:"the life of a quote in seconds, 60 to 120"`
	ScannerURL     WebURL  `env:"AMN_SCANNER_URL" example:"https://scanner.example.org" about:"the chain scanner"`
	ScannerAPIKey  Secret  `env:"SCANNER_API_KEY" example:"the key that the scanner gave out" about:"the key of the chain scanner"`
	TrezorRequired bool    `env:"TREZOR_SAFEKEEPING_REQUIRED" envDefault:"false" example:"true" about:"without effect, taken so that older environments are valid: destinations always come from a registered hardware wallet"`
	PlatformFeeBPS BPS     `env:"PLATFORM_FEE_BPS" envDefault:"0" example:"250" about:"the fee kept at release in hundredths of a percent, 0 to 10000"`

	LogLevel slog.Level `env:"LOG_LEVEL" envDefault:"info" example:"info" about:"the least level that is logged: debug, info, warn or error"`
}

// Purpose says what the environment is for, and so what must be set.
type Purpose int

// The purposes.
const (
	Command Purpose = iota // a command of an operator: databases
	Serve                  // a serving process: the secrets as well
	Alone                  // a command that works without a database
)

// Read reads an environment, given as os.Environ gives it. A variable that is
// set to nothing counts as not set. The error is of type Mistakes.
func Read(environ []string, purpose Purpose) (Config, error) {
	c, mistakes := read(present(environ), purpose)
	if len(mistakes) > 0 {
		return Config{}, mistakes
	}
	return c, nil
}

// Inspect is Read for whoever goes on with what is right: a variable with a
// mistake counts as not set.
func Inspect(environ []string, purpose Purpose) (Config, Mistakes) {
	vars := present(environ)
	c, mistakes := read(vars, purpose)
	if len(mistakes) == 0 {
		return c, nil
	}
	for _, m := range mistakes {
		delete(vars, m.Name)
	}
	var rest Config
	parse(&rest, vars)
	return rest, mistakes
}

func read(vars map[string]string, purpose Purpose) (Config, Mistakes) {
	var c Config
	mistakes := parse(&c, vars)
	wrong := map[string]bool{}
	for _, m := range mistakes {
		wrong[m.Name] = true
	}
	for _, m := range c.check(vars, purpose) {
		if !wrong[m.Name] { // one message for each is enough
			mistakes = append(mistakes, m)
		}
	}
	return c, mistakes.sorted()
}

func present(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if value = strings.TrimSpace(value); value != "" && name != "" { // Windows has some without a name
			vars[name] = value
		} else {
			delete(vars, name)
		}
	}
	return vars
}

// parse fills c and returns what could not be read.
func parse(c *Config, vars map[string]string) (mistakes Mistakes) {
	err := env.ParseWithOptions(c, env.Options{Environment: vars})
	var all env.AggregateError
	if !errors.As(err, &all) {
		return nil
	}
	for _, err := range all.Errors {
		var one env.ParseError
		if !errors.As(err, &one) {
			mistakes = append(mistakes, Mistake{"environment", err.Error(), "please report this"})
			continue
		}
		mistakes = append(mistakes, mistakeOf(one.Name, reason(one.Err)))
	}
	return mistakes
}

// reason is fit to print: the reasons of this package's own types never show a
// value that could be secret, and those of other types name a plain value.
func reason(err error) string {
	var own badValue
	if errors.As(err, &own) {
		return string(own)
	}
	return "is not one of the values that it can have"
}

// check looks at what parsed: ranges, and what must go together.
func (c *Config) check(vars map[string]string, purpose Purpose) (m Mistakes) {
	if purpose == Alone {
		return nil
	}
	m = append(m, c.checkDatabases()...)
	m = append(m, unknownFlags(vars)...)
	m = append(m, c.checkFlags()...)
	m = append(m, c.checkOracle()...)
	if purpose == Serve {
		m = append(m, c.checkSecrets()...)
	}
	return m
}

func (c *Config) checkDatabases() (m Mistakes) {
	if !c.MongoURI.IsSet() && !c.PGURL.IsSet() {
		m = append(m, Mistake{"PG_URL", "neither PG_URL nor MONGODB_URI is set",
			"set PG_URL=postgres://amanat@127.0.0.1:5432/amanat for a new deployment; MONGODB_URI too, or alone, for one that has its data in MongoDB"})
	}
	for _, db := range []struct {
		field   string
		url     DatabaseURL
		schemes []string
	}{
		{"MongoURI", c.MongoURI, []string{"mongodb", "mongodb+srv"}},
		{"PGURL", c.PGURL, []string{"postgres", "postgresql"}},
		{"MigrationPGURL", c.MigrationPGURL, []string{"postgres", "postgresql"}},
		{"SMTPURL", c.SMTPURL, []string{"smtp", "smtps"}},
	} {
		if db.url.IsSet() && !slices.Contains(db.schemes, db.url.Scheme()) {
			m = append(m, mistakeOf(db.field, "must begin with "+strings.Join(db.schemes, ":// or ")+"://"))
		}
	}
	return m
}

func (c *Config) checkSecrets() (m Mistakes) {
	for field, secret := range map[string]Secret{"JWTSecret": c.JWTSecret, "CodeSecret": c.CodeSecret} {
		switch n := len(secret.Reveal()); {
		case n == 0:
			m = append(m, mistakeOf(field, "is not set"))
		case n < minSecret:
			m = append(m, mistakeOf(field, fmt.Sprintf("has %d characters", n)))
		}
	}
	return m
}

func (c *Config) checkOracle() (m Mistakes) {
	if c.OracleQuoting && c.OracleSources.Count < 2 {
		m = append(m, mistakeOf("OracleSources", fmt.Sprintf("has %d sources, and ORACLE_QUOTING_ENABLED=true needs two", c.OracleSources.Count)))
	}
	if c.QuoteValidity.Duration() < time.Minute || c.QuoteValidity.Duration() > 2*time.Minute {
		m = append(m, mistakeOf("QuoteValidity", "is out of range"))
	}
	return m
}

// MigrationURL is where a backfill writes.
func (c *Config) MigrationURL() DatabaseURL {
	if c.MigrationPGURL.IsSet() {
		return c.MigrationPGURL
	}
	return c.PGURL
}

// Variable describes one variable of the environment.
type Variable struct{ Name, Default, Example, About string }

// Setting is a variable that is set, as it may be shown: a secret's value is not.
type Setting struct {
	Variable
	Value string
}

// Settings returns what an environment sets, as c has read it.
func (c Config) Settings(environ []string) (out []Setting) {
	vars := present(environ)
	for i, v := range valuesOf(reflect.ValueOf(c)) {
		if variable := Variables()[i]; vars[variable.Name] != "" {
			out = append(out, Setting{variable, fmt.Sprint(v.Interface())})
		}
	}
	return out
}

// valuesOf returns the fields of a Config in the order of Variables.
func valuesOf(v reflect.Value) (out []reflect.Value) {
	for f, field := range v.Fields() {
		if f.Tag.Get("envPrefix") != "" {
			out = append(out, valuesOf(field)...)
			continue
		}
		out = append(out, field)
	}
	return out
}

// Variables lists what Read knows, flags of domains included.
func Variables() []Variable { return variablesOf(reflect.TypeFor[Config](), "") }

func variablesOf(t reflect.Type, prefix string) (out []Variable) {
	for f := range t.Fields() {
		if sub := f.Tag.Get("envPrefix"); sub != "" {
			out = append(out, variablesOf(f.Type, prefix+sub)...)
			continue
		}
		out = append(out, variableOf(f, prefix))
	}
	return out
}

func variableOf(f reflect.StructField, prefix string) Variable {
	return Variable{prefix + f.Tag.Get("env"), f.Tag.Get("envDefault"), f.Tag.Get("example"), f.Tag.Get("about")}
}
