package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"

	"exp/experiments"
	"exp/runner"
	"exp/tracking"
)

// progress shows how far the trials are: on a terminal a bar for each that is
// trained, and in either case a line for each that has ended. Off a terminal
// there is also a line for each that begins and for each evaluation.
type progress struct {
	out   io.Writer
	bars  *mpb.Progress // nil off a terminal
	total int

	mu    sync.Mutex
	ended int
	shown map[string]*shown // by trial
}

// shown is a trial under way.
type shown struct {
	bar     *mpb.Bar
	started time.Time
	from    int
	of      int // steps in all, 0 where that is not known
	loss    float64
	last    string // of the last evaluation
	at      int    // its step
}

func newProgress(out io.Writer, trials int) *progress {
	p := &progress{out: out, total: trials, shown: map[string]*shown{}}
	if file, ok := out.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
		p.bars = mpb.New(mpb.WithOutput(out), mpb.WithWidth(30), mpb.WithRefreshRate(150*time.Millisecond))
		p.out = p.bars
	}
	return p
}

// Wait ends the display.
func (p *progress) Wait() {
	if p.bars != nil {
		p.bars.Wait()
	}
}

// Begin implements [runner.Observer].
func (p *progress) Begin(t experiments.Trial, step, of int) {
	s := &shown{started: time.Now(), from: step, of: of}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shown[t.ID] = s
	if p.bars != nil {
		s.bar = p.bars.New(int64(of), mpb.BarStyle().Lbound("").Rbound("").Filler("█").Tip("█").Padding("░"),
			mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(trialLabel(t), decor.WCSyncSpaceR), decor.CountersNoUnit("%d/%d", decor.WCSyncSpace), decor.Name(" ")),
			mpb.AppendDecorators(decor.Any(func(decor.Statistics) string { return p.status(s) }, decor.WCSyncSpaceR), decor.Any(func(st decor.Statistics) string {
				return remaining(s, st.Current, st.Total)
			})),
		)
		s.bar.SetCurrent(int64(step))
		return
	}
	what := "begins"
	if step > 0 {
		what = fmt.Sprintf("goes on from step %d", step)
	}
	fmt.Fprintf(p.out, "%s: %s\n", trialLabel(t), what)
}

func (p *progress) status(s *shown) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := fmt.Sprintf(" loss %.4f", s.loss)
	if s.last != "" {
		text += "  " + s.last
	}
	return text
}

// remaining says how long the rest takes at the speed so far.
func remaining(s *shown, current, total int64) string {
	done := current - int64(s.from)
	if done < 10 {
		return ""
	}
	left := time.Duration(float64(time.Since(s.started)) / float64(done) * float64(total-current))
	return " " + formatDuration(left) + " left"
}

// Step implements [runner.Observer].
func (p *progress) Step(t experiments.Trial, step int, loss float64) {
	p.mu.Lock()
	s := p.shown[t.ID]
	s.loss = loss
	p.mu.Unlock()
	if s.bar != nil && (step < s.of || s.of == 0) { // the last step is done once it is evaluated
		s.bar.SetCurrent(int64(step))
	}
}

// Metric implements [runner.Observer].
func (p *progress) Metric(t experiments.Trial, step int, split, name string, value float64) {
	if !slices.ContainsFunc(t.Cell.Metrics, func(m experiments.Metric) bool { return m.Name == name }) {
		return // of a part or a bucket, for which there is no room
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.shown[t.ID]
	if s == nil { // a metric added to a finished trial
		fmt.Fprintf(p.out, "%s: %s/%s %s\n", trialLabel(t), split, name, formatValue(value))
		return
	}
	text := split + "/" + name + " " + formatValue(value)
	if s.at == step && strings.HasPrefix(s.last, split+"/") {
		text = s.last + "  " + text
	}
	s.last, s.at = text, step
	if metrics := t.Cell.Metrics; p.bars == nil && name == metrics[len(metrics)-1].Name {
		fmt.Fprintf(p.out, "%s: step %s  train/loss %s  %s\n", trialLabel(t), s.position(step), formatValue(s.loss), s.last)
	}
}

// position is a step, of those in all.
func (s *shown) position(step int) string {
	if s.of == 0 {
		return fmt.Sprint(step)
	}
	return fmt.Sprintf("%d/%d", step, s.of)
}

// Warn implements [runner.Observer].
func (p *progress) Warn(t experiments.Trial, err error) {
	fmt.Fprintf(p.out, "%s: warning: %v\n", trialLabel(t), err)
}

// End implements [runner.Observer].
func (p *progress) End(t experiments.Trial, r runner.Result) {
	if !r.Trained && !r.Status.Final() && r.Err == nil {
		return // interrupted before it began
	}
	p.mu.Lock()
	p.ended++
	s, count := p.shown[t.ID], fmt.Sprintf("[%d/%d]", p.ended, p.total)
	line := fmt.Sprintf("%s %s: %s", count, trialLabel(t), describeResult(r))
	if s != nil && r.Trained {
		line += " in " + formatDuration(time.Since(s.started))
		if r.Status == tracking.Finished && p.bars != nil {
			line += "  " + s.last
		}
	}
	p.mu.Unlock()
	if s != nil && s.bar != nil {
		s.bar.Abort(true)
	}
	fmt.Fprintln(p.out, line)
}

// describeResult says how a trial ended.
func describeResult(r runner.Result) string {
	switch {
	case r.Status == tracking.Running:
		return fmt.Sprintf("left alone: %v", r.Err)
	case r.Err != nil && r.Status != tracking.Interrupted:
		return fmt.Sprintf("%s: %v", r.Status, r.Err)
	case !r.Trained && r.Status.Final():
		return "was " + string(r.Status) + " before"
	}
	return string(r.Status)
}

// trialLabel names a trial within its experiment.
func trialLabel(t experiments.Trial) string {
	if name := t.Cell.Label(); name != "" {
		return fmt.Sprintf("%s seed %d", name, t.Seed)
	}
	return fmt.Sprintf("seed %d", t.Seed)
}
