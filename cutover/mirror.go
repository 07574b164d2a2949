package cutover

import (
	"context"
	"time"
)

// stateMirror is the copy of a domain's state that the source keeps, where the
// source is a StateMirror.
type stateMirror struct{ *base }

// mirrorTime bounds an exchange with the mirror, which may be silent: it is a
// single read or write of a small document.
const mirrorTime = 3 * time.Second

// store returns the store that keeps the copy, nil when none does.
func (m *stateMirror) store() StateMirror {
	s, _ := m.source.(StateMirror)
	return s
}

func (m *stateMirror) present() bool { return m.store() != nil }

// read reads the copy, which must be present.
func (m *stateMirror) read(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, mirrorTime)
	defer cancel()
	s, err := m.store().ReadState(ctx)
	return s, unanswered(err)
}

// write writes the copy, if there is to be one.
func (m *stateMirror) write(ctx context.Context, s State) error {
	if !m.present() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTime)
	defer cancel()
	return unanswered(m.store().WriteState(ctx, s))
}

// reconcile brings the copy up to the control plane's state, which a crashed
// coordinator may have left behind.
func (m *stateMirror) reconcile(ctx context.Context, s State) error {
	if !m.present() {
		return nil
	}
	copied, err := m.read(ctx)
	if err != nil || copied.Epoch >= s.Epoch {
		return err
	}
	return m.write(ctx, s)
}
