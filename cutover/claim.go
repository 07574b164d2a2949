package cutover

import "errors"

// ErrClaimLost is the cause with which WithChunk fails when its claim ended
// while somebody worked on the chunk, although the work itself was not given up:
// such as when the server ended the session that held the claim, since it was
// silent for too long on a busy machine.
var ErrClaimLost = errors.New("cutover: the claim of a chunk was lost")
