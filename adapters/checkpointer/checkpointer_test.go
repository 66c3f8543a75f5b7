package checkpointer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/mod/sumdb/note"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/checkpoint"
	"github.com/daybook-ledger/daybook/domain/tree"
)

// TestSign signs a log as it grows, reads only what is new, and signs nothing
// twice.
func TestSign(t *testing.T) {
	m, s := new(memory), new(shelf)
	c := config(t, m, s)
	cp := open(t, c)
	if got := sign(t, cp); got.Origin != "" {
		t.Errorf("an empty log was signed: %q", got.Note)
	}
	for _, step := range []struct {
		grow int
		size int64
	}{{5, 5}, {0, 5}, {1, 6}, {300, 306}} {
		m.grow(step.grow, "a")
		m.read = 0
		got := sign(t, cp)
		if got.Size != step.size || got.Root != frontier(m.leaves).Root() || got.Origin != logName+"/1" {
			t.Errorf("signed %q, want %d records", got.Note, step.size)
		}
		if m.read != int64(step.grow) || m.tiles != step.size {
			t.Errorf("%d records are new, and %d were read; tiles up to %d", step.grow, m.read, m.tiles)
		}
		if step.grow > 3 {
			cp = open(t, c) // what it knows is on the disk
		}
	}
	if got := fmt.Sprint(s.sizes()); got != "[5 5 6 306]" && got != "[5 6 306]" {
		t.Errorf("published the sizes %s", got)
	}
	if _, err := cp.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestChanged changes a log that was signed, in every way that it can be, and
// wants it found by comparing and by signing.
func TestChanged(t *testing.T) {
	for name, test := range map[string]struct {
		change          func(m *memory)
		compare, signed bool // who finds it
	}{
		"nothing":                         {func(*memory) {}, false, false},
		"grown":                           {func(m *memory) { m.grow(4, "a") }, false, false},
		"rewritten with all hashes":       {func(m *memory) { m.cut(3).grow(7, "b") }, true, true},
		"rewritten and grown":             {func(m *memory) { m.cut(3).grow(17, "b") }, true, true},
		"the last record rewritten":       {func(m *memory) { m.cut(9).grow(1, "b") }, true, true},
		"rolled back":                     {func(m *memory) { m.cut(6) }, true, true},
		"rolled back and grown elsewhere": {func(m *memory) { m.cut(6).grow(20, "b") }, true, true},
		"emptied":                         {func(m *memory) { m.cut(0) }, true, true},
		"a new record changed, not its leaf": {func(m *memory) {
			m.grow(4, "a").leaves[11] = leaf(11, "b")
		}, false, true},
		"a new record gone, not its leaf": {func(m *memory) {
			m.grow(4, "a").leaves = m.leaves[:13]
		}, false, true},
		// What was signed is not read again: that is the business of "log verify".
		"an old record changed, not its leaf": {func(m *memory) { m.leaves[2] = leaf(2, "b") }, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			m, s := new(memory).grow(10, "a"), new(shelf)
			c := config(t, m, s)
			var alarms []error
			c.Alarm = func(err error) { alarms = append(alarms, err) }
			sign(t, open(t, c))
			test.change(m)
			for _, lost := range []bool{false, true} { // what is kept here; the sink knows as well
				if lost {
					if err := os.RemoveAll(c.Dir); err != nil {
						t.Fatal(err)
					}
				}
				alarms = nil
				cp := open(t, c)
				_, err := cp.Check(t.Context())
				if got := domain.CodeOf(err) == domain.Differs; got != test.compare || err != nil && !got {
					t.Errorf("lost %t: Check says %v", lost, err)
				}
				if name == "rolled back" && !strings.Contains(err.Error(), "4 records are missing") {
					t.Errorf("Check says %v", err)
				}
				if test.compare && !strings.Contains(domain.HintOf(err), "daybook log fork") {
					t.Errorf("the hint is %q", domain.HintOf(err))
				}
				before := len(s.puts)
				_, signed, err := cp.Sign(t.Context())
				want := test.signed || lost && name == "an old record changed, not its leaf"
				if got := domain.CodeOf(err) == domain.Differs; got != want || err != nil && !got || want && signed {
					t.Errorf("lost %t: Sign says %v, %t", lost, err, signed)
				}
				if got := len(alarms) == 1 && alarms[0] != nil; got != (want || test.compare) {
					t.Errorf("lost %t: alarms: %v", lost, alarms)
				}
				if want && len(s.puts) != before {
					t.Error("it was published all the same")
				}
			}
		})
	}
}

