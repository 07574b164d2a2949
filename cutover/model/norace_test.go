//go:build model && !race

package model

const raceEnabled = false
