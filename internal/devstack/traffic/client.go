package traffic

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/pace"
)

// errStopping ends what a member is doing: no further request is sent.
var errStopping = errors.New("the traffic stops")

// outcome sorts how a request went.
type outcome int

const (
	served outcome = iota
	refused
	failed
	unexpected
)

// client sends requests to the servers in turn, at the pace that they keep up
// with.
type client struct {
	servers []string
	turn    atomic.Uint64
	http    *http.Client
	pace    *pace.Pace
	counts  counter
	note    func(string, ...any)
}

func newClient(o Options) *client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	return &client{
		servers: o.Servers,
		http:    &http.Client{Transport: transport, Timeout: answerTime},
		pace:    pace.New(pace.Options{Ceiling: o.Rate, Load: load, Abreast: o.Abreast}),
		note:    o.Note,
	}
}

const (
	// load is how many requests are under way on average. On two cores that
	// leaves one for all that goes on beside members.
	load = 0.75
	// abreast is how many are at most.
	abreast = 4
	// answerTime is when an answer counts as one that does not come. A server
	// gives up earlier.
	answerTime = 2 * time.Minute
)

// call is one request.
type call struct {
	method, path string
	token        string
	body         any // sent as JSON; a []byte as it is
	header       map[string]string
	may          []int // statuses beyond 2xx that are fine
}

// answer is what came back: the data of the envelope.
type answer struct {
	status int
	data   object
	err    string // what the server said was wrong
}

func (a answer) ok() bool { return a.status < 300 }

// send carries out one call. An error means that there is no usable answer:
// errStopping when nothing was sent, else a failure whose outcome is not known
// (uncertain) or a refusal that nobody expected.
func (c *client) send(ctx context.Context, q call) (answer, error) {
	end, err := c.pace.Begin(ctx)
	if err != nil {
		return answer{}, errStopping
	}
	began := time.Now()
	a, err := c.exchange(context.WithoutCancel(ctx), q)
	took := time.Since(began)
	end()
	switch {
	case err != nil:
		return a, c.lost(q, took, failed, err.Error())
	case a.status == http.StatusServiceUnavailable:
		return a, c.lost(q, took, failed, fmt.Sprintf("%d %s", a.status, a.err))
	case a.status >= 500: // a mistake of the server's, whatever is wrong around it
		return a, c.lost(q, took, unexpected, fmt.Sprintf("%d %s", a.status, a.err))
	case a.ok():
		c.counts.add(took, served, "")
		return a, nil
	case slices.Contains(q.may, a.status):
		c.counts.add(took, refused, "")
		return a, nil
	}
	sample := fmt.Sprintf("%s %s: %d %s", q.method, q.path, a.status, a.err)
	c.counts.add(took, unexpected, sample)
	c.note("unexpected answer: %s", sample)
	return a, errors.New(sample)
}

// uncertain is the error of a request whose outcome is not known.
type uncertain struct{ text string }

func (u uncertain) Error() string { return u.text }

func (c *client) lost(q call, took time.Duration, as outcome, what string) error {
	sample := fmt.Sprintf("%s %s: %s", q.method, q.path, what)
	c.counts.add(took, as, sample)
	c.note("failed request: %s", sample)
	return uncertain{sample}
}

func (c *client) exchange(ctx context.Context, q call) (answer, error) {
	body, err := q.encode()
	if err != nil {
		return answer{}, err
	}
	server := c.servers[c.turn.Add(1)%uint64(len(c.servers))]
	req, err := http.NewRequestWithContext(ctx, q.method, server+q.path, bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	q.dress(req, len(body) > 0)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return answer{}, err
	}
	return parse(resp.StatusCode, raw), nil
}

func (q call) encode() ([]byte, error) {
	switch b := q.body.(type) {
	case nil:
		return nil, nil
	case []byte:
		return b, nil
	}
	return json.Marshal(q.body)
}

func (q call) dress(req *http.Request, body bool) {
	if body {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	for name, value := range q.header {
		req.Header.Set(name, value)
	}
}

// parse reads the envelope. A body that is none is reported as it is.
func parse(status int, raw []byte) answer {
	var envelope struct {
		Data  json.RawMessage `json:"data"`
		Error struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Fields  json.RawMessage `json:"fields"`
		} `json:"error"`
	}
	a := answer{status: status}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		a.err = clip(string(raw))
		return a
	}
	a.err = clip(fmt.Sprintf("%s: %s %s", envelope.Error.Code, envelope.Error.Message, envelope.Error.Fields))
	a.data = parseObject(envelope.Data)
	return a
}

func clip(s string) string {
	if len(s) > 300 {
		return s[:300] + "…"
	}
	return s
}
