package payment

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Scanner is the service that watches chains and calls back.
type Scanner interface {
	// Watch asks for callbacks about a payment. Asking again is harmless.
	Watch(ctx context.Context, w Watch) error
}

// Watch is what the scanner has to know of a payment. The secret signs its
// callbacks.
type Watch struct {
	PaymentReference      string `json:"paymentReference"`
	ChainID               int64  `json:"chainId"`
	Network               string `json:"network"`
	Token                 string `json:"token"`
	TokenAddress          string `json:"tokenAddress"`
	Destination           string `json:"destination"`
	Amount                string `json:"amount"` // smallest units
	ConfirmationsRequired int64  `json:"confirmationsRequired"`
	CallbackSecret        string `json:"callbackSecret"`
	CallbackURL           string `json:"callbackUrl,omitempty"`
}

// HTTPScanner is the scanner behind AMN_SCANNER_URL.
type HTTPScanner struct {
	watches string
	key     string
	client  *http.Client
}

// NewHTTPScanner takes AMN_SCANNER_URL and SCANNER_API_KEY. client may be nil.
func NewHTTPScanner(base, apiKey string, client *http.Client) (*HTTPScanner, error) {
	u, err := url.Parse(base)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fmt.Errorf("AMN_SCANNER_URL must be an http or https URL")
	}
	if client == nil {
		client = &http.Client{Timeout: 5 * time.Second}
	}
	return &HTTPScanner{strings.TrimRight(base, "/") + "/watches", apiKey, client}, nil
}

// Watch posts to {AMN_SCANNER_URL}/watches. 409 means that it was asked
// before, which is as good as 2xx. Its errors never contain the body.
func (s *HTTPScanner) Watch(ctx context.Context, w Watch) error {
	body, err := json.Marshal(w)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.watches, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if s.key != "" {
		req.Header.Set("Authorization", "Bearer "+s.key)
	}
	res, err := s.client.Do(req)
	if err != nil {
		return fmt.Errorf("scanner: %w", err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer)) // so that the connection can be used again
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusConflict {
		return nil
	}
	return fmt.Errorf("scanner: answered %d", res.StatusCode)
}
