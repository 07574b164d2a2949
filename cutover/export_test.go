package cutover

// Blind has e's comparisons overlook pairs whose differences f says yes to; a
// missing record has none.
func (e *Engine) Blind(f func([]FieldDiff) bool) {
	e.blind = func(diff func() []FieldDiff) bool { return f(diff()) }
}
