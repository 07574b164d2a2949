package payment

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// answering is a price source that answers with a fixed body.
func answering(t *testing.T, status int, body string) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, strings.ReplaceAll(body, "PATH", r.URL.Path))
	}))
	t.Cleanup(s.Close)
	return s
}

func TestAnHTTPSourceReadsPriceAndTime(t *testing.T) {
	t.Parallel()
	want := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ body, price, at string }{
		"text and RFC 3339":  {`{"data":{"amount":"0.9987","time":"2026-05-01T12:00:00Z"}}`, "data.amount", "data.time"},
		"number and seconds": {`{"result":[{"last":0.9987,"ts":1777636800}]}`, "result.0.last", "result.0.ts"},
		"milliseconds":       {`{"p":"0.9987","t":"1777636800000"}`, "p", "t"},
		"broken seconds":     {`{"p":"0.9987","t":1777636800.5}`, "p", "t"},
	} {
		server := answering(t, 200, c.body)
		s, err := NewHTTPSource(SourceConfig{Name: "x", URL: server.URL + "/{base}-{quote_lower}", Price: c.price, ObservedAt: c.at}, nil)
		if err != nil {
			t.Fatal(err)
		}
		p, at, err := s.Price(t.Context(), "USDT/USD")
		if err != nil || p.String() != "0.9987" || at.Sub(want).Abs() > time.Second {
			t.Errorf("%s: got %s at %s, %v", name, p, at, err)
		}
	}
}

func TestAnHTTPSourceFillsThePairIntoItsURL(t *testing.T) {
	t.Parallel()
	var got string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.URL.Path
		fmt.Fprint(w, `{"p":"1"}`)
	}))
	defer server.Close()
	s, err := NewHTTPSource(SourceConfig{Name: "x", URL: server.URL + "/{base}/{quote_lower}", Price: "p"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, at, err := s.Price(t.Context(), "USDT/USD"); err != nil || got != "/USDT/usd" || time.Since(at) > time.Minute {
		t.Fatalf("asked for %s at %s, %v", got, at, err)
	}
}

func TestAnHTTPSourceThatDoesNotAnswerProperlyIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"status":       {500, `{"p":"1"}`},
		"no JSON":      {200, `<html>`},
		"no price":     {200, `{"q":"1"}`},
		"null":         {200, `{"p":null}`},
		"an object":    {200, `{"p":{}}`},
		"an exponent":  {200, `{"p":1e3}`},
		"not a number": {200, `{"p":"cheap"}`},
		"no time":      {200, `{"p":"1","t":"soon"}`},
		"a list":       {200, `[]`},
		"empty":        {200, ``},
	} {
		s, err := NewHTTPSource(SourceConfig{Name: "x", URL: answering(t, c.status, c.body).URL, Price: "p", ObservedAt: "t"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if p, _, err := s.Price(t.Context(), "USDT/USD"); err == nil {
			t.Errorf("%s: got the price %s", name, p)
		}
	}
}

func TestASourceAnswersOnlyForItsPairs(t *testing.T) {
	t.Parallel()
	s, err := NewHTTPSource(SourceConfig{Name: "x", URL: answering(t, 200, `{"p":"1"}`).URL, Price: "p", Pairs: []string{"EUR/USD"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Price(t.Context(), "USDT/USD"); err == nil {
		t.Error("another pair was answered")
	}
	if _, _, err := s.Price(t.Context(), "EUR/USD"); err != nil {
		t.Error(err)
	}
}

func TestSourcesAreReadFromTheEnvironmentStrictly(t *testing.T) {
	t.Parallel()
	good := `[{"name":"a","url":"https://a.example/{base}","price":"p","maxAgeSeconds":30},{"name":"b","url":"http://b.example","price":"p"}]`
	sources, err := ParseSources(good, nil)
	if err != nil || len(sources) != 2 || sources[0].Stale() != 30*time.Second || sources[1].Stale() != time.Minute {
		t.Fatalf("got %v, %v", sources, err)
	}
	if none, err := ParseSources(" ", nil); err != nil || none != nil {
		t.Fatalf("got %v, %v", none, err)
	}
	for name, text := range map[string]string{
		"no list":       `{}`,
		"unknown field": `[{"name":"a","url":"https://a.example","price":"p","key":1}]`,
		"no name":       `[{"url":"https://a.example","price":"p"}]`,
		"no price":      `[{"name":"a","url":"https://a.example"}]`,
		"another URL":   `[{"name":"a","url":"ftp://a.example","price":"p"}]`,
		"negative age":  `[{"name":"a","url":"https://a.example","price":"p","maxAgeSeconds":-1}]`,
		"twice":         `[{"name":"a","url":"https://a.example","price":"p"},{"name":"a","url":"https://b.example","price":"p"}]`,
	} {
		if _, err := ParseSources(text, nil); err == nil || !strings.Contains(err.Error(), "ORACLE_SOURCES") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAQuoteFromTwoServers(t *testing.T) {
	t.Parallel()
	a, b := answering(t, 200, `{"p":"0.999"}`), answering(t, 200, `{"d":[{"v":1.001}]}`)
	sources, err := ParseSources(fmt.Sprintf(
		`[{"name":"a","url":%q,"price":"p"},{"name":"b","url":%q,"price":"d.0.v"}]`, a.URL, b.URL), nil)
	if err != nil {
		t.Fatal(err)
	}
	q, err := (&Quoter{Sources: sources, Validity: MinValidity}).Quote(t.Context(), price("5", "USD"), 56, bscToken(t, "USDT"))
	if err != nil || q.TokenUSD.String() != "1" || q.SpreadBps != 20 || q.Sources[0].Name != "a USDT/USD" {
		t.Fatalf("got %+v, %v", q, err)
	}
}
