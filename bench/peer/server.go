package main

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	root    = "/api/marketplace/purchase-requests"
	maxBody = 1 << 20
)

type server struct {
	pool   *pgxpool.Pool
	secret []byte
}

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+root+"/{id}", s.signedIn(s.getRequest))
	mux.HandleFunc("GET "+root, s.signedIn(s.listRequests))
	mux.HandleFunc("POST "+root, s.signedIn(s.postRequest))
	mux.HandleFunc("POST "+root+"/{id}/offers", s.signedIn(s.postOffer))
	return mux
}

// member is who calls.
type member struct{ id, role string }

type claims struct {
	Role string `json:"role"`
	jwt.RegisteredClaims
}

// signedIn lets a handler answer to whoever has a valid access token.
func (s *server) signedIn(handle func(*http.Request, member) (status int, data any, err error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.authenticate(r)
		if err != nil {
			fail(w, refusal{http.StatusUnauthorized, "sign in first"})
			return
		}
		status, data, err := handle(r, who)
		if err != nil {
			fail(w, err)
			return
		}
		answer(w, status, envelope{true, data})
	}
}

func (s *server) authenticate(r *http.Request) (member, error) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return member{}, errors.New("no token")
	}
	var c claims
	_, err := jwt.ParseWithClaims(bearer, &c, func(*jwt.Token) (any, error) { return s.secret, nil },
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired(), jwt.WithLeeway(5*time.Second))
	if err != nil {
		return member{}, err
	}
	if !validID(c.Subject) || c.Role == "" {
		return member{}, errors.New("no member")
	}
	return member{c.Subject, c.Role}, nil
}

type envelope struct {
	Success bool `json:"success"`
	Data    any  `json:"data"`
}

// refusal is an error that the caller is told.
type refusal struct {
	status  int
	message string
}

func (r refusal) Error() string { return r.message }

func fail(w http.ResponseWriter, err error) {
	var r refusal
	if !errors.As(err, &r) {
		log.Print(err)
		r = refusal{http.StatusInternalServerError, "internal error"}
	}
	answer(w, r.status, map[string]any{"success": false, "error": map[string]string{"message": r.message}})
}

func answer(w http.ResponseWriter, status int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		log.Print(err)
		status, raw = http.StatusInternalServerError, []byte(`{"success":false}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(raw) // it fails when the caller has gone
}

// decode reads a body, and nothing that it does not know.
func decode(r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return refusal{http.StatusUnprocessableEntity, "the body cannot be read"}
	}
	return nil
}

// validID says that s is an ObjectID: 24 hex digits.
func validID(s string) bool {
	if len(s) != 24 {
		return false
	}
	_, err := hex.DecodeString(s)
	return err == nil
}

var (
	process [5]byte
	counter atomic.Uint32
)

func init() { rand.Read(process[:]) }

// newID makes an ObjectID.
func newID() string {
	var id [12]byte
	binary.BigEndian.PutUint32(id[:4], uint32(time.Now().Unix()))
	copy(id[4:9], process[:])
	n := counter.Add(1)
	id[9], id[10], id[11] = byte(n>>16), byte(n>>8), byte(n)
	return hex.EncodeToString(id[:])
}

// now in the precision that is stored.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }
