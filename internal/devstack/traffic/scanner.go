package traffic

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// bscChain is the chain that the members pay on; a payment there counts after
// bscFloor confirmations.
const (
	bscChain = 56
	bscFloor = 200
)

// Scanner stands in for the service that watches the chains: servers register
// a payment with it, and it calls back as the transfer gains confirmations.
type Scanner struct {
	key    string
	server *http.Server
	url    string

	mu      sync.Mutex
	watches map[string]watch // by payment reference
	denied  int64
}

// watch is one payment that a server has asked to be told about.
type watch struct {
	reference, secret, token, destination, units string
	chain                                        json.Number
}

// StartScanner listens on the loopback interface. Servers must show the key.
func StartScanner(key string) (*Scanner, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("traffic: the scanner: %w", err)
	}
	s := &Scanner{key: key, url: "http://" + l.Addr().String(), watches: map[string]watch{}}
	s.server = &http.Server{Handler: http.HandlerFunc(s.register), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(l) }() // ends with Stop
	return s, nil
}

// URL is what AMN_SCANNER_URL must say.
func (s *Scanner) URL() string { return s.url }

// Stop stops listening.
func (s *Scanner) Stop() error { return s.server.Close() }

// Denied counts registrations that showed no key or a wrong one.
func (s *Scanner) Denied() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.denied
}

func (s *Scanner) register(w http.ResponseWriter, r *http.Request) {
	if !s.knows(r) {
		s.mu.Lock()
		s.denied++
		s.mu.Unlock()
		http.Error(w, "unknown key", http.StatusUnauthorized)
		return
	}
	raw, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	o := parseObject(raw)
	if err != nil || o.get("paymentReference") == "" {
		http.Error(w, "no payment reference", http.StatusBadRequest)
		return
	}
	s.keep(o)
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"success":true}`)
}

func (s *Scanner) knows(r *http.Request) bool {
	for _, shown := range []string{r.Header.Get("X-API-Key"), r.Header.Get("Authorization")} {
		for _, want := range []string{s.key, "Bearer " + s.key} {
			if subtle.ConstantTimeCompare([]byte(shown), []byte(want)) == 1 {
				return true
			}
		}
	}
	return false
}

func (s *Scanner) keep(o object) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches[o.get("paymentReference")] = watch{
		reference: o.get("paymentReference"), secret: o.get("callbackSecret"), token: o.get("token"),
		destination: o.get("destination"), units: o.get("amount"), chain: json.Number(o.get("chainId")),
	}
}

// await returns the watch of a payment once a server has registered it.
func (s *Scanner) await(ctx context.Context, reference string) (w watch, err error) {
	err = until(ctx, "a server to register payment reference "+reference, func() (known bool, _ error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		w, known = s.watches[reference]
		return known, nil
	})
	return w, err
}

// transfer lets the scanner see a transfer of the whole amount, and calls back
// as it gains confirmations, once twice with the same.
func (t *Traffic) transfer(ctx context.Context, d *deal) error {
	w, err := t.o.Scanner.await(ctx, d.reference)
	if err != nil {
		return err
	}
	block := 40_000_000 + d.random.IntN(1_000_000)
	confirmations := []int{1, bscFloor / 2, bscFloor + 2}
	if d.chance(30) {
		confirmations = append(confirmations, bscFloor+2)
	}
	for _, n := range confirmations {
		if err := t.callBack(ctx, w, d.hash("deposit"), block, n); err != nil {
			return err
		}
	}
	return nil
}

// callBack delivers one signed callback.
func (t *Traffic) callBack(ctx context.Context, w watch, hash string, block, confirmations int) error {
	status := "pending"
	if confirmations >= bscFloor {
		status = "confirmed"
	}
	body, err := json.Marshal(map[string]any{
		"paymentReference": w.reference, "txHash": hash, "blockNumber": block, "confirmations": confirmations,
		"amount": w.units, "token": w.token, "chainId": w.chain, "status": status, "destination": w.destination,
	})
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, []byte(w.secret))
	mac.Write(body) // never fails
	_, err = t.client.send(ctx, call{method: "POST", path: "/api/payment/amn-scanner/webhook", body: body,
		header: map[string]string{"X-AMN-Signature": hex.EncodeToString(mac.Sum(nil))}})
	return err
}

// hash makes up the hash of one of a deal's transactions.
func (d *deal) hash(what string) string {
	sum := sha256.Sum256([]byte(what + " " + d.payment))
	return "0x" + hex.EncodeToString(sum[:])
}
