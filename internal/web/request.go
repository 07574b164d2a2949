package web

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/amanat-dev/amanat/cutover"
	"github.com/amanat-dev/amanat/cutover/fault"
)

// requestIDHeader names a request, in what it asks and in what it is answered.
const requestIDHeader = "X-Request-Id"

// info is what is known of a request while it is served.
type info struct {
	id     string
	caller cutover.ID // zero until a guard has let it through
}

type infoKey struct{}

func infoFrom(ctx context.Context) *info {
	i, _ := ctx.Value(infoKey{}).(*info)
	return i
}

// RequestID returns the id of the request that is served with ctx; "" outside
// of one.
func RequestID(ctx context.Context) string {
	if i := infoFrom(ctx); i != nil {
		return i.id
	}
	return ""
}

// identify gives each request an id: the one it brings when it is sane, so
// that a proxy's log and ours can be read together.
func (a *API) identify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(requestIDHeader)
		if !saneID(id) {
			id = newRequestID()
		}
		w.Header().Set(requestIDHeader, id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), infoKey{}, &info{id: id})))
	})
}

func newRequestID() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails: crypto/rand ends the process instead
	return hex.EncodeToString(b)
}

// saneID keeps line breaks and novels out of the log.
func saneID(s string) bool {
	for _, c := range []byte(s) {
		letter := (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
		if !letter && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return len(s) >= 8 && len(s) <= 64
}

// recorder notes what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += n
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// logged writes one line per request: its path but neither query nor headers,
// which may hold secrets.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, rec := time.Now(), &recorder{ResponseWriter: w}
		defer func() {
			a.log.LogAttrs(r.Context(), logLevel(r, rec), "request",
				slog.String("method", r.Method),
				slog.String("path", r.URL.Path),
				slog.Int("status", rec.status),
				slog.Int("bytes", rec.bytes),
				slog.Float64("ms", float64(time.Since(start).Microseconds())/1000),
				slog.String("requestId", RequestID(r.Context())),
				slog.String("user", infoFrom(r.Context()).caller.String()),
			)
		}()
		next.ServeHTTP(rec, r)
	})
}

func logLevel(r *http.Request, rec *recorder) slog.Level {
	if r.URL.Path == HealthPath && rec.status == http.StatusOK {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

// recovered answers a panic with an internal error, and logs its stack.
func (a *API) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler {
				panic(p)
			}
			a.log.ErrorContext(r.Context(), "panic", "requestId", RequestID(r.Context()),
				"panic", p, "stack", string(debug.Stack()))
			if rec, ok := w.(*recorder); !ok || rec.status == 0 {
				a.writeFailure(w, plainFailure(r.Context(), http.StatusInternalServerError, "internal error"))
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// dispatch is the mux, with its own refusals in our envelope.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request) {
	h, pattern := a.mux.Handler(r)
	if pattern != "" {
		a.mux.ServeHTTP(w, r)
		return
	}
	refusal := &headersOnly{header: http.Header{}}
	h.ServeHTTP(refusal, r)
	switch refusal.status {
	case http.StatusNotFound:
		a.writeFailure(w, a.failureOf(r.Context(), fault.New(fault.NotFound, "there is no such route")))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", refusal.header.Get("Allow"))
		a.writeFailure(w, plainFailure(r.Context(), refusal.status, "this route does not take "+r.Method))
	default: // a redirect to the cleaned path
		h.ServeHTTP(w, r)
	}
}

// headersOnly takes an answer without sending it.
type headersOnly struct {
	header http.Header
	status int
}

func (h *headersOnly) Header() http.Header         { return h.header }
func (h *headersOnly) WriteHeader(status int)      { h.status = status }
func (h *headersOnly) Write(b []byte) (int, error) { return len(b), nil }
