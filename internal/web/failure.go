package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// Failure is the envelope of every answer with an error.
type Failure struct {
	Success bool      `json:"success"`
	Detail  ErrorBody `json:"error"`

	status     int
	retryAfter time.Duration
}

// ErrorBody says what went wrong. Code is a fault.Kind, or one of
// method_not_allowed, too_large and unsupported_media_type.
type ErrorBody struct {
	Code      string            `json:"code" doc:"What sort of error it is"`
	Message   string            `json:"message"`
	Fields    map[string]string `json:"fields,omitempty" doc:"Path of a field in the request → what is wrong with it"`
	RequestID string            `json:"requestId,omitempty" doc:"Names the request in the server's log"`
}

var failureType = reflect.TypeFor[Failure]()

// statusOf maps the kinds of faults to status codes.
var statusOf = map[fault.Kind]int{
	fault.Invalid:         http.StatusBadRequest,
	fault.Unauthenticated: http.StatusUnauthorized,
	fault.Forbidden:       http.StatusForbidden,
	fault.NotFound:        http.StatusNotFound,
	fault.Conflict:        http.StatusConflict,
	fault.Locked:          http.StatusLocked,
	fault.RateLimited:     http.StatusTooManyRequests,
	fault.Unavailable:     http.StatusServiceUnavailable,
	fault.Internal:        http.StatusInternalServerError,
}

// codeOf names the errors that come out of HTTP itself.
var codeOf = map[int]string{
	http.StatusNotFound:              string(fault.NotFound),
	http.StatusMethodNotAllowed:      "method_not_allowed",
	http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType:  "unsupported_media_type",
	http.StatusInternalServerError:   string(fault.Internal),
}

// Error, GetStatus and GetHeaders make a Failure an error that huma answers
// as it is.
func (f *Failure) Error() string { return f.Detail.Message }

// GetStatus returns the HTTP status.
func (f *Failure) GetStatus() int { return f.status }

// GetHeaders returns Retry-After and WWW-Authenticate where they belong.
func (f *Failure) GetHeaders() http.Header {
	h := http.Header{}
	if s := f.retrySeconds(); s > 0 {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	if f.status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer")
	}
	return h
}

// retrySeconds is never 0 for what is worth trying again soon.
func (f *Failure) retrySeconds() int {
	if s := int(math.Ceil(f.retryAfter.Seconds())); s > 0 {
		return s
	}
	if f.status == http.StatusServiceUnavailable || f.status == http.StatusTooManyRequests {
		return 1
	}
	return 0
}

// failureOf turns what a handler returned into an answer, and logs what the
// answer must not tell.
func (a *API) failureOf(ctx context.Context, err error) *Failure {
	err = namedContextError(ctx, err)
	kind := fault.KindOf(err)
	f := &Failure{status: statusOf[kind], Detail: ErrorBody{Code: string(kind), RequestID: RequestID(ctx)}}
	var e *fault.Error
	if errors.As(err, &e) && kind != fault.Internal {
		f.Detail.Message, f.Detail.Fields, f.retryAfter = e.Message, e.Fields, e.RetryAfter
	} else {
		f.Detail.Message = "internal error"
	}
	a.logFailure(ctx, kind, err)
	return f
}

// namedContextError gives a kind to the errors of an ended context: they say
// nothing about this server being broken.
func namedContextError(ctx context.Context, err error) error {
	var e *fault.Error
	if errors.As(err, &e) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) || (errors.Is(err, context.Canceled) && ctx.Err() != nil) {
		return fault.Wrap(err, fault.Unavailable, "the request took too long or was given up")
	}
	return err
}

func (a *API) logFailure(ctx context.Context, kind fault.Kind, err error) {
	switch kind {
	case fault.Internal:
		a.log.ErrorContext(ctx, "internal error", "requestId", RequestID(ctx), "error", err.Error())
	case fault.Unavailable:
		a.log.WarnContext(ctx, "unavailable", "requestId", RequestID(ctx), "error", err.Error())
	}
}

