package payment

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTheScannerIsToldOverHTTP(t *testing.T) {
	t.Parallel()
	var got Watch
	var path, key string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, key = r.Method+" "+r.URL.Path, r.Header.Get("Authorization")
		_ = json.NewDecoder(r.Body).Decode(&got)
		w.WriteHeader(http.StatusCreated)
	}))
	defer server.Close()
	s, err := NewHTTPScanner(server.URL+"/", "key", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := Watch{PaymentReference: "ab", ChainID: 56, Amount: "7", CallbackSecret: "s"}
	if err := s.Watch(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got != want || path != "POST /watches" || key != "Bearer key" {
		t.Fatalf("got %s with %q: %+v", path, key, got)
	}
}

func TestTheScannersRefusalIsAnErrorWithoutTheSecret(t *testing.T) {
	t.Parallel()
	for status, ok := range map[int]bool{200: true, 204: true, 409: true, 400: false, 401: false, 500: false, 503: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		s, err := NewHTTPScanner(server.URL, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Watch(t.Context(), Watch{CallbackSecret: "hush"})
		if ok != (err == nil) || (err != nil && strings.Contains(err.Error(), "hush")) {
			t.Errorf("status %d: got %v", status, err)
		}
		server.Close()
	}
	for _, bad := range []string{"", "scanner", "ftp://x", "http://"} {
		if _, err := NewHTTPScanner(bad, "", nil); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
