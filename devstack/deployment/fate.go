package deployment

import (
	"context"
	"fmt"
	"os"
)

// PID gives a server's process id.
func (d *Deployment) PID(server int) int { return d.servers[server].cmd.Process.Pid }

// Kill ends a server at once, as kill -9 does, and waits until it is gone. One
// that has ended already is no error.
func (d *Deployment) Kill(pid int) error {
	for _, s := range d.servers {
		if s.cmd.Process.Pid != pid || s.check() != nil {
			continue
		}
		if err := s.cmd.Process.Signal(os.Kill); err != nil {
			return err
		}
		<-s.exited
	}
	return nil
}

// Revive starts the servers that have ended again, at their addresses, and
// waits until all answer.
func (d *Deployment) Revive(ctx context.Context) error {
	for _, s := range d.servers {
		if s.check() == nil {
			continue
		}
		s.guard.dismiss()
		if err := s.start(d); err != nil {
			return err
		}
	}
	for _, s := range d.servers {
		if err := s.await(ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
