//go:build unix

package deployment

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// detach keeps a terminal's Ctrl-C from the process: whoever started it ends
// it, in order.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func terminate(p *os.Process) error { return p.Signal(syscall.SIGTERM) }

func kill(pid int) error { return living(syscall.Kill(pid, syscall.SIGKILL)) }
func halt(pid int) error { return living(syscall.Kill(pid, syscall.SIGSTOP)) }
func goOn(pid int) error { return living(syscall.Kill(pid, syscall.SIGCONT)) }

// living makes no error of a process that has just ended.
func living(err error) error {
	if errors.Is(err, syscall.ESRCH) {
		return nil
	}
	return err
}

// guard ends a process should we die without having done so.
type guard struct {
	cmd   *exec.Cmd
	input io.WriteCloser
}

// guardScript waits for its input to end, which it does when we die in
// whatever way.
const guardScript = `trap '' INT TERM HUP; cat >/dev/null; kill -TERM "$1"; sleep 10; kill -KILL "$1"`

func guardProcess(pid int) (*guard, error) {
	cmd := exec.Command("/bin/sh", "-c", guardScript, "guard", strconv.Itoa(pid))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &guard{cmd, input}, cmd.Start()
}

// dismiss ends the guard without its doing anything.
func (g *guard) dismiss() {
	_ = syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL) // with its cat; it has a session of its own
	_ = g.cmd.Wait()                                      // killed, as meant
	_ = g.input.Close()
}
