package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/daybook-ledger/daybook/adapters/postgres"
	"github.com/daybook-ledger/daybook/adapters/samples"
)

// build builds daybook into dir.
func build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "daybook")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "github.com/daybook-ledger/daybook/cmd/daybook")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build daybook: %w\n%s", err, out)
	}
	return program, nil
}

const serverTOML = `
[[source]]
name = "bench"
provider = "thinkific"
secrets = ["env:BENCH_KEY"]
default_currency = "USD"
`

// A server is a "daybook serve" process.
type server struct {
	cmd      *exec.Cmd
	address  string // host and port
	db       *sql.DB
	url      string // of its database
	program  string
	dir      string
	stopping sync.Once
	ended    chan struct{}

	next, acknowledged atomic.Int64
	settled            []time.Duration
}

var listening = regexp.MustCompile(`listening on http://(\S+)`)

// startServer starts daybook on the cluster's own database.
func startServer(ctx context.Context, program, dir string, c *cluster) (*server, error) {
	file := filepath.Join(dir, "daybook.toml")
	if err := os.WriteFile(file, []byte(serverTOML), 0o600); err != nil {
		return nil, err
	}
	s := &server{url: c.url, program: program, dir: dir, ended: make(chan struct{})}
	if err := s.start(ctx, "--config", file); err != nil {
		return nil, err
	}
	var err error
	if s.db, err = postgres.Open(ctx, s.url, postgres.RoleProjector, 2); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// start starts the process and waits until it listens.
func (s *server) start(ctx context.Context, args ...string) error {
	s.cmd = exec.CommandContext(ctx, s.program, append([]string{"serve", "--listen", "127.0.0.1:0"}, args...)...)
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 20 * time.Second
	s.cmd.Dir = s.dir
	s.cmd.Env = append(os.Environ(), "DATABASE_URL="+s.url, "BENCH_KEY="+samples.ThinkificKey)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	ready := make(chan string, 1)
	go func() {
		defer close(s.ended)
		said := new(strings.Builder)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			} else if strings.Contains(lines.Text(), "level=") {
				fmt.Fprintln(os.Stderr, "daybook:", lines.Text())
			}
			if said.Len() < 1<<16 {
				fmt.Fprintln(said, lines.Text())
			}
		}
		if err := s.cmd.Wait(); err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "daybook ended: %v\n%s", err, said)
		}
	}()
	select {
	case s.address = <-ready:
		return nil
	case <-s.ended:
		return errors.New("daybook serve ended before it listened")
	}
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// stop ends the process as an operator would, and waits until it has ended.
func (s *server) stop() {
	s.stopping.Do(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
		<-s.ended
		if s.db != nil {
			s.db.Close()
		}
	})
}

// run is a [load]: each sender posts one delivery after the other over a
// connection that is kept.
func (s *server) run(ctx context.Context, n int, d time.Duration) (driven, error) {
	senders := make([]*sender, n)
	for i := range senders {
		var dialer net.Dialer
		conn, err := dialer.DialContext(ctx, "tcp", s.address)
		if err != nil {
			return driven{}, err
		}
		defer func() { _ = conn.Close() }() // what was asked was answered
		senders[i] = &sender{conn: conn, in: bufio.NewReader(conn)}
	}
	return drive(ctx, n, d, func(worker int) error {
		if err := senders[worker].post(s.address, newDelivery(s.next.Add(1))); err != nil {
			return err
		}
		s.acknowledged.Add(1)
		return nil
	})
}

// A sender speaks just enough HTTP/1.1 to post deliveries, so that the machine
// is left to what is measured.
type sender struct {
	conn net.Conn
	in   *bufio.Reader
	buf  []byte
}

