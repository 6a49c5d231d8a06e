package tracking

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Tests that need several processes run this test binary again, as a child that
// does what the variable says.
const childVariable = "EXP_TRACKING_TEST_CHILD"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(childVariable) {
	case "":
		os.Exit(m.Run())
	case "train":
		err = childTrain(os.Args[1])
	case "claim":
		err = childClaim(os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type child struct {
	*exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr strings.Builder
}

func startChild(t *testing.T, role, path string) *child {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	c := &child{Cmd: exec.Command(self, path)}
	// The race detector keeps a process for a second after its end by default.
	c.Env = append(os.Environ(), childVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	c.Stderr = &c.stderr
	c.in, err = c.StdinPipe()
	check(t, err)
	out, err := c.StdoutPipe()
	check(t, err)
	c.out = bufio.NewScanner(out)
	check(t, c.Start())
	return c
}

// The training of these tests: its numbers follow from trial and step, it
// evaluates every 20 steps and writes a checkpoint every 7.
const (
	trainSteps      = 400
	evaluateEvery   = 20
	checkpointEvery = 7
)

func trainValue(trial, name string, step int) float64 {
	switch {
	case step%37 == 5 && name == "loss":
		return math.NaN()
	case step%41 == 7:
		return math.Inf(1)
	}
	return math.Sqrt(float64(step)) + float64(len(name)) + float64(trial[0])
}

func checkpointPath(path, trial string) string {
	return filepath.Join(filepath.Dir(path), trial+".checkpoint")
}

// readCheckpoint is the step of the last checkpoint, or 0.
func readCheckpoint(path, trial string) (int, error) {
	b, err := os.ReadFile(checkpointPath(path, trial))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(b))
}

func trainTrial(s *Store, path, trial string) error {
	r, err := s.Begin(context.Background(), trial, Provenance{})
	if errors.Is(err, ErrFinished) {
		return nil
	}
	if err != nil {
		return err
	}
	start, err := readCheckpoint(path, trial)
	if err != nil {
		return err
	}
	if err := r.Resume(start); err != nil {
		return err
	}
	for step := start + 1; step <= trainSteps; step++ {
		for _, name := range []string{"loss", "grad_norm", "lr"} {
			if err := r.Metric(step, "train", name, trainValue(trial, name, step)); err != nil {
				return err
			}
		}
		if step%evaluateEvery == 0 {
			err := errors.Join(r.Metric(step, "valid", "accuracy", trainValue(trial, "accuracy", step)), r.Measurement(step, "seconds", 1))
			if err != nil {
				return err
			}
		}
		if step%checkpointEvery == 0 {
			if err := r.Sync(); err != nil {
				return err
			}
			temporary := checkpointPath(path, trial) + ".tmp"
			if err := os.WriteFile(temporary, []byte(strconv.Itoa(step)), 0o644); err != nil {
				return err
			}
			if err := os.Rename(temporary, checkpointPath(path, trial)); err != nil {
				return err
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
	return s.End(context.Background(), r, Finished, "", "")
}

func trainAll(path string) error {
	s, err := open(path, quick)
	if err != nil {
		return err
	}
	e := grid("crash", 3, 1)
	if err := s.Register(context.Background(), e); err != nil {
		return err
	}
	errs := make(chan error)
	for _, t := range e.Trials {
		go func() { errs <- trainTrial(s, path, t.ID) }()
	}
	for range e.Trials {
		err = errors.Join(err, <-errs)
	}
	return errors.Join(err, s.Close())
}

func childTrain(path string) error {
	fmt.Println("ready")
	return trainAll(path)
}

// A training that is killed at any moments, and begun again at once each time,
// leaves what one leaves that is not.
func TestKill(t *testing.T) {
	reference := tempPath(t)
	check(t, trainAll(reference))
	want := dumpMetrics(t, openTest(t, reference))
	if n := strings.Count(want, "\n"); n != 3*(3*trainSteps+trainSteps/evaluateEvery) {
		t.Fatalf("reference: got %d rows", n)
	}

	databases := 3
	if testing.Short() {
		databases = 1
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range databases {
		killAndReopen(t, rng, want)
	}
}

func killAndReopen(t *testing.T, rng *rand.Rand, want string) {
	path := tempPath(t)
	kills := 0
	for alive := true; alive; {
		c := startChild(t, "train", path)
		c.out.Scan() // it is about to open the store
		// Longer and longer, so that a slow machine comes to an end too.
		limit := 40*time.Millisecond + time.Duration(kills*kills)*100*time.Microsecond
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(limit))), func() { c.Process.Kill() })
		err := c.Wait()
		timer.Stop()
		switch {
		case err == nil:
			alive = false
		case c.ProcessState.ExitCode() >= 0:
			t.Fatalf("a child failed: %v: %s", err, c.stderr.String())
		default:
			kills++
		}
		if rng.IntN(3) == 0 { // else the next child finds what this one left
			checkKept(t, path)
		}
	}
	s := openTest(t, path)
	if got := dumpMetrics(t, s); got != want {
		t.Errorf("metrics differ: got %d bytes, want %d", len(got), len(want))
	}
	for _, test := range []struct{ query, want string }{
		{"SELECT count(*) FROM runs WHERE status NOT IN ('finished', 'lost')", "0\n"},
		{"SELECT count(*) FROM runs WHERE status = 'finished'", "3\n"},
		{"PRAGMA integrity_check", "ok\n"},
		{"PRAGMA foreign_key_check", ""},
	} {
		if got := dump(t, s.Reader.db, test.query); got != test.want {
			t.Errorf("%s: got %q, want %q", test.query, got, test.want)
		}
	}
	if left := spools(t, path); left != nil {
		t.Errorf("spools left: %v", left)
	}
	t.Logf("%d kills, %s runs lost", kills, strings.TrimSpace(dump(t, s.Reader.db, "SELECT count(*) FROM runs WHERE status = 'lost'")))
	if kills == 0 {
		t.Error("no child was killed")
	}
}

// checkKept opens the store as a dead process left it: what came before a
// checkpoint is there, and what is there is right.
func checkKept(t *testing.T, path string) {
	t.Helper()
	s, err := Open(path)
	check(t, err)
	defer s.Close()
	if left := spools(t, path); left != nil {
		t.Errorf("spools left: %v", left)
	}
	for _, trial := range grid("crash", 3, 1).Trials {
		saved, err := readCheckpoint(path, trial.ID)
		check(t, err)
		rows, err := s.Reader.db.Query("SELECT metric, step, value FROM metrics WHERE trial = ? AND split = 'train' ORDER BY metric, step", trial.ID)
		check(t, err)
		count := map[string]int{}
		for rows.Next() {
			m := Metric{}
			var value *float64
			check(t, rows.Scan(&m.Name, &m.Step, &value))
			if count[m.Name]++; m.Step != count[m.Name] {
				t.Fatalf("%s %s: got step %d, want %d", trial.ID, m.Name, m.Step, count[m.Name])
			}
			want := trainValue(trial.ID, m.Name, m.Step)
			if value == nil != math.IsNaN(want) || value != nil && *value != want {
				t.Fatalf("%s %s at step %d: got %v, want %v", trial.ID, m.Name, m.Step, value, want)
			}
		}
		check(t, rows.Err())
		for _, name := range []string{"loss", "grad_norm", "lr"} {
			if count[name] < saved {
				t.Fatalf("%s %s: got %d steps, and the checkpoint is of %d", trial.ID, name, count[name], saved)
			}
		}
	}
}

const claimTrials = 20

// childClaim waits for a line, claims what it can, writes it and holds it
// until its input ends.
func childClaim(path string) error {
	s, err := open(path, quick)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	in := bufio.NewReader(os.Stdin)
	if _, err := in.ReadString('\n'); err != nil {
		return err
	}
	var won []string
	for i := range claimTrials {
		id := fmt.Sprintf("a-%d", i)
		switch _, err := s.Begin(context.Background(), id, Provenance{}); {
		case err == nil:
			won = append(won, id)
		case !errors.Is(err, ErrClaimed):
			return err
		}
	}
	fmt.Println(strings.Join(won, " "))
	if _, err := io.Copy(io.Discard, in); err != nil {
		return err
	}
	return s.Close()
}

// Of processes that claim the same trials at once each trial has one winner.
func TestClaimAtOnce(t *testing.T) {
	path := tempPath(t)
	s := openTest(t, path)
	register(t, s, grid("claim", 1, claimTrials))
	var children []*child
	for range 3 {
		children = append(children, startChild(t, "claim", path))
	}
	line := func(c *child) string {
		if !c.out.Scan() {
			c.Process.Kill()
			c.Wait()
			t.Fatalf("a child failed: %s", c.stderr.String())
		}
		return c.out.Text()
	}
	for _, c := range children {
		line(c)
	}
	for _, c := range children {
		_, err := c.in.Write([]byte("go\n"))
		check(t, err)
	}
	winners := map[string]int{}
	for _, c := range children {
		for _, id := range strings.Fields(line(c)) {
			winners[id]++
		}
	}
	for i := range claimTrials {
		if id := fmt.Sprintf("a-%d", i); winners[id] != 1 {
			t.Errorf("%s: got %d winners, want 1", id, winners[id])
		}
	}
	for _, c := range children {
		check(t, c.in.Close())
		if err := c.Wait(); err != nil {
			t.Errorf("a child failed: %v: %s", err, c.stderr.String())
		}
	}
	if got := dump(t, s.Reader.db, "SELECT status, count(*) FROM runs GROUP BY status"); got != fmt.Sprintf("interrupted|%d\n", claimTrials) {
		t.Errorf("runs: got %q, want all interrupted", got)
	}
}
