//go:build unix

package devstack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// runUser is the account that a server runs as; nil means our own.
type runUser struct{ uid, gid int }

// serverUser picks the account. PostgreSQL refuses to run as root, so root
// lends it to postgres, or to nobody where PostgreSQL's package is not
// installed.
func serverUser() (*runUser, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, err
		}
		return &runUser{uid, gid}, nil
	}
	return nil, errors.New("root cannot run PostgreSQL, and there is neither a user postgres nor a user nobody to run it as")
}

// own hands a path to the account.
func (u *runUser) own(path string) error {
	if u == nil {
		return nil
	}
	return os.Chown(path, u.uid, u.gid)
}

// attr starts a command as the account, and in a session of its own: the
// Ctrl-C that ends a test run must not end the server before the test has.
func (u *runUser) attr() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setsid: true}
	if u != nil {
		a.Credential = &syscall.Credential{Uid: uint32(u.uid), Gid: uint32(u.gid)}
	}
	return a
}

// watchdogScript waits for its input to end, which it does when we die, in
// whatever way: the kernel closes the pipe. Then it stops the server, if its
// pid file still tells the truth, and removes the directory ($3), if any.
// $1 is the pid file, whose first line is the pid, $2 the signal, which a frozen
// server would not hear. A server that
// ends removes or empties its pid file; that its pid is gone as well takes
// somebody to reap it, which not every container has.
const watchdogScript = `exec 2>/dev/null
trap '' INT TERM HUP
cat >/dev/null
file=$1
alive() { [ -s "$file" ] && kill -0 "$pid"; }
if read -r pid <"$file" && [ "$pid" -gt 1 ] && alive; then
	if [ ! -e /proc/self/cmdline ] || grep -aqF "$(dirname "$file")" /proc/"$pid"/cmdline; then
		kill -CONT "$pid" $(cat /proc/"$pid"/task/"$pid"/children)
		kill -"$2" "$pid"
		n=0
		while alive && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.1; done
		alive && kill -KILL "$pid"
	fi
fi
[ -z "$3" ] || rm -rf "$3"
`

// watchdog outlives us, to clear up after us. A death signal from the kernel
// would be simpler, but it is tied to the thread that started the process, is
// known to Linux alone, and removes no directory.
type watchdog struct {
	input io.WriteCloser
	cmd   *exec.Cmd
}

// watch starts a watchdog for the server whose pid file is given.
func watch(pidFile, signal, removeDir string) (*watchdog, error) {
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "devstack-watchdog", pidFile, signal, removeDir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Dir = "/"
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog: %w", err)
	}
	return &watchdog{input, cmd}, nil
}

// dismiss lets the watchdog do its work now and waits for it.
func (w *watchdog) dismiss() error {
	w.input.Close()
	return w.cmd.Wait()
}

// interrupt asks for an orderly end: PostgreSQL drops its clients and writes a
// checkpoint.
func interrupt(p *os.Process) error { return p.Signal(syscall.SIGINT) }

// quit asks for an end at once, with no checkpoint.
func quit(p *os.Process) error { return p.Signal(syscall.SIGQUIT) }

// killTree kills a postmaster and its children as a power cut would. The
// postmaster is halted first, so that it cannot start or tell a child
// meanwhile.
func killTree(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	kids := children(p.Pid)
	err := p.Kill()
	for _, kid := range kids {
		// A child that has ended by itself is as good as killed.
		_ = syscall.Kill(kid, syscall.SIGKILL)
	}
	for _, kid := range kids {
		awaitDeath(kid)
	}
	return err
}

// freezeTree halts a server and its children, which keep their connections and
// answer nothing until thawTree. The server goes first, so that it starts no
// child meanwhile.
func freezeTree(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	return signalAll(children(p.Pid), syscall.SIGSTOP)
}

// thawTree lets a server and its children go on. The server goes last, so that
// none of its children is forgotten.
func thawTree(p *os.Process) error {
	return errors.Join(signalAll(children(p.Pid), syscall.SIGCONT), p.Signal(syscall.SIGCONT))
}

// signalAll sends a signal to all that are still there.
func signalAll(pids []int, s syscall.Signal) error {
	var errs []error
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// awaitDeath waits until a process is gone, or a few seconds. A killed orphan
// that nobody reaps stays a zombie and counts as gone.
func awaitDeath(pid int) {
	for range 300 {
		if syscall.Kill(pid, 0) != nil || zombie(pid) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func zombie(pid int) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// children returns the pids of a process's children.
func children(pid int) []int {
	id := strconv.Itoa(pid)
	if list, err := os.ReadFile(filepath.Join("/proc", id, "task", id, "children")); err == nil {
		return pids(string(list))
	}
	list, _ := exec.Command("pgrep", "-P", id).Output() // fails when there are none
	return pids(string(list))
}

func pids(list string) []int {
	var all []int
	for _, field := range strings.Fields(list) {
		if pid, err := strconv.Atoi(field); err == nil {
			all = append(all, pid)
		}
	}
	return all
}
