package payment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/amanat-dev/amanat/internal/money"
)

// SourceConfig describes a price source that answers HTTP GET with JSON.
type SourceConfig struct {
	Name string `json:"name"`
	// URL may contain {base} and {quote}, and {base_lower} and {quote_lower}.
	URL string `json:"url"`
	// Price is the dotted path of the price in the answer, such as
	// "data.amount" or "result.0.last".
	Price string `json:"price"`
	// ObservedAt is the path of the price's time: Unix seconds, Unix
	// milliseconds or RFC 3339. Without it a price is as old as its answer.
	ObservedAt string `json:"observedAt,omitempty"`
	// MaxAgeSeconds is the age from which a price is left out; default 60.
	MaxAgeSeconds int64 `json:"maxAgeSeconds,omitempty"`
	// Pairs limits the source to some pairs, such as "USDT/USD".
	Pairs []string `json:"pairs,omitempty"`
}

// ParseSources reads the value of ORACLE_SOURCES: a JSON list of
// SourceConfigs. client may be nil.
func ParseSources(text string, client *http.Client) ([]Source, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.DisallowUnknownFields()
	var configs []SourceConfig
	if err := dec.Decode(&configs); err != nil {
		return nil, fmt.Errorf("ORACLE_SOURCES: want a JSON list of {name, url, price}: %w", err)
	}
	var out []Source
	names := map[string]bool{}
	for i, c := range configs {
		if names[c.Name] {
			return nil, fmt.Errorf("ORACLE_SOURCES[%d]: the name %q is there twice", i, c.Name)
		}
		names[c.Name] = true
		s, err := NewHTTPSource(c, client)
		if err != nil {
			return nil, fmt.Errorf("ORACLE_SOURCES[%d]: %w", i, err)
		}
		out = append(out, s)
	}
	return out, nil
}

// HTTPSource is a Source behind HTTP.
type HTTPSource struct {
	config SourceConfig
	client *http.Client
}

// NewHTTPSource checks the configuration. client may be nil.
func NewHTTPSource(c SourceConfig, client *http.Client) (*HTTPSource, error) {
	if c.Name == "" || c.Price == "" {
		return nil, errors.New("name and price (a path) must be set")
	}
	u, err := url.Parse(fillPair(c.URL, "A", "B"))
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("source %s: url must be an http or https URL", c.Name)
	}
	if c.MaxAgeSeconds < 0 {
		return nil, fmt.Errorf("source %s: maxAgeSeconds must not be negative", c.Name)
	}
	if c.MaxAgeSeconds == 0 {
		c.MaxAgeSeconds = 60
	}
	if client == nil {
		client = &http.Client{Timeout: sourceTimeout}
	}
	return &HTTPSource{c, client}, nil
}

// Name returns the configured name.
func (s *HTTPSource) Name() string { return s.config.Name }

// Stale returns the configured limit.
func (s *HTTPSource) Stale() time.Duration {
	return time.Duration(s.config.MaxAgeSeconds) * time.Second
}

// Price asks the source.
func (s *HTTPSource) Price(ctx context.Context, pair string) (money.Amount, time.Time, error) {
	base, quote, _ := strings.Cut(pair, "/")
	if !s.knows(pair) {
		return money.Amount{}, time.Time{}, fmt.Errorf("source %s does not have %s", s.config.Name, pair)
	}
	doc, err := s.fetch(ctx, fillPair(s.config.URL, base, quote))
	if err != nil {
		return money.Amount{}, time.Time{}, fmt.Errorf("source %s: %w", s.config.Name, err)
	}
	price, err := priceAt(doc, s.config.Price)
	if err != nil {
		return money.Amount{}, time.Time{}, fmt.Errorf("source %s: %w", s.config.Name, err)
	}
	if s.config.ObservedAt == "" {
		return price, time.Now().UTC(), nil
	}
	at, err := timeAt(doc, s.config.ObservedAt)
	if err != nil {
		return money.Amount{}, time.Time{}, fmt.Errorf("source %s: %w", s.config.Name, err)
	}
	return price, at, nil
}

func (s *HTTPSource) knows(pair string) bool {
	if len(s.config.Pairs) == 0 {
		return true
	}
	for _, p := range s.config.Pairs {
		if p == pair {
			return true
		}
	}
	return false
}

func fillPair(template, base, quote string) string {
	return strings.NewReplacer(
		"{base}", url.PathEscape(base), "{quote}", url.PathEscape(quote),
		"{base_lower}", url.PathEscape(strings.ToLower(base)), "{quote_lower}", url.PathEscape(strings.ToLower(quote)),
	).Replace(template)
}

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

func (s *HTTPSource) fetch(ctx context.Context, address string) (any, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("answered %d", res.StatusCode)
	}
	dec := json.NewDecoder(io.LimitReader(res.Body, maxAnswer))
	dec.UseNumber()
	var doc any
	return doc, dec.Decode(&doc)
}

// at walks a dotted path of field names and list indexes.
func at(doc any, path string) (any, error) {
	for _, step := range strings.Split(path, ".") {
		switch v := doc.(type) {
		case map[string]any:
			doc = v[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return nil, fmt.Errorf("the answer has nothing at %s", path)
			}
			doc = v[i]
		default:
			return nil, fmt.Errorf("the answer has nothing at %s", path)
		}
	}
	return doc, nil
}

func textAt(doc any, path string) (string, error) {
	v, err := at(doc, path)
	if err != nil {
		return "", err
	}
	switch v := v.(type) {
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	}
	return "", fmt.Errorf("the answer has no text or number at %s", path)
}

func priceAt(doc any, path string) (money.Amount, error) {
	text, err := textAt(doc, path)
	if err != nil {
		return money.Amount{}, err
	}
	return money.ParseAmount(text)
}

// timeAt reads RFC 3339, Unix seconds or Unix milliseconds.
func timeAt(doc any, path string) (time.Time, error) {
	text, err := textAt(doc, path)
	if err != nil {
		return time.Time{}, err
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.UTC(), nil
	}
	whole, _, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("the answer has no time at %s", path)
	}
	// No price is from before 2001 or after the year 5000, so the size tells
	// seconds from milliseconds.
	if n >= 100_000_000_000 {
		return time.UnixMilli(n).UTC(), nil
	}
	return time.Unix(n, 0).UTC(), nil
}
