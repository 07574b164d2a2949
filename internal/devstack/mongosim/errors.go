package mongosim

import (
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// The codes that this server answers with.
// https://www.mongodb.com/docs/v7.0/reference/error-codes/
const (
	codeInternal              = 1
	codeBadValue              = 2
	codeFailedToParse         = 9
	codeTypeMismatch          = 14
	codeInvalidLength         = 16
	codeIllegalOperation      = 20
	codeInvalidBSON           = 22
	codeNamespaceNotFound     = 26
	codeIndexNotFound         = 27
	codePathNotViable         = 28
	codeInvalidIDField        = 53
	codeConflictingUpdates    = 40
	codeCursorNotFound        = 43
	codeNamespaceExists       = 48
	codeMaxTimeExpired        = 50
	codeDollarPrefixed        = 52
	codeEmptyFieldName        = 56
	codeCommandNotFound       = 59
	codeWriteConcernTimeout   = 64
	codeImmutableField        = 66
	codeCannotCreateIndex     = 67
	codeInvalidOptions        = 72
	codeInvalidNamespace      = 73
	codeNotReplicaSet         = 123
	codeUnknownWriteConcern   = 79
	codeIndexOptionsConflict  = 85
	codeIndexKeySpecsConflict = 86
	codeShutdown              = 91
	codeUnsatisfiable         = 100
	codeWriteConflict         = 112
	codeParallelArrays        = 171
	codePlanKilled            = 175
	codeSteppedDown           = 189
	codeTransactionTooOld     = 225
	codeNotImplemented        = 238
	codeSnapshotTooOld        = 239
	codeSnapshotUnavailable   = 246
	codeNoSuchTransaction     = 251
	codeTransactionCommitted  = 256
	codeNotInTransaction      = 263
	codeHistoryLost           = 286
	codeNotWritablePrimary    = 10107
	codeTooLarge              = 10334
	codeDuplicateKey          = 11000
	codeInterrupted           = 11602
	codeNotPrimaryNoSecondary = 13435
	codeUnknownField          = 40415
)

var codeNames = map[int]string{
	codeInternal: "InternalError", codeBadValue: "BadValue", codeFailedToParse: "FailedToParse",
	codeTypeMismatch: "TypeMismatch", codeInvalidLength: "InvalidLength", codeInvalidIDField: "InvalidIdField",
	codeIllegalOperation: "IllegalOperation", codeInvalidBSON: "InvalidBSON",
	codeNamespaceNotFound: "NamespaceNotFound", codeIndexNotFound: "IndexNotFound", codePathNotViable: "PathNotViable",
	codeConflictingUpdates: "ConflictingUpdateOperators", codeCursorNotFound: "CursorNotFound",
	codeNamespaceExists: "NamespaceExists", codeMaxTimeExpired: "MaxTimeMSExpired",
	codeDollarPrefixed: "DollarPrefixedFieldName", codeEmptyFieldName: "EmptyFieldName",
	codeCommandNotFound: "CommandNotFound", codeWriteConcernTimeout: "WriteConcernFailed",
	codeImmutableField: "ImmutableField", codeCannotCreateIndex: "CannotCreateIndex",
	codeInvalidOptions: "InvalidOptions", codeInvalidNamespace: "InvalidNamespace",
	codeNotReplicaSet: "NotAReplicaSet", codeUnknownWriteConcern: "UnknownReplWriteConcern",
	codeIndexOptionsConflict: "IndexOptionsConflict", codeIndexKeySpecsConflict: "IndexKeySpecsConflict",
	codeShutdown: "ShutdownInProgress", codeUnsatisfiable: "UnsatisfiableWriteConcern",
	codeWriteConflict: "WriteConflict", codeParallelArrays: "CannotIndexParallelArrays", codePlanKilled: "QueryPlanKilled",
	codeSteppedDown: "PrimarySteppedDown", codeTransactionTooOld: "TransactionTooOld", codeNotImplemented: "NotImplemented",
	codeSnapshotTooOld: "SnapshotTooOld", codeSnapshotUnavailable: "SnapshotUnavailable",
	codeNoSuchTransaction: "NoSuchTransaction", codeTransactionCommitted: "TransactionCommitted",
	codeNotInTransaction: "OperationNotSupportedInTransaction", codeHistoryLost: "ChangeStreamHistoryLost",
	codeNotWritablePrimary: "NotWritablePrimary", codeTooLarge: "BSONObjectTooLarge",
	codeDuplicateKey: "DuplicateKey", codeInterrupted: "InterruptedDueToReplStateChange",
	codeNotPrimaryNoSecondary: "NotPrimaryNoSecondaryOk",
}

// refusal is an error that the client is told.
type refusal struct {
	code   int
	msg    string
	labels []string
	more   bson.D // what else stands in the answer, such as keyValue
}

func (r *refusal) Error() string { return fmt.Sprintf("(%s) %s", r.name(), r.msg) }

func (r *refusal) name() string {
	if name := codeNames[r.code]; name != "" {
		return name
	}
	return fmt.Sprintf("Location%d", r.code)
}

// refuse makes an error that the client is told.
func refuse(code int, format string, args ...any) error {
	return &refusal{code: code, msg: fmt.Sprintf(format, args...)}
}

// asRefusal makes any error one that can be told.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{code: codeInternal, msg: err.Error()}
}

func hasCode(err error, codes ...int) bool {
	var r *refusal
	return errors.As(err, &r) && slices.Contains(codes, r.code)
}

// body is the refusal as fields of an answer or of a write error.
func (r *refusal) body() bson.D {
	return append(bson.D{
		{Key: "errmsg", Value: r.msg},
		{Key: "code", Value: int32(r.code)},
		{Key: "codeName", Value: r.name()},
	}, r.more...)
}

// errHangUp is the error of a command whose connection breaks instead of an answer.
var errHangUp = errors.New("mongosim: the connection breaks")
