//go:build chaos && unix

package step

import (
	"bytes"
	"fmt"
	"os"
	"syscall"
	"time"
)

// File is the environment variable that names this process's order: a file with
// one line, a step's name and a signal, "copy.applied KILL" or "switch.flipped
// STOP". The process that passes the step renames the file to name.hit, and
// sends itself the signal. The file may come and go while the process runs.
const File = "AMANAT_STEP_FILE"

// Hit is what is appended to the file's name when its order is carried out.
const Hit = ".hit"

var file = os.Getenv(File)

var signals = map[string]syscall.Signal{"KILL": syscall.SIGKILL, "STOP": syscall.SIGSTOP}

// At passes a step: it carries out the order for it, if there is one.
func At(passed Name) {
	if file == "" {
		return
	}
	order, err := os.ReadFile(file)
	if err != nil {
		return // none has been given
	}
	words := bytes.Fields(order)
	if len(words) != 2 || string(words[0]) != string(passed) {
		return
	}
	if os.Rename(file, file+Hit) != nil {
		return // another goroutine carries it out
	}
	send(signals[string(words[1])])
}

// settle is more than a signal takes to arrive: nothing is done until then.
const settle = 20 * time.Millisecond

func send(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(fmt.Sprintf("step: %v", err))
	}
	time.Sleep(settle)
}
