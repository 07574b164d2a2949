package deployment

import "context"

// Begin is the first part of a Run: it starts the move and copies what was there
// before, to phase dual.
func (m *Move) Begin(ctx context.Context) error { return m.begin(ctx) }

// Switch is the second: the first switch, with all that it asks for, to phase
// mirror.
func (m *Move) Switch(ctx context.Context) (Turn, error) { return m.turn(ctx, "switch", true) }