func (s *sender) post(host string, d delivery) error {
	mac := hmac.New(sha256.New, []byte(samples.ThinkificKey))
	mac.Write(d.body)
	s.buf = fmt.Appendf(s.buf[:0], "POST /webhooks/bench HTTP/1.1\r\nHost: %s\r\nUser-Agent: Thinkific\r\nContent-Type: application/json\r\n"+
		"X-Thinkific-Topic: enrollment.created\r\nX-Thinkific-Subdomain: northpeak-academy\r\n"+
		"X-Thinkific-Hmac-Sha256: %s\r\nContent-Length: %d\r\n\r\n", host, hex.EncodeToString(mac.Sum(nil)), len(d.body))
	s.buf = append(s.buf, d.body...)
	if _, err := s.conn.Write(s.buf); err != nil {
		return err
	}
	status, body, err := s.response()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200 ") || !bytes.Contains(body, []byte(`"status":"accepted"`)) {
		return fmt.Errorf("the answer is not an accepting 200: %s\n%s", status, body)
	}
	return nil
}

// response reads a response whose body has a length.
func (s *sender) response() (status string, body []byte, err error) {
	if status, err = s.in.ReadString('\n'); err != nil {
		return "", nil, err
	}
	length := -1
	for {
		line, err := s.in.ReadSlice('\n')
		if err != nil {
			return "", nil, err
		}
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			break
		}
		if name, v, _ := bytes.Cut(line, []byte(": ")); string(name) == "Content-Length" {
			if length, err = strconv.Atoi(string(v)); err != nil {
				return "", nil, err
			}
		}
	}
	if length < 0 {
		return "", nil, fmt.Errorf("an answer without a length: %s", status)
	}
	s.buf = append(s.buf[:0], make([]byte, length)...)
	_, err = io.ReadFull(s.in, s.buf)
	return strings.TrimSpace(status), s.buf, err
}

// settle waits until every projection has seen the whole log.
func (s *server) settle(ctx context.Context) error {
	begun := time.Now()
	if err := caughtUp(ctx, s.db, s.ended); err != nil {
		return err
	}
	s.settled = append(s.settled, time.Since(begun))
	return nil
}

// caughtUp waits until every projection has seen the whole log.
func caughtUp(ctx context.Context, db *sql.DB, ended <-chan struct{}) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		behind, err := value(ctx, db, `SELECT count(*) FROM projection p, cursor c, head h WHERE c.follower = 'projection/' || p.name AND c.position < h.position`)
		if err != nil || behind == 0 {
			return err
		}
		stopped, err := value(ctx, db, `SELECT count(*) FROM projection WHERE stopped_at IS NOT NULL`)
		if err != nil {
			return err
		}
		if stopped > 0 {
			return fmt.Errorf("%d projections have stopped", stopped)
		}
		select {
		case <-tick.C:
		case <-ended:
			return errors.New("daybook serve has ended")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// check checks that the log holds what was acknowledged, once and without a
// gap, and that the projections are what the log gives.
func (s *server) check(ctx context.Context) (logState, error) {
	l := logState{Acknowledged: s.acknowledged.Load(), Settled: seconds(s.settled[len(s.settled)-1])}
	for _, d := range s.settled {
		l.Settled = max(l.Settled, d.Seconds())
	}
	for _, q := range []struct {
		into  *int64
		query string
	}{
		{&l.Head, `SELECT position FROM head`},
		{&l.Records, `SELECT count(*) FROM log`},
		{&l.Last, `SELECT coalesce(max(position), 0) FROM log`},
		{&l.Deliveries, `SELECT count(*) FROM delivery`},
		{&l.Keys, `SELECT count(DISTINCT (source, key)) FROM delivery`},
		{&l.Projections, `SELECT count(*) FROM projection`},
	} {
		n, err := value(ctx, s.db, q.query)
		if err != nil {
			return l, err
		}
		*q.into = n
	}
	if err := l.check(); err != nil {
		return l, err
	}
	cmd := s.command(ctx, "projection", "verify")
	if out, err := cmd.CombinedOutput(); err != nil {
		return l, fmt.Errorf("projection verify: %w\n%s", err, out)
	}
	return l, nil
}

// command is a daybook command over the server's database.
func (s *server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.program, args...)
	cmd.Dir, cmd.Env = s.dir, append(os.Environ(), "DATABASE_URL="+s.url)
	return cmd
}
