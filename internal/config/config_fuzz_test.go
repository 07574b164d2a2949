package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// FuzzRead sets one variable to anything: the environment is read, or every
// mistake is named with a remedy; and no password is ever shown.
func FuzzRead(f *testing.F) {
	for _, v := range Variables() {
		f.Add(v.Name, v.Example, true)
		for _, value := range []string{"", " ", "x", "0", "-1", "99999999999999999999", "1.5", "true", "null", "[]", "{}", "\xff", "\x00", "a=b", "postgres://", "://", strings.Repeat("9", 400)} {
			f.Add(v.Name, value, false)
		}
	}
	for _, url := range []string{
		"postgres://u:" + password + "@h:5432/db?sslmode=disable&password=" + password, "postgres://u:" + password + "@h1,h2:1/db", "mongodb+srv://u:" + password + "@h", "postgres://u:p/" + password + "@h/d",
		"postgres://u:p@" + password + "@h", "smtp://:" + password + "@", "mysql://u:" + password + "@h", "http://u:" + password + "@h", "postgres:///d?password=" + password,
		"postgres://?password=" + password, "host=h password=" + password, `[{"name":"a","url":"https://h/?key=` + password + `","price":"p"}]`, password,
	} {
		for _, name := range []string{"PG_URL", "MONGODB_URI", "MIGRATION_PG_URL", "SMTP_URL", "AMN_SCANNER_URL", "FRONTEND_URL", "ORACLE_SOURCES", "JWT_SECRET", "SCANNER_API_KEY"} {
			f.Add(name, url, true)
		}
	}
	f.Add("REPO_NOBODY", "pg", true)
	f.Add("", "", false)
	f.Add("", `C:=C:\Users`, false) // as Windows has it
	f.Fuzz(func(t *testing.T, name, value string, serve bool) {
		purpose := Command
		if serve {
			purpose = Serve
		}
		environ := good(name + "=" + value)
		before := slices.Clone(environ)
		c, err := Read(environ, purpose)
		if !slices.Equal(environ, before) {
			t.Fatal("reading has changed the environment")
		}
		text := fmt.Sprintf("%v %+v %#v", c, c, c)
		if err != nil {
			text = err.Error()
		}
		if secretive(name) && strings.Contains(value, password) && hidden(name, value) && strings.Contains(text, password) {
			t.Fatalf("%s=%q shows the password: %s", name, value, text)
		}
		var mistakes Mistakes
		switch {
		case err == nil:
			wantInRange(t, c)
		case !errors.As(err, &mistakes) || len(mistakes) == 0:
			t.Fatalf("%s=%q gave %v", name, value, err)
		}
		for i, m := range mistakes {
			if m.Name == "" || m.Problem == "" || m.Remedy == "" || strings.Contains(m.Remedy, "report") || i > 0 && m.Name < mistakes[i-1].Name {
				t.Fatalf("%s=%q gave the mistake %+v", name, value, m)
			}
		}
	})
}

func secretive(name string) bool {
	return slices.Contains([]string{"PG_URL", "MONGODB_URI", "MIGRATION_PG_URL", "SMTP_URL", "ORACLE_SOURCES", "JWT_SECRET", "CODE_SECRET", "SCANNER_API_KEY"}, name)
}

// hidden says that the password is where passwords are: in a database's URL
// after the user's colon or among the options, anywhere in other secrets.
func hidden(name, value string) bool {
	scheme, rest, isURL := strings.Cut(strings.TrimSpace(value), "://")
	if !strings.HasSuffix(name, "URL") && !strings.HasSuffix(name, "URI") || !isURL {
		return true
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, _ := strings.Cut(rest[:at], ":")
		after, _, _ := strings.Cut(rest[at:], "?")
		return !strings.Contains(scheme+user+after, password)
	}
	before, _, _ := strings.Cut(rest, "?")
	return !strings.Contains(scheme+before, password)
}

func wantInRange(t *testing.T, c Config) {
	t.Helper()
	if c.Port < 0 || c.Port > 65535 || c.PlatformFeeBPS < 0 || c.PlatformFeeBPS > 10_000 || c.QuoteValidity < 60 || c.QuoteValidity > 120 ||
		!c.PGURL.IsSet() && !c.MongoURI.IsSet() || c.OracleQuoting && c.OracleSources.Count < 2 {
		t.Fatalf("accepted %+v", c)
	}
	for _, u := range []WebURL{c.FrontendURL, c.ScannerURL} {
		if u != "" && !strings.HasPrefix(strings.ToLower(string(u)), "http") {
			t.Fatalf("accepted the web address %q", u)
		}
	}
}
