package traffic

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
)

func TestACodeIsReadFromMail(t *testing.T) {
	t.Parallel()
	for name, mail := range map[string]string{
		"plain":            "To: <Dana@Demo.example>\r\nSubject: Your code\r\n\r\nYour code is 012345.\r\n",
		"quoted-printable": "To: dana@demo.example\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nYour code=\r\n is 012345, yes.\r\n",
		"base64":           "To: dana@demo.example\r\nContent-Transfer-Encoding: base64\r\n\r\nWW91ciBjb2RlIGlzIDAxMjM0NS4=\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "1.eml"), []byte(mail), 0o600); err != nil {
				t.Fatal(err)
			}
			code, err := newMailbox(dir).code(t.Context(), "DANA@demo.example")
			if err != nil || code != "012345" {
				t.Errorf("want 012345, got %q, %v", code, err)
			}
		})
	}
}

func TestTheScannerAsksForItsKey(t *testing.T) {
	t.Parallel()
	s, err := StartScanner("secret")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	watch := func(key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.URL()+"/watches",
			strings.NewReader(`{"paymentReference": "r", "callbackSecret": "c", "amount": "5", "chainId": 56}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := watch("wrong"); status != http.StatusUnauthorized || s.Denied() != 1 {
		t.Errorf("want 401 and one denied, got %d and %d", status, s.Denied())
	}
	if status := watch("secret"); status != http.StatusOK {
		t.Errorf("want 200, got %d", status)
	}
	w, err := s.await(t.Context(), "r")
	if err != nil || w.secret != "c" || w.units != "5" {
		t.Errorf("want the watch as it was registered, got %+v, %v", w, err)
	}
}

func TestAnswersAreCountedForWhatTheyAre(t *testing.T) {
	t.Parallel()
	status := atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(int(status.Load())) }))
	defer server.Close()
	c := newClient(Options{Servers: []string{server.URL}, Rate: 1000, Abreast: 1, Note: t.Logf})
	send := func(with int, may ...int) error {
		status.Store(int64(with))
		_, err := c.send(t.Context(), call{method: "GET", path: "/", may: may})
		return err
	}
	if err := send(200); err != nil {
		t.Errorf("200: want no error, got %v", err)
	}
	if err := send(404, 404); err != nil {
		t.Errorf("404 that may be: want no error, got %v", err)
	}
	if err := send(404); err == nil {
		t.Error("404 that may not be: want an error")
	}
	for _, broken := range []func() error{func() error { return send(503) }, func() error { server.Close(); return send(200) }} {
		if _, unknown := errors.AsType[uncertain](broken()); !unknown {
			t.Error("a failed request: want an error that leaves the outcome open")
		}
	}
	got := c.counts.snapshot()
	if got.Requests != 5 || got.Refused != 1 || got.Unexpected != 1 || got.Failed != 2 || got.OK() {
		t.Errorf("want 5 requests, 1 refused, 1 unexpected, 2 failed, got %+v", got)
	}
}

func TestServersAreAskedInTurn(t *testing.T) {
	t.Parallel()
	var asked [2]atomic.Int64
	var urls []string
	for i := range asked {
		s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked[i].Add(1) }))
		defer s.Close()
		urls = append(urls, s.URL)
	}
	c := newClient(Options{Servers: urls, Rate: 1000, Abreast: 1})
	for range 10 {
		if _, err := c.send(t.Context(), call{method: "GET", path: "/"}); err != nil {
			t.Fatal(err)
		}
	}
	if asked[0].Load() != 5 || asked[1].Load() != 5 {
		t.Errorf("want 5 requests each, got %d and %d", asked[0].Load(), asked[1].Load())
	}
}

func TestNothingIsSentOnceTheTrafficStops(t *testing.T) {
	t.Parallel()
	c := newClient(Options{Servers: []string{"http://127.0.0.1:1"}, Rate: 1000, Abreast: 1})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.send(ctx, call{method: "GET", path: "/"}); !errors.Is(err, errStopping) {
		t.Errorf("want errStopping, got %v", err)
	}
	if n := c.counts.snapshot().Requests; n != 0 {
		t.Errorf("want no request, got %d", n)
	}
}

func TestTheAccountKeepsTheLatestStatements(t *testing.T) {
	t.Parallel()
	a := newAccount()
	a.acknowledge("address", "1", fields{"street": is("old"), "city": is("here")})
	a.acknowledge("address", "1", fields{"street": is("new")})
	a.doubt("address", "1", "city")
	a.removed("address", "2")
	a.acknowledge("address", "3", fields{"street": is("x")})
	a.forget("address", "3")
	facts := a.Facts()
	if len(facts) != 2 || a.Writes() != 4 {
		t.Fatalf("want 2 facts of 4 writes, got %+v of %d", facts, a.Writes())
	}
	if street, doubted := facts[0].Fields["street"], facts[0].Fields["city"]; !slices.Equal(street, is("new")) || doubted != nil {
		t.Errorf("want the new street and no city, got %v", facts[0].Fields)
	}
	if !facts[1].Gone {
		t.Errorf("want the removal, got %+v", facts[1])
	}
}

func TestStatesThatMayFollow(t *testing.T) {
	t.Parallel()
	want := []string{"completed", "seller_paid", "cancelled"}
	if got := from(requestStates, "completed", "cancelled"); !slices.Equal(got, want) {
		t.Errorf("want %v, got %v", want, got)
	}
}
