//go:build model && race

package model

const raceEnabled = true
