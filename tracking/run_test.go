package tracking

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestBeginByStatus(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 1, 4))
	for trial, test := range map[string]struct {
		status Status
		want   error
	}{
		"a-0": {Finished, ErrFinished},
		"a-1": {Diverged, ErrFinished},
		"a-2": {Failed, nil},
		"a-3": {Interrupted, nil},
	} {
		r := begin(t, s, trial)
		check(t, s.End(ctx, r, test.status, "why", "stack"))
		if got, err := s.Status(ctx, trial); got != test.status || err != nil {
			t.Errorf("%s: got %q, %v, want %q", trial, got, err, test.status)
		}
		_, err := s.Begin(ctx, trial, Provenance{})
		if !errors.Is(err, test.want) {
			t.Errorf("begin after %s: got %v, want %v", test.status, err, test.want)
		}
	}
	if _, err := s.Begin(ctx, "none", Provenance{}); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown trial: got %v, want not found", err)
	}
	if _, err := s.Status(ctx, "none"); !errors.Is(err, ErrNotFound) {
		t.Errorf("status of an unknown trial: got %v, want not found", err)
	}
}

func TestClaimed(t *testing.T) {
	ctx := context.Background()
	path := tempPath(t)
	s, other := openTest(t, path), openTest(t, path)
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	_, err := other.Begin(ctx, "a-0", Provenance{})
	var claimed *ClaimedError
	if !errors.Is(err, ErrClaimed) || !errors.As(err, &claimed) {
		t.Fatalf("got %v, want claimed", err)
	}
	if claimed.PID != os.Getpid() || claimed.Host == "" || time.Since(claimed.Since) > time.Minute {
		t.Errorf("got %+v", claimed)
	}
	want := fmt.Sprintf("trial a-0: is claimed by another run: process %d on %s, since ", os.Getpid(), claimed.Host)
	if !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %q, want %q...", err, want)
	}
	if status, err := other.Status(ctx, "a-0"); status != Running || err != nil {
		t.Errorf("got %q, %v, want running", status, err)
	}
	end(t, s, r, Failed)
	end(t, other, begin(t, other, "a-0"), Finished)
}

// A run whose process is dead is lost at once, one that is silent after a while.
func TestLost(t *testing.T) {
	ctx := context.Background()
	zombie := exec.Command("/bin/sh", "-c", "exit 0")
	check(t, zombie.Start())
	defer zombie.Wait() // not before: until then it has its process id
	for deadline := time.Now().Add(time.Second); !ended(zombie.Process.Pid, 0) && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	ago := func(d time.Duration) int64 { return time.Now().Add(-d).UnixMilli() }
	here, pid, start := machine(), os.Getpid(), processStart(os.Getpid())
	for _, test := range []struct {
		name      string
		heartbeat int64
		machine   string
		pid       int
		start     int64
		want      Status
		sql       Status // which cannot ask for processes
		linux     bool   // only known there
	}{
		{"alive", ago(0), here, pid, start, Running, Running, false},
		{"quiet", ago(28 * time.Second), here, pid, start, Running, Running, false},
		{"silent", ago(33 * time.Second), here, pid, start, Lost, Lost, false},
		{"dead", ago(0), here, 1 << 30, start, Lost, Running, false},
		{"zombie", ago(0), here, zombie.Process.Pid, 0, Lost, Running, true},
		{"pid of another process", ago(0), here, pid, start + 1, Lost, Running, true},
		{"pid of unknown start", ago(0), here, pid, 0, Running, Running, false},
		{"dead elsewhere", ago(0), "elsewhere", 1 << 30, start, Running, Running, false},
		{"silent elsewhere", ago(33 * time.Second), "elsewhere", pid, start, Lost, Lost, false},
		{"unknown machine", ago(0), "", 1 << 30, start, Running, Running, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.linux && runtime.GOOS != "linux" {
				t.Skip("known on Linux only")
			}
			s := openTest(t, tempPath(t))
			register(t, s, grid("copy", 1, 1))
			r := begin(t, s, "a-0")
			check(t, r.Metric(1, "train", "loss", 1))
			r.flush()
			_, err := s.db.Exec("UPDATE run SET heartbeat = ?, machine = ?, pid = ?, process_start = ?", test.heartbeat, test.machine, test.pid, test.start)
			check(t, err)
			status, err := s.Status(ctx, "a-0")
			check(t, err)
			if status != test.want {
				t.Errorf("status: got %s, want %s", status, test.want)
			}
			rows, err := s.Trials(ctx, "copy")
			check(t, err)
			runs, err := s.RunsOf(ctx, "a-0")
			check(t, err)
			if rows[0].Status != test.want || runs[0].Status != test.want {
				t.Errorf("listed: got %s and %s, want %s", rows[0].Status, runs[0].Status, test.want)
			}
			if got := dump(t, s.Reader.db, "SELECT status FROM trials"); got != string(test.sql)+"\n" {
				t.Errorf("view: got %s, want %s", got, test.sql)
			}
			_, err = s.Begin(ctx, "a-0", Provenance{})
			if test.want == Running {
				if !errors.Is(err, ErrClaimed) {
					t.Errorf("begin: got %v, want claimed", err)
				}
				end(t, s, r, Finished)
				return
			}
			check(t, err)
			// The metric is in, and the first run can add nothing.
			if got := dumpMetrics(t, s); got != "a-0|train|loss|1|3ff0000000000000|finite\n" {
				t.Errorf("metrics: got %q", got)
			}
			check(t, s.heartbeat(ctx, []*Run{r}))
			if err := r.Metric(2, "train", "loss", 1); !errors.Is(err, ErrLost) {
				t.Errorf("a lost run records: got %v, want lost", err)
			}
			if err := s.End(ctx, r, Finished, "", ""); !errors.Is(err, ErrLost) {
				t.Errorf("a lost run ends: got %v, want lost", err)
			}
			runs, err = s.RunsOf(ctx, "a-0")
			check(t, err)
			if runs[0].Status != Lost || !strings.Contains(runs[0].Message, "ended without a word") || runs[1].Status != Running {
				t.Errorf("runs: got %+v", runs)
			}
		})
	}
}