// TestFork goes on from an earlier state, over and over, and checks that each epoch
// is one history.
func TestFork(t *testing.T) {
	m, s, late := new(memory).grow(10, "a"), new(shelf), new(shelf)
	c := config(t, m, s, late)
	var alarms []bool
	c.Alarm = func(err error) { alarms = append(alarms, err != nil) }
	cp := open(t, c)
	first := sign(t, cp)
	late.set(errors.New("down"))
	m.cut(6)
	if _, _, err := cp.Sign(t.Context()); domain.CodeOf(err) != domain.Differs {
		t.Fatalf("a log that was rolled back: %v", err)
	}
	m.fork(2, first)
	second := sign(t, cp)
	if second.Origin != logName+"/2" || second.Size != 7 || fmt.Sprint(alarms) != "[true false]" {
		t.Errorf("after the fork: %q, alarms %v", second.Note, alarms)
	}
	late.set(nil) // it knows the first epoch only
	if _, err := open(t, c).Check(t.Context()); err != nil {
		t.Errorf("a sink that is behind: %v", err)
	}
	m.grow(5, "b")
	second = sign(t, cp)
	m.grow(5, "b")

	// Rolled back to before the fork: the epoch that was opened is gone.
	forks := m.forks
	m.forks = nil
	m.cut(6).grow(20, "c")
	if _, err := cp.Check(t.Context()); domain.CodeOf(err) != domain.Differs || !strings.Contains(err.Error(), "before it was forked") {
		t.Errorf("rolled back over a fork: %v", err)
	}
	m.fork(3, first)
	if _, err := cp.Check(t.Context()); domain.CodeOf(err) != domain.Differs {
		t.Errorf("a fork that hides an epoch: %v", err)
	}
	m.forks = nil
	m.fork(3, second)
	third := sign(t, cp)
	if third.Origin != logName+"/3" || len(forks) != 1 {
		t.Errorf("signed %q", third.Note)
	}
	if _, err := open(t, c).Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestForkHides checks that a fork that names an older checkpoint than a sink has
// is not taken for one that was told the whole story.
func TestForkHides(t *testing.T) {
	m, s := new(memory).grow(5, "a"), new(shelf)
	c := config(t, m, s)
	cp := open(t, c)
	early := sign(t, cp)
	m.grow(5, "a")
	sign(t, cp)
	m.cut(3).fork(2, early)
	if _, err := cp.Check(t.Context()); domain.CodeOf(err) != domain.Differs {
		t.Errorf("Check: %v", err)
	}
	if _, _, err := cp.Sign(t.Context()); domain.CodeOf(err) != domain.Differs {
		t.Errorf("Sign: %v", err)
	}
}

// TestKilled ends signing and publishing at every step, lets somebody rewrite the
// log at the same size, and goes on: there is never a second root for a size.
func TestKilled(t *testing.T) {
	killed := errors.New("killed")
	for _, at := range []string{"read", "signed", "kept", "publish"} {
		for _, known := range []int{0, 4} { // signed before
			m := new(memory)
			dir := t.TempDir()
			c := config(t, m, checkpointer.NewDirectory(dir))
			if known > 0 {
				m.grow(known, "a")
				sign(t, open(t, c))
			}
			m.grow(6, "a")
			cp := open(t, c)
			cp.Step(func(step string) error {
				if step == at {
					return killed
				}
				return nil
			})
			if _, _, err := cp.Sign(t.Context()); err == nil {
				cp.Publish(t.Context())
			} else if !errors.Is(err, killed) {
				t.Fatal(err)
			}
			size := len(m.leaves)
			m.cut(size-1).grow(1, "b")
			cp = open(t, c)
			if _, _, err := cp.Sign(t.Context()); err == nil {
				cp.Publish(t.Context())
			}
			roots := make(map[string]string)
			err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				signed, err := checkpoint.Open(text, c.Keys[0].Verifier)
				if err != nil {
					return err
				}
				key := fmt.Sprint(signed.Origin, " ", signed.Size)
				if root, ok := roots[key]; ok && root != signed.Root.String() {
					t.Errorf("killed at %s: two roots for %s", at, key)
				}
				roots[key] = signed.Root.String()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			own, err := os.ReadFile(filepath.Join(c.Dir, "signed"))
			if err != nil {
				t.Fatal(err)
			}
			_, text, _ := bytes.Cut(own, []byte("\n\n"))
			if signed, err := checkpoint.Open(text, c.Keys[0].Verifier); err != nil {
				t.Fatal(err)
			} else if root, ok := roots[fmt.Sprint(signed.Origin, " ", signed.Size)]; ok && root != signed.Root.String() {
				t.Errorf("killed at %s: published another root than is kept", at)
			}
		}
	}
}

// TestStateLost checks that what was signed last is derived again, and that no sink
// may be missing while it is.
func TestStateLost(t *testing.T) {
	m, s, down := new(memory).grow(10, "a"), new(shelf), new(shelf)
	c := config(t, m, s, down)
	sign(t, open(t, c))
	m.grow(4, "a")
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	down.set(errors.New("down"))
	if _, _, err := open(t, c).Sign(t.Context()); err == nil || !strings.Contains(err.Error(), "sink-2") {
		t.Errorf("signed although a sink might know better: %v", err)
	}
	down.set(nil)
	m.read = 0
	if got := sign(t, open(t, c)); got.Size != 14 || m.read != 14 {
		t.Errorf("signed %d records, read %d", got.Size, m.read)
	}
	// The first time, no sink has anything.
	fresh := config(t, m, new(shelf))
	if got := sign(t, open(t, fresh)); got.Size != 14 {
		t.Errorf("signed %d records", got.Size)
	}
}

// TestStateLostRewritten loses what was signed last, and the log is another one by
// then, but for the root that is stored where a sink would look: reading it again
// shows it.
func TestStateLostRewritten(t *testing.T) {
	m, s := new(memory).grow(10, "a"), new(shelf)
	c := config(t, m, s)
	signed := sign(t, open(t, c))
	if err := os.RemoveAll(c.Dir); err != nil {
		t.Fatal(err)
	}
	m.cut(4).grow(16, "b")
	m.root = map[int64]tree.Hash{10: signed.Root}
	if _, err := open(t, c).Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, fresh, err := open(t, c).Sign(t.Context()); fresh || domain.CodeOf(err) != domain.Differs {
		t.Errorf("signed %t, %v", fresh, err)
	}
}

// TestStateDamaged checks that a file that was changed is not taken for what was
// signed, nor for one that was lost.
func TestStateDamaged(t *testing.T) {
	m := new(memory).grow(11, "a")
	c := config(t, m)
	sign(t, open(t, c))
	file := filepath.Join(c.Dir, "signed")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m.grow(1, "a")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if err := os.WriteFile(file, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, signed, err := open(t, c).Sign(t.Context()); err == nil || signed || domain.CodeOf(err) == domain.Differs { // it says nothing of the log
			t.Fatalf("byte %d was changed: signed %t, %v\n%s", i, signed, err, bad)
		}
	}
	if err := os.WriteFile(file, good, 0o600); err != nil {
		t.Fatal(err)
	}
	other := c
	other.Keys = []checkpointer.Key{newKey(t)}
	if _, _, err := open(t, other).Sign(t.Context()); domain.CodeOf(err) != domain.Refused {
		t.Errorf("another key: %v", err)
	}
	// While one replaces the other, both sign.
	both := c
	both.Keys = []checkpointer.Key{other.Keys[0], c.Keys[0]}
	sign(t, open(t, c))
	got := sign(t, open(t, both)) // although nothing is new
	for _, k := range both.Keys {
		if _, err := checkpoint.Open(got.Note, k.Verifier); err != nil {
			t.Error(err)
		}
	}
	other.Retired = []note.Verifier{c.Keys[0].Verifier}
	if got := sign(t, open(t, other)); got.Size != 12 {
		t.Errorf("the new key alone: %q", got.Note)
	}
}

// TestForeign checks that what a sink holds is believed only if it is ours.
func TestForeign(t *testing.T) {
	m, s := new(memory).grow(3, "a"), new(shelf)
	c := config(t, m, s)
	sign(t, open(t, c))
	for name, signed := range map[string]checkpoint.Checkpoint{
		"another log":       {Origin: "example.com/other/1", Size: 99},
		"no epoch":          {Origin: logName, Size: 99},
		"signed by another": {Origin: logName + "/1", Size: 99},
	} {
		key := c.Keys[0]
		if name == "signed by another" {
			key = newKey(t)
		}
		note, err := signed.Sign(key.Signer)
		if err != nil {
			t.Fatal(err)
		}
		s.puts = []checkpoint.Signed{{Checkpoint: signed, Note: note}}
		list, err := open(t, c).Check(t.Context())
		if err != nil || list[1].Err == nil || list[1].Signed.Origin != "" {
			t.Errorf("%s: %v, known %+v", name, err, list[1])
		}
	}
}

// TestRestoredTogether brings the log and what was signed last back from one backup,
// and lets the log grow: what a sink was seen to have keeps it from being signed.
func TestRestoredTogether(t *testing.T) {
	m, s := new(memory).grow(5, "a"), new(shelf)
	c := config(t, m, s)
	sign(t, open(t, c))
	file := filepath.Join(c.Dir, "signed")
	backup, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	m.grow(5, "a")
	sign(t, open(t, c))
	for name, change := range map[string]func(){
		"rolled back": func() { m.cut(5).grow(2, "b") },
		"grown since": func() { m.cut(5).grow(20, "b") },
	} {
		if err := os.WriteFile(file, backup, 0o600); err != nil {
			t.Fatal(err)
		}
		change()
		cp := open(t, c)
		if _, err := cp.Check(t.Context()); domain.CodeOf(err) != domain.Differs {
			t.Errorf("%s: Check: %v", name, err)
		}
		if got, signed, err := cp.Sign(t.Context()); signed || domain.CodeOf(err) != domain.Differs {
			t.Errorf("%s: signed %t, %q, %v", name, signed, got.Note, err)
		}
	}
}

// TestAlarmIsTheLast has one finder settle what it found while the other one finds
// something: what the listener is told last is how it is.
func TestAlarmIsTheLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory).grow(5, "a")
		c := config(t, m)
		var told []error
		settle := make(chan bool)
		c.Alarm = func(err error) {
			if err == nil {
				<-settle // it takes a while to be heard
			}
			told = append(told, err)
		}
		cp := open(t, c)
		sign(t, cp)
		m.cut(4)
		if _, err := cp.Check(t.Context()); domain.CodeOf(err) != domain.Differs {
			t.Fatal(err)
		}
		m.grow(3, "a").leaves[6] = leaf(6, "b") // which was not signed yet
		go func() {
			if _, err := cp.Check(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		synctest.Wait()
		go func() {
			if _, _, err := cp.Sign(t.Context()); domain.CodeOf(err) != domain.Differs {
				t.Error(err)
			}
		}()
		synctest.Wait()
		close(settle)
		synctest.Wait()
		if len(told) != 3 || told[0] == nil || told[1] != nil || told[2] == nil {
			t.Errorf("told %v", told)
		}
	})
}

// TestOneSigns has two processes sign at the same time: the other one waits, and
// knows then what was signed.
func TestOneSigns(t *testing.T) {
	m := new(memory).grow(5, "a")
	c := config(t, m)
	one, other := open(t, c), open(t, c)
	busy, stop := context.WithCancel(t.Context())
	stop() // it does not wait long
	one.Step(func(step string) error {
		if step != "read" {
			return nil
		}
		if _, signed, err := other.Sign(busy); signed || domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("both sign: %t, %v", signed, err)
		}
		return nil
	})
	sign(t, one)
	if s, signed, err := other.Sign(t.Context()); signed || err != nil || s.Size != 5 {
		t.Errorf("signed %t, %d records, %v", signed, s.Size, err)
	}
}
