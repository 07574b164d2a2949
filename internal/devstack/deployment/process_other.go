//go:build !unix

package deployment

import (
	"errors"
	"os"
	"os/exec"
)

func detach(*exec.Cmd)              {}
func terminate(p *os.Process) error { return p.Kill() }

var errSignals = errors.New("deployment: processes can be killed and halted on Unix alone")

func kill(int) error { return errSignals }
func halt(int) error { return errSignals }
func goOn(int) error { return errSignals }

type guard struct{}

func guardProcess(int) (*guard, error) { return &guard{}, nil }
func (*guard) dismiss()                {}
