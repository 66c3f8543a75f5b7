package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/daybook-ledger/daybook/adapters/samples"
	"github.com/daybook-ledger/daybook/domain"
)

// asMain makes the test program behave as daybook, so that tests can start real
// processes of it and kill them.
const asMain = "DAYBOOK_TEST_AS_MAIN"

func TestMain(m *testing.M) {
	switch {
	case filepath.Base(os.Args[0]) == "psql":
		os.Exit(psql(os.Args[1:]))
	case os.Getenv(asMain) != "":
		main()
	}
	testscript.Main(m, map[string]func(){"daybook": main})
}

// A process is a running "daybook serve" or "daybook demo".
type process struct {
	cmd *exec.Cmd
	url string

	mu     sync.Mutex
	stderr bytes.Buffer
	said   chan struct{} // closed, and another put in its place, when there is more on stderr
}

var listening = regexp.MustCompile(`listening on (http://\S+)`)

// start runs daybook over the database at url until it listens.
func start(t *testing.T, databaseURL string, env []string, args ...string) *process {
	t.Helper()
	return startPlain(t, databaseURL, env, append(args, "--listen", "127.0.0.1:0", "--unsafe-durability")...)
}

// startPlain is start without any flags of its own.
func startPlain(t *testing.T, databaseURL string, env []string, args ...string) *process {
	t.Helper()
	p := &process{
		cmd:  exec.Command(os.Args[0], args...),
		said: make(chan struct{}),
	}
	p.cmd.Dir = t.TempDir()
	p.cmd.Env = append(os.Environ(), append(env, asMain+"=1", "DATABASE_URL="+databaseURL)...)
	p.cmd.Stdout = io.Discard
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		defer close(ready)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			p.mu.Lock()
			fmt.Fprintln(&p.stderr, lines.Text())
			close(p.said)
			p.said = make(chan struct{})
			p.mu.Unlock()
			if m := listening.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
	}()
	t.Cleanup(p.kill)
	select {
	case url, ok := <-ready:
		if !ok {
			t.Fatalf("daybook %s ended:\n%s", strings.Join(args, " "), p.log())
		}
		p.url = url
	case <-time.After(time.Minute):
		t.Fatalf("daybook %s does not listen:\n%s", strings.Join(args, " "), p.log())
	}
	return p
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stderr.String()
}

// await returns once the process has said something on stderr.
func (p *process) await(t *testing.T, text string) {
	t.Helper()
	for {
		p.mu.Lock()
		has, said := strings.Contains(p.stderr.String(), text), p.said
		p.mu.Unlock()
		if has {
			return
		}
		select {
		case <-t.Context().Done():
			t.Errorf("it never says %q:\n%s", text, p.log())
			return
		case <-said:
		}
	}
}

// stop ends the process as an operator would.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("stopped: %v\n%s", err, p.log())
	}
}

// kill ends the process as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// sampleEnv and sampleConfig configure one source per provider, named after it,
// that accepts the samples.
var sampleEnv = []string{
	"TAHDAH=" + samples.TahdahSecret,
	"THINKIFIC=" + samples.ThinkificKey,
	"BRAINCERT=" + samples.BraincertLogin,
	"CREDLY=test-token",
}

const sampleTOML = `
[[source]]
name = "tahdah"
provider = "tahdah"
secrets = ["env:TAHDAH"]
[[source]]
name = "thinkific"
provider = "thinkific"
secrets = ["env:THINKIFIC"]
default_currency = "USD"
[[source]]
name = "braincert"
provider = "braincert"
secrets = ["env:BRAINCERT"]
[[source]]
name = "credly"
provider = "credly"
secrets = ["env:CREDLY"]
organizations = ["` + samples.CredlyOrganization + `"]
`

// serve starts "daybook serve" with the sample sources.
func serve(t *testing.T, databaseURL string) *process {
	t.Helper()
	file := t.TempDir() + "/daybook.toml"
	if err := os.WriteFile(file, []byte(sampleTOML), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, databaseURL, sampleEnv, "serve", "--config", file)
}

// post sends a sample to the source named after its provider and returns the
// HTTP status and the receipt.
func (p *process) post(ctx context.Context, s samples.Sample) (int, domain.Receipt, error) {
	return p.postTo(ctx, s.Provider, s)
}

// postTo is [process.post] to another source.
func (p *process) postTo(ctx context.Context, source string, s samples.Sample) (int, domain.Receipt, error) {
	url := p.url + "/webhooks/" + source
	if s.Provider == "credly" {
		url += "/test-token"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(s.Body))
	if err != nil {
		return 0, domain.Receipt{}, err
	}
	r.Header = s.Header.Clone()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, domain.Receipt{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, domain.Receipt{}, err
	}
	var receipt domain.Receipt
	if response.StatusCode == http.StatusOK {
		err = json.Unmarshal(body, &receipt)
	}
	return response.StatusCode, receipt, err
}

// mustPost sends a sample that has to be accepted with 200.
func (p *process) mustPost(t *testing.T, s samples.Sample) domain.Receipt {
	t.Helper()
	status, receipt, err := p.post(t.Context(), s)
	if err != nil || status != http.StatusOK {
		t.Fatalf("%s: status %d, %v\n%s", s.File, status, err, p.log())
	}
	return receipt
}

// daybook runs one command over the database and returns its stdout, its stderr
// and its exit status.
func daybook(t *testing.T, databaseURL string, args ...string) (stdout, stderr string, status int) {
	t.Helper()
	t.Setenv("DATABASE_URL", databaseURL)
	var out, errs bytes.Buffer
	status = run(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), status
}

// view returns a view as CSV, of everything recorded.
func view(t *testing.T, databaseURL string, args ...string) string {
	t.Helper()
	stdout, stderr, status := daybook(t, databaseURL, append([]string{"view", "-o", "csv", "--limit", "0"}, args...)...)
	if status != exitDone {
		t.Fatalf("view %v: status %d\n%s", args, status, stderr)
	}
	return stdout
}

// webhooks returns the sample requests that are not made to be difficult.
func webhooks(t *testing.T) []samples.Sample {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	var list []samples.Sample
	for _, s := range all {
		if s.Kind == samples.Webhook && s.Status != samples.Edge {
			list = append(list, s)
		}
	}
	return list
}

func sampleNamed(t *testing.T, file string) samples.Sample {
	t.Helper()
	all, err := samples.All()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if s.File == file {
			return s
		}
	}
	t.Fatalf("there is no sample %s", file)
	return samples.Sample{}
}
