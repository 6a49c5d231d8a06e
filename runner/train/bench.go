package train

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/kernel"
	"exp/runner/generate"
)

// Mode is what a benchmark measures.
type Mode string

// What there is to measure.
const (
	BenchTrain  Mode = "train"  // whole training steps: batch, forward, backward, clipping, optimizer
	BenchGreedy Mode = "greedy" // greedy decoding of a batch, as many steps as its longest target has, stopping for no Eos
	BenchBeam   Mode = "beam"   // beam search of a batch, of which none ends before its longest target
)

// Modes lists what is allowed.
func Modes() []Mode { return []Mode{BenchTrain, BenchGreedy, BenchBeam} }

// BenchOptions says what a benchmark measures, and for how long.
type BenchOptions struct {
	Mode    Mode
	Beam    int           // its size, of BenchBeam
	Steps   int           // measured, after a few that are not
	Limit   time.Duration // after which no step is begun, but three at least are taken
	Profile bool          // say where time goes; only where training
	Threads int           // cores to use, at least 1
}

const (
	warmUpSteps  = 3
	leastSteps   = 3
	peakInterval = 20 * time.Millisecond // of steps at least, between two measurements of the peak
	peakSize     = 512                   // M, N and K of the product that measures it
)

// Speed is what a benchmark found. A step is a batch.
type Speed struct {
	Steps           int     // measured
	Tokens          float64 // target tokens a step, on average
	TokensPerSecond float64 // median of the steps

	Time, Min, P90 time.Duration // of a step: median, shortest, 90th percentile
	CPU            time.Duration // of the process a step, median

	Parameters   int
	MultiplyAdds float64 // a step, on average, of matrix products
	Peak         float64 // most multiply-adds a second of the threads in large products, of stretches between the steps that are as long as one
	XFloor       float64 // time over the time that the step's products alone take at the peak, of the step that comes nearest to it
	Allocations  float64 // a step
	Memory       int     // bytes of a step at most: activations, and the gradients of parameters with them

	FirstStep time.Time // when the first step of all had been done

	ProfiledTime time.Duration // of all steps together
	Profile      []autodiff.ProfileRow
}

// Floor is the share of a step's time that its products alone take at the peak.
func (s *Speed) Floor() float64 { return 1 / s.XFloor }

// Bench measures the speed of a configuration on its data. When ctx is done, it
// finishes the step and returns [ErrInterrupted].
func Bench(ctx context.Context, c Config, o BenchOptions) (*Speed, error) {
	done := make(chan struct{})
	var helpers sync.WaitGroup
	for range o.Threads - 1 {
		helpers.Go(func() { kernel.Lend(done) })
	}
	defer helpers.Wait()
	defer close(done)
	c.Checkpoint = ""
	c.Training.Steps = max(c.Training.Steps, warmUpSteps+o.Steps) // a schedule ends with the training
	c.Training.Epochs, c.Training.Tokens, c.Training.Seconds = 0, 0, 0
	t, err := newTrial(c, discard{})
	if err != nil {
		return nil, err
	}
	defer t.close()
	b := &bench{trial: t, mode: o.Mode, beam: o.Beam, laps: make([]lap, 0, o.Steps)}
	if o.Mode == BenchBeam && !t.model.Aligned() {
		if err := b.neverEnd(); err != nil {
			return nil, err
		}
	}
	speed := &Speed{Parameters: t.model.Params.Count()}
	for i := range warmUpSteps {
		if ctx.Err() != nil {
			return nil, ErrInterrupted
		}
		if _, err := b.step(); err != nil {
			return nil, err
		}
		if i == 0 {
			speed.FirstStep = time.Now()
		}
	}
	if o.Profile {
		b.profile = t.tape.Profile()
	}
	b.peak = newPeak(o.Steps) // after the first step, which it must not hold up
	if err := b.measure(ctx, o, speed); err != nil {
		return nil, err
	}
	b.summarise(speed)
	speed.Memory = t.tape.Mem()
	return speed, nil
}

// bench is a benchmark under way.
type bench struct {
	*trial
	mode    Mode
	beam    int
	profile *autodiff.Profile // nil without
	laps    []lap
	peak    *peak
	usage   syscall.Rusage
}

// lap is what one step took.
type lap struct {
	wall, cpu    time.Duration
	tokens       int
	multiplyAdds int64
}

// step does one step, and says how many target tokens it had.
func (b *bench) step() (tokens int, err error) {
	switch b.mode {
	case BenchTrain:
		b.timed = 0
		err := b.update()
		return b.timed, err
	case BenchGreedy:
		b.model.Fill(&b.batch, b.order.batch())
		steps := b.batch.TargetOut.Longest()
		if b.model.Aligned() {
			generate.Greedy(b.model, b.tape, b.batch.Source, steps)
			return b.batch.TargetOut.Steps(), nil
		}
		generate.GreedySteps(b.model, b.tape, b.batch.Source, steps, everyToken)
		return b.batch.Source.Batch() * steps, nil
	case BenchBeam:
		b.model.Fill(&b.batch, b.order.batch())
		steps := b.batch.TargetOut.Longest()
		generate.Decode(b.model, b.tape, b.batch.Source, generate.Options{DecodingOptions: components.DecodingOptions{BeamSize: b.beam, MaxLength: steps}})
		return b.batch.Source.Batch() * steps, nil
	}
	return 0, fmt.Errorf("there is no benchmark %q", b.mode)
}