func TestResumeVoids(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 2, 1))
	untouched := begin(t, s, "b-0")
	check(t, untouched.Metric(9, "train", "loss", 1))
	end(t, s, untouched, Finished)

	r := begin(t, s, "a-0")
	check(t, r.Resume(0))
	for step := 1; step <= 100; step++ {
		check(t, r.Metric(step, "train", "loss", float64(step)), r.Metric(step, "train", "gone", 1))
	}
	check(t, r.Metric(70, "valid", "loss", 7), r.Measurement(100, "seconds", 5))
	end(t, s, r, Interrupted)
	r = begin(t, s, "a-0")
	check(t, r.Resume(2), r.Metric(3, "train", "loss", -3), r.Resume(0), r.Metric(1, "train", "loss", -1))
	end(t, s, r, Finished)
	want := "a-0|train|loss|1|bff0000000000000|finite\nb-0|train|loss|9|3ff0000000000000|finite\n"
	if got := dumpMetrics(t, s); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	measurements, err := s.Measurements(ctx, "a-0")
	check(t, err)
	if len(measurements) != 1 || measurements[0].Value != 5 {
		t.Errorf("measurements are not void: got %v", measurements)
	}
}

func TestNonFinite(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 1, 1))
	payload := math.Float64frombits(0x7ff8000000000123)
	values := []float64{math.NaN(), payload, math.Inf(1), math.Inf(-1), math.MaxFloat64, 5e-324, 0, 3, 0.1}
	r := begin(t, s, "a-0")
	for i, v := range values {
		check(t, r.Metric(i, "train", "loss", v))
	}
	check(t, r.Measurement(0, "ratio", math.NaN()))
	end(t, s, r, Finished)
	curves, err := s.Curves(ctx, "copy", "train", "loss")
	check(t, err)
	for i, got := range curves[0].Values {
		if want := values[i]; got != want && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Errorf("step %d: got %v, want %v", i, got, want)
		}
	}
	if len(curves[0].Values) != len(values) {
		t.Errorf("got %d values, want %d", len(curves[0].Values), len(values))
	}
	got := dump(t, s.Reader.db, "SELECT step, kind, value IS NULL FROM curves ORDER BY step LIMIT 5")
	if want := "0|nan|1\n1|nan|1\n2|+inf|0\n3|-inf|0\n4|finite|0\n"; got != want {
		t.Errorf("kinds: got\n%swant\n%s", got, want)
	}
	measurements, err := s.Measurements(ctx, "a-0")
	check(t, err)
	if !math.IsNaN(measurements[0].Value) {
		t.Errorf("got %v, want NaN", measurements[0].Value)
	}
}

