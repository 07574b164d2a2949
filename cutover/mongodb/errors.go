package mongodb

import (
	"context"
	"errors"
	"strings"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/amanat-dev/amanat/cutover/fault"
)

// sent says whether an operation may have changed something.
type sent bool

const (
	reading sent = false
	writing sent = true
)

const (
	messageAway    = "the database is not available"
	messageUnknown = "the outcome of the write is not known"
)

// translate turns the driver's errors into faults; all others pass. After a
// write, any failure that is not the server's own refusal leaves the outcome
// open. A cancelled context passes as it is when nothing can have changed.
func translate(err error, s sent) error {
	var known *fault.Error
	var dropped *crash
	switch {
	case err == nil, errors.As(err, &known), errors.As(err, &dropped):
		return err
	case isDuplicate(err):
		return fault.Wrap(err, fault.Conflict, "another record has this value already")
	case notSent(err):
		return fault.Wrap(err, fault.Unavailable, messageAway)
	case isRefusal(err):
		return fault.Wrap(err, fault.Internal, "the database refused the operation")
	case s == writing:
		return fault.Wrap(err, fault.Unavailable, messageUnknown)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case isAway(err):
		return fault.Wrap(err, fault.Unavailable, messageAway)
	}
	return fault.Wrap(err, fault.Internal, "the database operation failed")
}

// isDuplicate says that a unique rule was broken. FerretDB reports it as such
// for inserts only; for the rest it passes PostgreSQL's text on.
func isDuplicate(err error) bool {
	return mongo.IsDuplicateKeyError(err) || serverText(err, "SQLSTATE 23505")
}

// notSent says that no server was there to send the operation to.
func notSent(err error) bool {
	var selection topology.ServerSelectionError
	var queue topology.WaitQueueTimeoutError
	return errors.As(err, &selection) || errors.As(err, &queue) || errors.Is(err, mongo.ErrClientDisconnected)
}

// isRefusal says that the server itself answered that it did nothing.
func isRefusal(err error) bool {
	var server mongo.ServerError
	if !errors.As(err, &server) || isAway(err) || concernFailed(err) {
		return false
	}
	if serverText(err, "SQLSTATE 22") { // a value that cannot be stored
		return true
	}
	return !server.HasErrorCode(codeInternal)
}

// codeInternal is MongoDB's InternalError: what FerretDB answers when the
// server underneath fails.
const codeInternal = 1

// awayCodes are those with which a server says that it is not the one to ask
// at the moment: not primary, recovering, shutting down, timed out.
var awayCodes = []int{6, 7, 50, 89, 91, 189, 262, 9001, 10058, 10107, 11600, 11602, 13435, 13436}

func isAway(err error) bool {
	if mongo.IsNetworkError(err) || mongo.IsTimeout(err) {
		return true
	}
	var server mongo.ServerError
	if !errors.As(err, &server) {
		var conn topology.ConnectionError
		return errors.As(err, &conn)
	}
	for _, code := range awayCodes {
		if server.HasErrorCode(code) {
			return true
		}
	}
	return server.HasErrorCode(codeInternal)
}

// concernFailed says that a write was done but not by a majority.
func concernFailed(err error) bool {
	var we mongo.WriteException
	var be mongo.BulkWriteException
	return errors.As(err, &we) && we.WriteConcernError != nil ||
		errors.As(err, &be) && be.WriteConcernError != nil
}

func serverText(err error, text string) bool {
	var server mongo.ServerError
	return errors.As(err, &server) && strings.Contains(err.Error(), text)
}

func isCrash(err error) bool {
	var c *crash
	return errors.As(err, &c)
}

func isUnknown(err error) bool {
	var u *unknown
	return errors.As(err, &u)
}