func everyToken([]int32) bool { return true }

// neverEnd makes the Eos so improbable that a beam stays as large as it was.
func (b *bench) neverEnd() error {
	parameter := b.model.Params.Lookup("output.bias")
	bias := parameter.Float32s()
	bias[components.Eos] = -1e9
	return b.model.Params.Set(parameter, bias)
}

// measure takes the steps, and between them the peak.
func (b *bench) measure(ctx context.Context, o BenchOptions, s *Speed) error {
	var before, after runtime.MemStats
	var spent, peakAt time.Duration // of steps
	runtime.ReadMemStats(&before)
	started := time.Now()
	for range o.Steps {
		if ctx.Err() != nil {
			return ErrInterrupted
		}
		l, err := b.lap()
		if err != nil {
			return err
		}
		b.laps = append(b.laps, l)
		spent += l.wall
		if spent >= peakAt {
			b.peak.measure(l.wall)
			peakAt = spent + peakInterval
		}
		if len(b.laps) >= leastSteps && time.Since(started) >= o.Limit {
			break
		}
	}
	runtime.ReadMemStats(&after)
	s.Allocations = float64(after.Mallocs-before.Mallocs) / float64(len(b.laps))
	return nil
}

// lap does and measures one step.
func (b *bench) lap() (lap, error) {
	kernel.StartCount()
	cpu, started := b.cpu(), time.Now()
	if b.profile != nil {
		b.profile.Begin()
	}
	tokens, err := b.step()
	l := lap{wall: time.Since(started), cpu: b.cpu() - cpu, tokens: tokens, multiplyAdds: kernel.StopCount()}
	return l, err
}

// cpu is the time that the process has computed.
func (b *bench) cpu() time.Duration {
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &b.usage); err != nil {
		return 0
	}
	return time.Duration(b.usage.Utime.Nano() + b.usage.Stime.Nano())
}

// summarise computes the speed from the laps.
func (b *bench) summarise(s *Speed) {
	s.Steps, s.Peak = len(b.laps), slices.Max(b.peak.speeds)
	of := func(f func(lap) float64) []float64 {
		values := make([]float64, len(b.laps))
		for i, l := range b.laps {
			values[i] = f(l)
		}
		slices.Sort(values)
		return values
	}
	wall := of(func(l lap) float64 { return float64(l.wall) })
	s.Time, s.Min, s.P90 = time.Duration(median(wall)), time.Duration(wall[0]), time.Duration(wall[(len(wall)-1)*9/10])
	s.CPU = time.Duration(median(of(func(l lap) float64 { return float64(l.cpu) })))
	s.TokensPerSecond = median(of(func(l lap) float64 { return float64(l.tokens) / l.wall.Seconds() }))
	s.XFloor = of(func(l lap) float64 { return l.wall.Seconds() / (float64(l.multiplyAdds) / s.Peak) })[0]
	for _, l := range b.laps {
		s.Tokens += float64(l.tokens)
		s.MultiplyAdds += float64(l.multiplyAdds)
		s.ProfiledTime += l.wall
	}
	s.Tokens /= float64(s.Steps)
	s.MultiplyAdds /= float64(s.Steps)
	if b.profile != nil {
		s.Profile = b.profile.Rows()
	}
}

// median of sorted values, of which there is one at least.
func median[T float64 | time.Duration](sorted []T) T {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// peak measures how fast the threads multiply large matrices.
type peak struct {
	a, c   []float32 // [peakSize, peakSize]
	b      kernel.Packed[float32]
	speeds []float64 // multiply-adds a second
}

// newPeak makes room for n measurements, and multiplies once, which does not count.
func newPeak(n int) *peak {
	p := &peak{a: make([]float32, peakSize*peakSize), c: make([]float32, peakSize*peakSize)}
	for i := range p.a {
		p.a[i] = float32(i%7) - 3
	}
	p.b.Pack(false, peakSize, peakSize, p.a, peakSize)
	p.speeds = make([]float64, 0, n)
	p.multiply()
	return p
}

func (p *peak) multiply() {
	kernel.GemmPacked(false, peakSize, p.a, peakSize, &p.b, p.c, peakSize, nil, false)
}

// measure multiplies for a time, once at least. The time is that of a step: in one
// of many shorter stretches a processor may be faster than it ever is for so long,
// and be left alone by who interrupts each step.
func (p *peak) measure(duration time.Duration) {
	started, products := time.Now(), 0
	var took time.Duration
	for products == 0 || took < duration {
		p.multiply()
		products++
		took = time.Since(started)
	}
	p.speeds = append(p.speeds, float64(products)*peakSize*peakSize*peakSize/took.Seconds())
}
