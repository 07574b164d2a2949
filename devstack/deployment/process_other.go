//go:build !unix

package deployment

import (
	"os"
	"os/exec"
)

func detach(*exec.Cmd)              {}
func terminate(p *os.Process) error { return p.Kill() }

type guard struct{}

func guardProcess(int) (*guard, error) { return &guard{}, nil }
func (*guard) dismiss()                {}
