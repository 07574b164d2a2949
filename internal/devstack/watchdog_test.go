package devstack

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// envVictim makes the test program start a server and wait to be killed.
const envVictim = "DEVSTACK_TEST_VICTIM"

func TestMain(m *testing.M) {
	if os.Getenv(envVictim) != "" {
		victim()
	}
	if os.Getenv(envStandIn) != "" {
		standIn()
	}
	os.Exit(m.Run())
}

// victim is the process that TestPostgres_DiesWithItsKilledParent kills.
func victim() {
	p, err := StartPostgres(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Printf("victim %s %s\n", p.root, p.url.Host)
	time.Sleep(time.Minute)
	os.Exit(1)
}

func TestPostgres_DiesWithItsKilledParent(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envVictim+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var root, host string
	for lines := bufio.NewScanner(out); root == "" && lines.Scan(); {
		fmt.Sscanf(lines.Text(), "victim %s %s", &root, &host)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); !strings.Contains(fmt.Sprint(err), "killed") {
		t.Fatalf("want the victim killed, got %v", err)
	}
	if root == "" {
		t.Fatal("want the victim to start a server, it did not")
	}
	awaitGone(t, root, host)
}

// awaitGone waits until a server's directory and port are gone.
func awaitGone(t *testing.T, root, host string) {
	t.Helper()
	for range 100 {
		_, statErr := os.Stat(root)
		conn, dialErr := net.Dial("tcp", host)
		if dialErr == nil {
			conn.Close()
		}
		if errors.Is(statErr, os.ErrNotExist) && dialErr != nil {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("want %s and the server at %s gone within ten seconds of the kill", root, host)
}
