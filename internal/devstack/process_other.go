//go:build !unix

package devstack

import (
	"errors"
	"os"
	"syscall"
)

var errNotUnix = errors.New("devstack starts servers on Unix only; set " + EnvPostgres + " and " + EnvMongo + " to use running ones")

type runUser struct{}

func serverUser() (*runUser, error)         { return nil, errNotUnix }
func (*runUser) own(string) error           { return nil }
func (*runUser) attr() *syscall.SysProcAttr { return nil }

type watchdog struct{}

func watch(_, _, _ string) (*watchdog, error) { return nil, errNotUnix }
func (*watchdog) dismiss() error              { return nil }

func interrupt(p *os.Process) error { return p.Kill() }
func quit(p *os.Process) error      { return p.Kill() }
func killTree(p *os.Process) error  { return p.Kill() }
func freezeTree(*os.Process) error  { return errNotUnix }
func thawTree(*os.Process) error    { return errNotUnix }
