package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/daybook-ledger/daybook/adapters/intake"
	"github.com/daybook-ledger/daybook/adapters/postgres/postgrestest"
)

// TestSlowSenders opens connections to a server that never come to the end of
// their headers, or of their bodies: other sources do not notice, a sender who
// tries again gets in, and the server ends every one of them by itself and keeps
// nothing.
func TestSlowSenders(t *testing.T) {
	p := serve(t, postgrestest.URL(t))
	p.mustPost(t, enrolment("before")) // so that what there is of goroutines is there
	before := p.figure(t, "go_goroutines")

	headers := "POST /webhooks/thinkific HTTP/1.1\r\nHost: daybook\r\n"
	bodies := headers + "Content-Length: 1000\r\nX-Thinkific-Hmac-Sha256: " + strings.Repeat("0", 64) + "\r\n\r\n{"
	var slow []net.Conn
	open := func(n int, text string) {
		for range n {
			conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			if _, err := io.WriteString(conn, text); err != nil {
				t.Fatal(err)
			}
			slow = append(slow, conn)
		}
	}
	open(200, headers)
	open(2*intake.DefaultAtOnce, bodies)
	p.mustPost(t, sampleNamed(t, "tahdah/eventCredits.Updated.json"))

	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // before their time is over
	defer cancel()
	for status := 0; status != http.StatusOK; {
		var err error
		if status, _, err = p.post(ctx, enrolment("patient")); err != nil {
			t.Fatalf("whoever tries again does not get in: %v", err)
		}
	}

	for i, conn := range slow {
		if err := conn.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
			t.Fatal(err)
		}
		in := bufio.NewReader(conn)
		if response, err := http.ReadResponse(in, nil); err == nil {
			if _, err := io.Copy(io.Discard, response.Body); err != nil {
				t.Error(err)
			}
			if s := response.StatusCode; s != 408 && s != 503 {
				t.Errorf("slow sender %d: status %d", i, s)
			}
		}
		if _, err := in.ReadByte(); err == nil || strings.Contains(err.Error(), "timeout") {
			t.Fatalf("slow sender %d is still let speak: %v", i, err)
		}
	}
	if n := p.figure(t, `daybook_intake_in_hand{source="thinkific"}`); n != 0 {
		t.Errorf("%d requests are in hand", n)
	}
	// Some followers may have been started since; a slow sender each would be more.
	deadline := time.Now().Add(20 * time.Second)
	for after := p.figure(t, "go_goroutines"); after > before+len(slow)/4; after = p.figure(t, "go_goroutines") {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", after, before)
		}
	}
}

// figure returns a whole number from /metrics.
func (p *process) figure(t *testing.T, series string) int {
	t.Helper()
	n, err := strconv.Atoi(p.figures(t)[series])
	if err != nil {
		t.Fatal(fmt.Errorf("%s: %w", series, err))
	}
	return n
}
