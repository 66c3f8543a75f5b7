package pgtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/daybook-ledger/daybook/adapters/embeddedpg"
)

// stopScript waits until nobody uses the cluster and stops the server then. It
// holds the users' lock until the server is gone, so that who comes meanwhile
// starts a new one. Arguments: the lock, postmaster.pid, the process id.
const stopScript = `
exec 9<>"$1" || exit
if command -v flock >/dev/null; then flock 9; else perl -e 'open(my $f, "<&=", 9) && flock($f, 2) || die'; fi || exit
[ "$(sed -n 1p "$2" 2>/dev/null)" = "$3" ] || exit
[ ! -e /proc/self/comm ] || [ "$(cat "/proc/$3/comm")" = postgres ] || exit
kill -INT "$3"
n=0
while [ -e "$2" ] && [ $n -lt 600 ]; do sleep 0.05; n=$((n+1)); done
`

// stopAfterLast starts a shell that stops s after the end of the last process
// that uses it. A test process cannot: nothing in it runs after its last test,
// and nothing at all if it is killed. Without flock(1) and perl(1) the server
// stays, until "daybook db stop".
func stopAfterLast(s *embeddedpg.Server) error {
	pidFile := filepath.Join(s.DataDir(), "postmaster.pid")
	b, err := os.ReadFile(pidFile)
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	pid, _, _ := strings.Cut(string(b), "\n")
	cmd := exec.Command("sh", "-c", stopScript, "pgtest", s.UsersLock(), pidFile, pid)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // survive what kills the tests
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	return cmd.Process.Release() // it outlives this process
}
