package deployment

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/amanat-dev/amanat/internal/devstack/await"
)

// server is one `amanat serve`, which may be started again after its end.
type server struct {
	place  int
	name   string
	port   int
	url    string
	cmd    *exec.Cmd
	log    *os.File
	guard  *guard
	exited chan struct{}
	err    error // how it ended, once exited is closed
}

func (d *Deployment) newServer(place, port int) (*server, error) {
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, err
		}
	}
	return &server{place: place, name: fmt.Sprintf("server%d", place+1), port: port, url: "http://127.0.0.1:" + strconv.Itoa(port)}, nil
}

func (s *server) start(d *Deployment) (err error) {
	if s.log, err = os.OpenFile(filepath.Join(d.o.Dir, s.name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
		return err
	}
	cmd := exec.Command(d.o.Binary, "serve")
	cmd.Stdout, cmd.Stderr = s.log, s.log
	cmd.Dir = d.o.Dir
	cmd.Env = slices.Concat(d.env, d.own(s.place), []string{"PORT=" + strconv.Itoa(s.port), "INSTANCE=" + s.name})
	detach(cmd)
	if err := cmd.Start(); err != nil {
		s.log.Close()
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	exited := make(chan struct{})
	s.cmd, s.exited = cmd, exited
	go func(log *os.File) {
		s.err = cmd.Wait()
		log.Close()
		close(exited)
	}(s.log)
	s.guard, err = guardProcess(cmd.Process.Pid)
	return err
}

// await waits until the server answers.
func (s *server) await(ctx context.Context) error {
	return await.Until(ctx, s.name+" to answer on "+s.url, 50*time.Millisecond, func() (bool, string, error) {
		return healthy(ctx, s.url), "", s.check()
	})
}

func healthy(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // a halted one says nothing
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/health", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	return resp.StatusCode == http.StatusOK
}

// check says that and how the server has ended; nil while it runs.
func (s *server) check() error {
	select {
	case <-s.exited:
		return fmt.Errorf("%s has ended: %v; its log ends with:\n%s", s.name, s.err, tail(s.log.Name(), 20))
	default:
		return nil
	}
}

// stopTime is when a server counts as one that hangs: it finishes requests first,
// for half a minute at most.
const stopTime = 2 * time.Minute

// stop asks the server to end, and ends it when it takes too long.
func (s *server) stop() error {
	if s.cmd == nil {
		return nil // it was never started
	}
	defer s.guard.dismiss()
	if err := s.check(); err != nil {
		return err
	}
	if err := terminate(s.cmd.Process); err != nil {
		return err
	}
	select {
	case <-s.exited:
		return nil
	case <-time.After(stopTime):
		_ = s.cmd.Process.Kill() // it can only have ended
		<-s.exited
		return fmt.Errorf("%s did not end within %s of being asked to; its log ends with:\n%s", s.name, stopTime, tail(s.log.Name(), 20))
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
