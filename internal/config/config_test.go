package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/amanat-dev/amanat/cutover"
)

const (
	longSecret = "0123456789abcdef0123456789abcdef"
	password   = "hunter2-very-secret"
)

// good is an environment for serving, with changes.
func good(changes ...string) []string {
	return append([]string{
		"MONGODB_URI=mongodb://m:" + password + "@a:27017,b:27017/?replicaSet=rs0",
		"PG_URL=postgres://p:" + password + "@db:5432/amanat?sslpassword=" + password,
		"JWT_SECRET=" + longSecret, "CODE_SECRET=" + longSecret,
	}, changes...)
}

func TestDefaultsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	c, err := Read(good(), Serve)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Host, c.Port, c.DBName, c.QuoteValidity.Duration(), c.OracleQuoting, c.TrezorRequired, c.PlatformFeeBPS, c.LogLevel)
	want := fmt.Sprint("0.0.0.0", 5001, "marketplace", 90*time.Second, false, false, 0, slog.LevelInfo)
	if got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	if c.MigrationURL() != c.PGURL {
		t.Fatalf("a backfill goes to %s, want PG_URL", c.MigrationURL())
	}
}

func TestEachMistakeIsNamedWithItsVariable(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change string
		wrong  []string // variables
	}{
		"port is a word":           {"PORT=http", []string{"PORT"}},
		"port is too high":         {"PORT=70000", []string{"PORT"}},
		"not a MongoDB URL":        {"MONGODB_URI=http://x", []string{"MONGODB_URI"}},
		"not a PostgreSQL URL":     {"PG_URL=host=db user=x", []string{"PG_URL"}},
		"another scheme":           {"MIGRATION_PG_URL=mysql://x", []string{"MIGRATION_PG_URL"}},
		"no mail server":           {"SMTP_URL=mail.example.org", []string{"SMTP_URL"}},
		"flag":                     {"REPO_USER=both", []string{"REPO_USER"}},
		"misspelt flag":            {"REPO_USERS=mongo", []string{"REPO_USERS"}},
		"short secret":             {"JWT_SECRET=short", []string{"JWT_SECRET"}},
		"no secret":                {"CODE_SECRET=", []string{"CODE_SECRET"}},
		"blank secret":             {"CODE_SECRET=   ", []string{"CODE_SECRET"}},
		"short life":               {"QUOTE_VALIDITY_S=30", []string{"QUOTE_VALIDITY_S"}},
		"endless fee":              {"PLATFORM_FEE_BPS=10001", []string{"PLATFORM_FEE_BPS"}},
		"neither true nor false":   {"ORACLE_QUOTING_ENABLED=perhaps", []string{"ORACLE_QUOTING_ENABLED"}},
		"quotes without sources":   {"ORACLE_QUOTING_ENABLED=true", []string{"ORACLE_SOURCES"}},
		"sources without names":    {`ORACLE_SOURCES=[{"url":"https://a","price":"p"}]`, []string{"ORACLE_SOURCES"}},
		"sources that are no list": {"ORACLE_SOURCES=https://a," + password, []string{"ORACLE_SOURCES"}},
		"source without URL":       {`ORACLE_SOURCES=[{"name":"a","url":"` + password + `","price":"p"}]`, []string{"ORACLE_SOURCES"}},
		"level":                    {"LOG_LEVEL=loud", []string{"LOG_LEVEL"}},
		"front end without scheme": {"FRONTEND_URL=example.org", []string{"FRONTEND_URL"}},
		"password in a web URL":    {"AMN_SCANNER_URL=https://u:" + password + "@x", []string{"AMN_SCANNER_URL"}},
		"PostgreSQL is missing":    {"PG_URL=\x00REPO_DEFAULT=dual\x00REPO_CHAT=postgres", []string{"REPO_CHAT", "REPO_DEFAULT"}},
		"MongoDB is missing":       {"MONGODB_URI=\x00REPO_PAYMENT=mongo", []string{"REPO_PAYMENT"}},
		"no database":              {"MONGODB_URI=\x00PG_URL=", []string{"PG_URL"}},
		"several": {"PORT=x\x00REPO_USER=both\x00JWT_SECRET=a\x00PG_URL=nothing",
			[]string{"JWT_SECRET", "PG_URL", "PORT", "REPO_USER"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Read(good(strings.Split(test.change, "\x00")...), Serve)
			mistakes, _ := err.(Mistakes)
			var wrong []string
			for _, m := range mistakes {
				wrong = append(wrong, m.Name)
				if m.Problem == "" || m.Remedy == "" || strings.Contains(m.Remedy, "report") {
					t.Errorf("%+v: want a problem and a remedy", m)
				}
			}
			if !slices.Equal(wrong, test.wrong) {
				t.Errorf("got mistakes %v, want %v\n%v", wrong, test.wrong, err)
			}
			if err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("the message shows a password: %v", err)
			}
		})
	}
}

