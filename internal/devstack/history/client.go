package history

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// clientTime is when an answer counts as one that does not come. A server gives
// up earlier, unless it is halted.
const clientTime = await.Hang

// pool keeps a connection for each client.
var pool = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}

// fate is what is known of a request afterwards.
type fate int

const (
	done    fate = iota // answered with success
	refused             // not now, or somebody else was first: nothing was written
	wrong               // refused for a reason that nobody has given cause for
	unknown             // no answer, or one that does not say
)

// request is one HTTP request to one of the servers.
type request struct {
	method, path, token string
	body                any
}

// ask sends a request and reads the data of the answer into into, when it was
// done. The text says what became of it when it was not.
func ask(ctx context.Context, server string, q request, into any) (fate, string) {
	// A request under way is finished whatever happens to ctx, so that fewer
	// outcomes are unknown.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), clientTime)
	defer cancel()
	resp, err := q.send(ctx, server)
	if err != nil {
		return unknown, err.Error()
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return unknown, err.Error()
	}
	return judge(resp.StatusCode, raw, into)
}

func (q request) send(ctx context.Context, server string) (*http.Response, error) {
	var body io.Reader
	if q.body != nil {
		raw, err := json.Marshal(q.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, server+q.path, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if q.token != "" {
		req.Header.Set("Authorization", "Bearer "+q.token)
	}
	return pool.Do(req)
}

// nothingWritten is what the API says where it says so.
const nothingWritten = "nothing was written"

// judge says what an answer promises. A conflict comes before anything is
// written, and so do other refusals of the request (4xx). Of the rest only those
// count as not done that say so.
func judge(status int, raw []byte, into any) (fate, string) {
	var envelope struct {
		Data  json.RawMessage                `json:"data"`
		Error struct{ Code, Message string } `json:"error"`
	}
	if err := json.Unmarshal(raw, &envelope); err != nil {
		return unknown, fmt.Sprintf("%d, and no JSON: %v", status, err)
	}
	text := fmt.Sprintf("%d %s: %s", status, envelope.Error.Code, envelope.Error.Message)
	switch {
	case status < 300:
		if err := json.Unmarshal(envelope.Data, into); err != nil {
			return unknown, fmt.Sprintf("%d, and not what was asked for: %v", status, err)
		}
		return done, ""
	case status == http.StatusConflict, strings.Contains(envelope.Error.Message, nothingWritten):
		return refused, text
	case status < 500:
		return wrong, text
	}
	return unknown, text
}
