// Package web is the HTTP plumbing: typed routes with an OpenAPI document made
// from them, who may call which, errors to status codes, request ids, access
// logs and a graceful stop. It knows no domain.
//
// A domain registers each route with Handle. Its input is a struct whose
// fields carry huma's path, query and header tags and whose Body field is the
// JSON body; body fields are required unless they are tagged omitempty or
// required:"false", and unknown ones are refused. Its output is what goes
// under "data".
package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/rs/cors"
)

// Options are what New needs. All may be left out; without an Authenticator
// only public routes answer.
type Options struct {
	Authenticator Authenticator
	Logger        *slog.Logger // default: slog.Default()
	Title         string       // of the OpenAPI document; default "Amanat"
	Version       string
	// Origins are the sites whose pages may call the API from a browser, such
	// as "https://amanat.example.org"; none when empty.
	Origins []string
	// Health returns what GET /api/health shows and whether all is well: 200,
	// else 503.
	Health func(ctx context.Context) (data any, ok bool)
}

// API is the set of registered routes. Register all before Handler is first
// served.
type API struct {
	opts   Options
	log    *slog.Logger
	mux    *http.ServeMux
	huma   huma.API
	routes []Route
	ids    map[string]bool
}

// New makes an API with the routes that every API has: its health and its
// OpenAPI document.
func New(opts Options) *API {
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Title == "" {
		opts.Title = "Amanat"
	}
	a := &API{opts: opts, log: opts.Logger, mux: http.NewServeMux(), ids: map[string]bool{}}
	a.huma = humago.New(a.mux, humaConfig(opts))
	a.serveDocument()
	if opts.Health != nil {
		a.serveHealth()
	}
	return a
}

func humaConfig(opts Options) huma.Config {
	return huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: opts.Title, Version: opts.Version},
			Components: &huma.Components{
				Schemas: newRegistry(),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					bearerScheme: {Type: "http", Scheme: "bearer", BearerFormat: "JWT"},
				},
			},
		},
		Formats:       map[string]huma.Format{"application/json": strictJSON, "json": strictJSON},
		DefaultFormat: "application/json",
	}
}

// Handler returns the whole API: routes, and what surrounds them.
func (a *API) Handler() http.Handler {
	return a.identify(a.logged(a.recovered(a.crossOrigin(http.HandlerFunc(a.dispatch)))))
}

// crossOrigin lets browsers show answers to the pages of the named origins. No
// cookie is ever read here, so none needs to be sent.
func (a *API) crossOrigin(next http.Handler) http.Handler {
	if len(a.opts.Origins) == 0 {
		return next // to the library, no origin would mean every origin
	}
	return cors.New(cors.Options{
		AllowedOrigins: a.opts.Origins,
		AllowedMethods: []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete},
		AllowedHeaders: []string{"Authorization", "Content-Type", requestIDHeader},
		ExposedHeaders: []string{requestIDHeader, "Retry-After"},
		MaxAge:         int(preflightLife.Seconds()),
	}).Handler(next)
}

// preflightLife is how long a browser remembers what it may send.
const preflightLife = 10 * time.Minute

// Routes lists what Handle has registered, in that order.
func (a *API) Routes() []Route { return append([]Route(nil), a.routes...) }

// Mount adds a handler that is no part of the documented API, such as a web
// console, with a pattern of http.ServeMux. It decides itself who may call it.
func (a *API) Mount(pattern string, h http.Handler) { a.mux.Handle(pattern, h) }

// OpenAPI returns the OpenAPI 3.1 document of the routes registered so far.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// serveDocument renders the OpenAPI document once, when it is first asked for.
func (a *API) serveDocument() {
	asJSON := sync.OnceValues(func() ([]byte, error) { return a.OpenAPI().MarshalJSON() })
	asYAML := sync.OnceValues(func() ([]byte, error) { return a.OpenAPI().YAML() })
	a.mux.HandleFunc("GET /api/openapi.json", a.document("application/json", asJSON))
	a.mux.HandleFunc("GET /api/openapi.yaml", a.document("application/yaml", asYAML))
}

func (a *API) document(contentType string, render func() ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, err := render()
		if err != nil {
			a.writeFailure(w, a.failureOf(r.Context(), err))
			return
		}
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(b)
	}
}

type healthAnswer struct {
	Status int
	Body   struct {
		Success bool `json:"success"`
		Data    any  `json:"data"`
	}
}

func (a *API) serveHealth() {
	r := Route{Method: http.MethodGet, Path: HealthPath, ID: "health", Tag: "operation", Who: Public,
		Summary: "Whether this process can serve, with its counts"}
	a.add(&r)
	huma.Register(a.huma, a.operation(r), func(ctx context.Context, _ *struct{}) (*healthAnswer, error) {
		data, ok := a.opts.Health(ctx)
		out := &healthAnswer{Status: http.StatusOK}
		if !ok {
			out.Status = http.StatusServiceUnavailable
		}
		out.Body.Success, out.Body.Data = ok, data
		return out, nil
	})
}

// HealthPath is where the health is shown.
const HealthPath = "/api/health"