func TestCommandsNeedNoSecrets(t *testing.T) {
	t.Parallel()
	if _, err := Read([]string{"PG_URL=postgres:///amanat"}, Command); err != nil {
		t.Fatal(err)
	}
	if _, err := Read([]string{"PG_URL=postgres:///amanat"}, Serve); err == nil || strings.Count(err.Error(), "_SECRET:") != 2 {
		t.Fatalf("want both secrets asked for, got %v", err)
	}
}

func TestFlagOfADomainIsItsOwnElseTheDefault(t *testing.T) {
	t.Parallel()
	c, err := Read(good("REPO_DEFAULT=dual", "REPO_PAYMENT=Postgres"), Serve)
	if err != nil {
		t.Fatal(err)
	}
	for domain, want := range map[string]string{"payment": "pg REPO_PAYMENT", "user": "dual REPO_DEFAULT"} {
		flag, variable := c.Repo.Of(domain)
		if got := fmt.Sprintf("%s %s", flag, variable); got != want {
			t.Errorf("%s: got %s, want %s", domain, got, want)
		}
	}
	c, _ = Read(good(), Serve)
	if flag, variable := c.Repo.Of("user"); flag != FlagAny || variable != "REPO_USER" {
		t.Errorf("without flags: got %q %s", flag, variable)
	}
}

func TestFlagAllowsThePhasesItMeans(t *testing.T) {
	t.Parallel()
	for flag, want := range map[Flag]string{FlagAny: "source dual mirror target", FlagMongo: "source", FlagDual: "dual", FlagPG: "mirror target"} {
		var allowed []string
		for _, phase := range []string{"source", "dual", "mirror", "target"} {
			if flag.Allows(cutover.Phase(phase)) {
				allowed = append(allowed, phase)
			}
		}
		if got := strings.Join(allowed, " "); got != want {
			t.Errorf("flag %q allows %s, want %s", flag, got, want)
		}
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	c, err := Read(good("SCANNER_API_KEY="+password, `ORACLE_SOURCES=[{"name":"a","url":"https://x/{base}?key=`+password+`","price":"p"}]`, "SMTP_URL=smtps://u:p/@:"+password+"@mail/"), Serve)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "pg", c.PGURL, "jwt", c.JWTSecret)
	for _, printed := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v", c, c, c), string(asJSON), log.String()} {
		for _, secret := range []string{password, longSecret} {
			if strings.Contains(printed, secret) {
				t.Errorf("a secret is shown: %s", printed)
			}
		}
	}
	for got, want := range map[string]string{
		c.PGURL.String():       "postgres://p@db:5432/amanat",
		c.MongoURI.String():    "mongodb://m@a:27017,b:27017/",
		c.SMTPURL.String():     "smtps://u@mail/",
		c.JWTSecret.String():   "(set)",
		DatabaseURL{}.String(): "(not set)",
	} {
		if got != want {
			t.Errorf("printed %s, want %s", got, want)
		}
	}
	if !strings.Contains(c.PGURL.Reveal(), password) {
		t.Error("the driver must get the whole URL")
	}
}

func TestEveryVariableIsDescribed(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, v := range Variables() {
		if v.Name == "" || v.About == "" || v.Example == "" || seen[v.Name] {
			t.Errorf("%+v: want a name of its own, a description and an example", v)
		}
		seen[v.Name] = true
	}
	if len(seen) < 30 {
		t.Errorf("%d variables, want all", len(seen))
	}
}

func TestInspectGoesOnWithWhatIsRight(t *testing.T) {
	t.Parallel()
	environ := []string{"PG_URL=mysql://u:p@h/x", "MONGODB_URI=mongodb://h", "PORT=http", "REPO_USR=pg", "JWT_SECRET=" + longSecret}
	c, wrong := Inspect(environ, Command)
	if len(wrong) != 3 || wrong[0].Name != "PG_URL" || wrong[1].Name != "PORT" || wrong[2].Name != "REPO_USR" {
		t.Errorf("mistakes %v, want those of PG_URL, PORT and REPO_USR", wrong)
	}
	if c.PGURL.IsSet() || c.Port != 5001 || c.MongoURI.Reveal() != "mongodb://h" {
		t.Errorf("got %v, want MongoDB alone on the usual port", c)
	}
	var shown []string
	for _, s := range c.Settings(environ[1:2]) {
		shown = append(shown, s.Name+"="+s.Value)
	}
	for _, s := range c.Settings(environ[4:]) {
		shown = append(shown, s.Name+"="+s.Value)
	}
	if want := "MONGODB_URI=mongodb://h JWT_SECRET=(set)"; strings.Join(shown, " ") != want {
		t.Errorf("settings %v, want %s", shown, want)
	}
}

func TestTheOriginOfAFrontEndHasNoPath(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"https://Amanat.example.org/app/": "https://amanat.example.org", "http://localhost:3000": "http://localhost:3000", "": "",
	} {
		if got := WebURL(value).Origin(); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
}
