//go:build chaos && unix

package failpoint

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

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
	if os.Rename(file, file+Hit+strconv.Itoa(os.Getpid())) != nil {
		return // another goroutine carries it out
	}
	send(signals[string(words[1])])
}

// settle is more than a signal takes to arrive: nothing is done until then.
const settle = 20 * time.Millisecond

func send(s syscall.Signal) {
	if err := syscall.Kill(os.Getpid(), s); err != nil {
		panic(fmt.Sprintf("failpoint: %v", err))
	}
	time.Sleep(settle)
}