// refuse answers a huma request before its handler runs.
func (a *API) refuse(ctx huma.Context, err error) {
	f := a.failureOf(ctx.Context(), err)
	for name, values := range f.GetHeaders() {
		ctx.SetHeader(name, values[0])
	}
	ctx.SetHeader("Content-Type", "application/json")
	ctx.SetStatus(f.status)
	_ = json.NewEncoder(ctx.BodyWriter()).Encode(f) // the caller may have gone
}

// writeFailure answers outside of huma.
func (a *API) writeFailure(w http.ResponseWriter, f *Failure) {
	for name, values := range f.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	_ = json.NewEncoder(w).Encode(f) // the caller may have gone
}

// plainFailure is a Failure of HTTP itself.
func plainFailure(ctx context.Context, status int, message string) *Failure {
	code := codeOf[status]
	if code == "" {
		code = string(fault.Invalid)
	}
	return &Failure{status: status, Detail: ErrorBody{Code: code, Message: message, RequestID: RequestID(ctx)}}
}

// huma keeps these in variables of its package. They are set once, before any
// API can be made.
func init() {
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		return validationFailure(ctx.Context(), status, msg, errs)
	}
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return validationFailure(context.Background(), status, msg, errs)
	}
	huma.ErrorFormatter = formatWithoutCause
	// Otherwise {"role":"buyer","ROLE":"admin"} would be validated by its
	// first field and decoded by its second.
	huma.ValidateStrictCasing = true
}

// formatWithoutCause leaves out parser errors: they repeat what was sent.
func formatWithoutCause(format string, args ...any) string {
	if short, has := strings.CutSuffix(format, ": %v"); has {
		return short
	}
	return fmt.Sprintf(format, args...)
}

// validationFailure turns huma's findings into an answer that names fields
// and repeats no value.
func validationFailure(ctx context.Context, status int, msg string, errs []error) *Failure {
	switch status {
	case http.StatusUnprocessableEntity, http.StatusRequestTimeout:
		status = http.StatusBadRequest
	case http.StatusInternalServerError: // only an unreadable body comes this way
		status, msg, errs = http.StatusBadRequest, "the request body could not be read", nil
	case http.StatusRequestEntityTooLarge:
		msg = fmt.Sprintf("the request body has more than %d bytes", MaxBody)
	case http.StatusUnsupportedMediaType:
		msg, errs = "send application/json", nil
	}
	f := plainFailure(ctx, status, msg)
	for _, err := range errs {
		if err != nil {
			f.addField(err)
		}
	}
	return f
}

func (f *Failure) addField(err error) {
	field, what := fieldError(err)
	if f.Detail.Fields == nil {
		f.Detail.Fields = map[string]string{}
		f.Detail.Message = field + ": " + what
	}
	if _, known := f.Detail.Fields[field]; !known {
		f.Detail.Fields[field] = what
	}
}

// fieldError returns the path of the field, without where it travels (body,
// query …), and what is wrong.
func fieldError(err error) (field, what string) {
	var d *huma.ErrorDetail
	if !errors.As(err, &d) {
		return "body", "not readable"
	}
	where, path, _ := strings.Cut(d.Location, ".")
	var missing string
	switch n, _ := fmt.Sscanf(d.Message, validation.MsgExpectedRequiredProperty, &missing); {
	case n == 1:
		return strings.TrimPrefix(path+"."+missing, "."), "is required"
	case path == "" && isDecoding(d):
		return undecodable(d.Value.(string))
	case path == "":
		return where, d.Message
	case d.Message == validation.MsgExpectedMatchAtLeastOneSchema:
		return path, "want a plain number, as a JSON string or number"
	}
	return path, d.Message
}

// undecodable says what is wrong with a body. huma keeps no more of a decoder's
// error than its text, so the body is looked at again.
func undecodable(body string) (field, what string) {
	var e *fault.Error
	if errors.As(CheckJSON([]byte(body)), &e) {
		for field, what := range e.Fields {
			return field, what
		}
	}
	return "body", "not readable as the JSON that this route takes"
}

// isDecoding tells a decoder's error, which names Go types, from a finding of
// the validation: only the first comes with the raw body.
func isDecoding(d *huma.ErrorDetail) bool {
	_, raw := d.Value.(string)
	return raw && d.Location == "body"
}
