package checkpointer_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/daybook-ledger/daybook/adapters/checkpointer"
)

// running starts Run and Watch over c and returns what wakes them.
func running(t *testing.T, c *checkpointer.Checkpointer) (wake func()) {
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wakes := []chan struct{}{make(chan struct{}, 1), make(chan struct{}, 1)}
	wg.Go(func() {
		if err := c.Run(ctx, wakes[0]); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		if err := c.Watch(ctx, wakes[1]); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return func() {
		for _, w := range wakes {
			select {
			case w <- struct{}{}:
			default:
			}
		}
	}
}

// TestPace appends all the time and wants one checkpoint a second; then nothing,
// and wants none.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := new(memory), new(shelf)
		c := open(t, config(t, m, s))
		wake := running(t, c)
		for range 100 { // in ten seconds
			m.grow(1, "a")
			wake()
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		if n := len(s.sizes()); n < 9 || n > 11 {
			t.Errorf("%d checkpoints in ten seconds: %v", n, s.sizes())
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		n := len(s.sizes())
		if sizes := s.sizes(); sizes[n-1] != 100 {
			t.Errorf("the last one is of %d records", sizes[n-1])
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := len(s.sizes()); got != n {
			t.Errorf("%d checkpoints while nothing was appended", got-n)
		}
	})
}

// TestSinkDown has a sink fail and another one hang: the third one gets every
// checkpoint, and those that were down get the newest once they are back.
func TestSinkDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, good, bad := new(memory), new(shelf), new(shelf)
		bad.set(errors.New("down"))
		c := open(t, config(t, m, good, bad, hangs{}))
		first := c.Config
		first.Sinks = first.Sinks[:1] // at first every sink has to say what it knows
		sign(t, withGrown(open(t, first), m, 1))
		wake := running(t, c)
		for range 10 {
			m.grow(1, "a")
			wake()
			time.Sleep(time.Minute)
		}
		synctest.Wait()
		if n := len(slices.Compact(good.sizes())); n != 11 {
			t.Errorf("the good sink has %v", good.sizes())
		}
		// Ten minutes, waits doubling up to one minute, and one try per checkpoint.
		if n := len(bad.at); n < 8 || n > 30 {
			t.Errorf("a sink that is down was tried %d times", n)
		}
		status := c.Status()
		if status.Sinks[1].Failures == 0 || status.Sinks[1].Err == nil || status.Sinks[2].Failures == 0 || status.Sinks[0].Err != nil || status.Failed() == nil {
			t.Errorf("status %+v", status)
		}
		bad.set(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := bad.sizes(); len(got) != 1 || got[0] != 11 {
			t.Errorf("the sink that is back has %v", got)
		}
		if c.Status().Sinks[1].Err != nil {
			t.Errorf("it is still said to be down: %v", c.Status().Sinks[1].Err)
		}
	})
}

// TestWatch rewrites the log while it is served: whoever serves is told, and told
// again once the log was forked.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, s := new(memory).grow(9, "a"), new(shelf)
		config := config(t, m, s)
		var mu sync.Mutex
		var alarms []error
		config.Alarm = func(err error) {
			mu.Lock()
			defer mu.Unlock()
			alarms = append(alarms, err)
		}
		c := open(t, config)
		signed := sign(t, c)
		wake := running(t, c)
		m.cut(4).grow(30, "b")
		wake()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		mu.Lock()
		if len(alarms) != 1 || alarms[0] == nil {
			t.Fatalf("alarms %v", alarms)
		}
		mu.Unlock()
		time.Sleep(time.Hour)
		m.fork(2, signed)
		wake()
		time.Sleep(time.Minute)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(alarms) != 2 || alarms[1] != nil {
			t.Errorf("alarms %v", alarms)
		}
		if sizes := s.sizes(); sizes[len(sizes)-1] != 35 {
			t.Errorf("published %v", sizes)
		}
	})
}

// TestUnreachable checks that a database that does not answer is no alarm.
func TestUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory).grow(9, "a")
		config := config(t, m, new(shelf))
		config.Alarm = func(err error) { t.Errorf("alarm: %v", err) }
		c := open(t, config)
		sign(t, c)
		wake := running(t, c)
		m.mu.Lock()
		m.fail = errors.New("connection refused")
		m.mu.Unlock()
		for range 100 {
			wake()
			time.Sleep(time.Second)
		}
		m.mu.Lock()
		m.fail = nil
		m.mu.Unlock()
		m.grow(3, "a")
		wake()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := c.Status().Signed.Size; got != 12 {
			t.Errorf("signed %d records", got)
		}
	})
}

// TestWatchKnows has another process sign: who only watches says so too.
func TestWatchKnows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := new(memory).grow(3, "a")
		c := config(t, m)
		watcher := open(t, c)
		ctx, stop := context.WithCancel(t.Context())
		wake := make(chan struct{}, 1)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := watcher.Watch(ctx, wake); err != nil {
				t.Error(err)
			}
		})
		sign(t, open(t, c))
		wake <- struct{}{}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := watcher.Status().Signed.Size; got != 3 {
			t.Errorf("%d records are said to be signed", got)
		}
		stop()
		wg.Wait()
	})
}
