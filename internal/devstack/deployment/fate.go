package deployment

import (
	"context"
	"fmt"
)

// What befalls processes: kill -9, SIGSTOP, SIGCONT.

// PID returns a server's process id.
func (d *Deployment) PID(server int) int { return d.servers[server].cmd.Process.Pid }

// CommandPID returns the process id of a command that runs.
func (d *Deployment) CommandPID() (pid int, runs bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for pid := range d.commands {
		return pid, true
	}
	return 0, false
}

// ProcessOf says which process has that id: a server by its place, or
// Commands.
func (d *Deployment) ProcessOf(pid int) (process int, known bool) {
	for _, s := range d.servers {
		if s.cmd.Process.Pid == pid {
			return s.place, true
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return Commands, d.commands[pid]
}

// Kill ends a process of this deployment at once, and waits until a server is
// gone. For this, as for Halt and Continue, one that has ended already is no
// error.
func (d *Deployment) Kill(pid int) error {
	err := d.signal(pid, kill)
	for _, s := range d.servers {
		if err == nil && s.cmd.Process.Pid == pid {
			<-s.exited
		}
	}
	return err
}

// Halt stops a process where it is.
func (d *Deployment) Halt(pid int) error { return d.signal(pid, halt) }

// Continue has a halted process go on.
func (d *Deployment) Continue(pid int) error { return d.signal(pid, goOn) }

// signal sends only to processes that are ours: an id may have gone to another.
func (d *Deployment) signal(pid int, send func(int) error) error {
	process, known := d.ProcessOf(pid)
	if !known || process != Commands && d.servers[process].check() != nil {
		return nil
	}
	return send(pid)
}

// Revive starts the servers that have ended again, at their addresses, has
// those that were halted go on, and waits until all answer.
func (d *Deployment) Revive(ctx context.Context) error {
	if pid, runs := d.CommandPID(); runs {
		if err := d.Continue(pid); err != nil {
			return err
		}
	}
	for _, s := range d.servers {
		if err := s.revive(d); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for _, s := range d.servers {
		if err := s.await(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *server) revive(d *Deployment) error {
	if s.check() == nil {
		return goOn(s.cmd.Process.Pid)
	}
	s.guard.dismiss()
	return s.start(d)
}