func TestPutMetrics(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	check(t, r.Metric(5, "test", "bleu", 1), r.Metric(5, "test", "loss", 2))
	end(t, s, r, Finished)
	for range 2 {
		check(t, s.PutMetrics(ctx, "a-0", []Metric{{"test", "bleu", 5, 30}, {"test", "wer", 5, math.Inf(1)}}))
	}
	got, err := s.LastMetrics(ctx, "a-0")
	check(t, err)
	want := []Metric{{"test", "bleu", 5, 30}, {"test", "loss", 5, 2}, {"test", "wer", 5, math.Inf(1)}}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := s.PutMetrics(ctx, "none", nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("unknown trial: got %v, want not found", err)
	}
}

// A live run's records reach readers without its doing.
func TestIngestedWhileRunning(t *testing.T) {
	ctx := context.Background()
	path := tempPath(t)
	s := openTest(t, path)
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	reader, err := OpenReadOnly(path)
	check(t, err)
	defer reader.Close()
	check(t, r.Metric(7, "train", "loss", 1))
	deadline := time.Now().Add(5 * time.Second)
	for {
		rows, err := reader.Trials(ctx, "copy")
		check(t, err)
		if rows[0].Steps == 7 && rows[0].Status == Running {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 5 seconds: got %+v", rows[0])
		}
		time.Sleep(time.Millisecond)
	}
	// The offset is part of the same transaction: nothing is ingested again.
	state, err := runState(ctx, s.Reader.db, "id = ?", r.ID())
	check(t, err)
	if size, err := r.flush(); err != nil || state.ingested != size {
		t.Errorf("ingested up to %d of %d, %v", state.ingested, size, err)
	}
	end(t, s, r, Finished)
}

func TestCloseInterrupts(t *testing.T) {
	ctx := context.Background()
	path := tempPath(t)
	s, err := Open(path)
	check(t, err)
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	check(t, r.Metric(1, "train", "loss", 1))
	check(t, s.Close())
	if err := r.Metric(2, "train", "loss", 1); err == nil {
		t.Error("a run records after its end")
	}
	s = openTest(t, path)
	if status, err := s.Status(ctx, "a-0"); status != Interrupted || err != nil {
		t.Errorf("got %q, %v, want interrupted", status, err)
	}
	if got := dumpMetrics(t, s); !strings.HasPrefix(got, "a-0|train|loss|1|") {
		t.Errorf("got %q", got)
	}
}

// What could not be kept must not pass for finished.
func TestEndOfBrokenSpool(t *testing.T) {
	ctx := context.Background()
	for _, test := range []struct {
		name  string
		spoil func(*testing.T, *Store, *Run)
		want  string
	}{
		{"corrupt", func(t *testing.T, s *Store, r *Run) {
			f, err := os.OpenFile(s.spool+"/"+r.file, os.O_WRONLY, 0)
			check(t, err)
			_, err = f.WriteAt([]byte{0xff}, int64(len(spoolMagic)))
			check(t, err, f.Close())
		}, "is missing or corrupt at byte 12"},
		{"missing", func(t *testing.T, s *Store, r *Run) {
			check(t, os.Remove(s.spool+"/"+r.file))
		}, "is missing or corrupt at byte 0"},
		{"no room", func(t *testing.T, s *Store, r *Run) {
			full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			if err != nil {
				t.Skip(err)
			}
			check(t, r.spool.file.Close())
			r.spool.file = full
			check(t, r.Metric(2, "train", "loss", 1))
		}, "no space left"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, err := open(tempPath(t), time.Hour)
			check(t, err)
			register(t, s, grid("copy", 1, 1))
			r := begin(t, s, "a-0")
			check(t, r.Metric(1, "train", "loss", 1))
			r.flush()
			test.spoil(t, s, r)
			if err := s.End(ctx, r, Finished, "", ""); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("end: got %v, want %q", err, test.want)
			}
			runs, err := s.RunsOf(ctx, "a-0")
			check(t, err)
			if runs[0].Status != Failed || !strings.Contains(runs[0].Message, test.want) {
				t.Errorf("got %s with %q, want failed with %q", runs[0].Status, runs[0].Message, test.want)
			}
			check(t, s.Close())
		})
	}
}

func TestEndAgain(t *testing.T) {
	ctx := context.Background()
	s := openTest(t, tempPath(t))
	register(t, s, grid("copy", 1, 1))
	r := begin(t, s, "a-0")
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.End(cancelled, r, Finished, "", ""); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want canceled", err)
	}
	end(t, s, r, Finished) // after an error it may be tried again
	if err := s.End(ctx, r, Failed, "", ""); !errors.Is(err, errEnded) {
		t.Errorf("got %v, want %v", err, errEnded)
	}
	if status, err := s.Status(ctx, "a-0"); status != Finished || err != nil {
		t.Errorf("got %q, %v, want finished", status, err)
	}
}
