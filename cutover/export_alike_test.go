package cutover

// Alike is alike, for the tests of canonical forms.
var Alike = alike
