package embeddedpg

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const hintStateDir = "Choose another directory with --state DIR or DAYBOOK_STATE_DIR, or set DATABASE_URL to use a PostgreSQL of your own."

// maxSocketDir is the length of the longest socket directory that is used. The
// kernel takes 108 bytes (macOS 104) for the whole address.
const maxSocketDir = 80

const (
	port       = "5432" // part of the socket's name; nothing listens on it
	socketName = ".s.PGSQL." + port
)

// files are the paths of one cluster; the package comment lists them.
type files struct {
	state, pg, data, run, log string
	startLock, usersLock      string
	keep, stopped             string
}

// DefaultStateDir returns DAYBOOK_STATE_DIR, or else the directory where
// daybook keeps what must survive: /var/lib/daybook for root and
// ~/.local/state/daybook, or what XDG_STATE_HOME says, for everybody else.
func DefaultStateDir() (string, error) {
	if dir := os.Getenv("DAYBOOK_STATE_DIR"); dir != "" {
		return dir, nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/daybook", nil
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "daybook"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", unreachable("no state directory: %w", err).WithHint(hintStateDir)
	}
	return filepath.Join(home, ".local/state/daybook"), nil
}

// locate returns the files of the cluster in state, which need not exist.
func locate(state string) (files, error) {
	if state == "" {
		var err error
		if state, err = DefaultStateDir(); err != nil {
			return files{}, err
		}
	}
	state, err := filepath.Abs(state)
	if err != nil {
		return files{}, unreachable("%w", err)
	}
	// Two names of one directory are one cluster.
	if real, err := filepath.EvalSymlinks(state); err == nil {
		state = real
	}
	pg := filepath.Join(state, "pg")
	f := files{
		state:     state,
		pg:        pg,
		data:      filepath.Join(pg, "data"),
		run:       filepath.Join(pg, "run"),
		log:       filepath.Join(pg, "postgres.log"),
		startLock: filepath.Join(pg, "start.lock"),
		usersLock: filepath.Join(pg, "users.lock"),
		keep:      filepath.Join(pg, "keep"),
		stopped:   filepath.Join(pg, "stopped"),
	}
	if len(f.run) > maxSocketDir {
		// Not in XDG_RUNTIME_DIR or TMPDIR: cron, ssh and systemd, which set
		// them differently or not at all, must find the same server.
		sum := sha256.Sum256([]byte(f.data))
		f.run = fmt.Sprintf("/tmp/daybook-%d-%s", os.Geteuid(), hex.EncodeToString(sum[:6]))
	}
	return f, nil
}

// makeFiles returns the files of the cluster in state and makes the directories
// that hold the locks.
func makeFiles(state string) (files, error) {
	f, err := locate(state)
	if err != nil {
		return files{}, err
	}
	if err := os.MkdirAll(filepath.Dir(f.state), 0o755); err != nil {
		return files{}, unreachable("state directory: %w", err).WithHint(hintStateDir)
	}
	// The server's account, if root gives it one, must be able to pass through;
	// the umask may have taken that away.
	for _, dir := range []string{f.state, f.pg} {
		err := os.Mkdir(dir, 0o711)
		if err == nil {
			err = os.Chmod(dir, 0o711)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return files{}, unreachable("state directory: %w", err).WithHint(hintStateDir)
		}
	}
	if onNFS(f.pg) {
		return files{}, unreachable("%s is on NFS, whose locks cannot keep two machines from starting a server on the same data", f.pg).WithHint(hintStateDir)
	}
	return locate(f.state) // now that links can be resolved
}

// url returns the URL of the named database.
func (f files) url(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(Superuser),
		Path:     "/" + database,
		RawQuery: url.Values{"host": {f.run}, "port": {port}, "sslmode": {"disable"}}.Encode(),
	}
	return u.String()
}

// An owner is who a file belongs to.
type owner struct{ uid, gid int }

func ownerOf(path string) (owner, fs.FileInfo, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return owner{}, nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return owner{}, nil, fmt.Errorf("%s: the owner cannot be told", path)
	}
	return owner{int(st.Uid), int(st.Gid)}, info, nil
}

// major returns the major version that the data directory is of, and 0 if
// there is no cluster yet.
func (f files) major() (int, error) {
	b, err := os.ReadFile(filepath.Join(f.data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		if rest, err := os.ReadDir(f.data); err == nil && len(rest) > 0 {
			return 0, unreachable("%s is not empty and not a PostgreSQL cluster. Nothing was changed", f.data).WithHint(hintStateDir)
		}
		return 0, nil
	}
	if err != nil {
		return 0, unreachable("%w", err).WithHint("Run daybook as the user that the directory belongs to. " + hintStateDir)
	}
	major, err := strconv.Atoi(string(bytes.TrimSpace(b)))
	if err != nil {
		return 0, unreachable("%s/PG_VERSION: %w", f.data, err)
	}
	return major, nil
}

// makeRun makes the socket directory, or sees to it that nobody but o can have
// put a socket into the one that is there.
func (f files) makeRun(o owner) error {
	err := os.Mkdir(f.run, 0o700)
	if err == nil {
		err = errors.Join(os.Chmod(f.run, 0o700), os.Lchown(f.run, o.uid, o.gid))
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return unreachable("socket directory: %w", err)
	}
	return f.checkRun(o)
}

// checkRun refuses a socket directory that somebody else can write to.
func (f files) checkRun(o owner) error {
	has, info, err := ownerOf(f.run)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return unreachable("socket directory: %w", err)
	case !info.IsDir() || info.Mode().Perm() != 0o700 || has.uid != o.uid:
		return unreachable("the socket directory %s is not a directory with mode 0700 of user %d; somebody else may have made it", f.run, o.uid).
			WithHint("Remove it, if you know what it is, and try again.")
	}
	return nil
}

// serverID returns what postmaster.pid says of the server process, or "" if
// there is none: its process id and when it started.
func (f files) serverID() (pid int, id string) {
	b, err := os.ReadFile(filepath.Join(f.data, "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	// Line 1 is the process id, line 3 the time of its start.
	lines := strings.SplitN(string(b), "\n", 4)
	if len(lines) < 4 {
		return 0, ""
	}
	if pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil || pid <= 1 {
		return 0, ""
	}
	return pid, lines[0] + " " + lines[2]
}

// keepServer notes that the server that runs now must outlive its users. The
// note means nothing to the next server.
func (f files) keepServer() error {
	_, id := f.serverID()
	if err := os.WriteFile(f.keep, []byte(id), 0o600); err != nil {
		return unreachable("%w", err)
	}
	return nil
}

func (f files) isKept() bool {
	b, err := os.ReadFile(f.keep)
	_, id := f.serverID()
	return err == nil && id != "" && string(b) == id
}
