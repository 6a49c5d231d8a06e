package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"exp/components"
	"exp/experiments"
	"exp/plots"
	"exp/runner"
	"exp/runner/train"
)

// benchCell is the speed of a cell.
type benchCell struct {
	Cell             string         `json:"cell"`
	Length           int            `json:"length,omitempty"` // of every source and target, of --lengths
	Mode             train.Mode     `json:"mode"`
	Threads          int            `json:"threads"`
	Steps            int            `json:"steps"`             // measured
	TokensStep       float64        `json:"tokens_step"`       // target tokens, on average
	TokensPerSecond  float64        `json:"tokens_per_second"` // of the target
	MsStep           float64        `json:"ms_step"`           // median
	MsStepMin        float64        `json:"ms_step_min"`
	MsStepP90        float64        `json:"ms_step_p90"`
	CPUMsStep        float64        `json:"cpu_ms_step"`
	Parameters       int            `json:"parameters"`
	MultiplyAddsStep float64        `json:"multiply_adds_step"` // of matrix products
	PeakGFLOPS       float64        `json:"peak_gflops"`        // a multiply-add is two operations
	Floor            float64        `json:"floor"`
	XFloor           float64        `json:"x_floor"`
	StepMB           float64        `json:"step_mb"`     // of activations, and of gradients that take their place
	PeakRSSMB        float64        `json:"peak_rss_mb"` // of the process, the cells before included
	AllocationsStep  float64        `json:"allocations_step"`
	FirstStepSeconds float64        `json:"first_step_seconds,omitempty"` // of the first cell
	Profile          []benchProfile `json:"profile,omitempty"`
}

// benchProfile is where a step's time goes.
type benchProfile struct {
	Operation  string  `json:"operation"`
	CallsStep  float64 `json:"calls_step"`
	ForwardMs  float64 `json:"forward_ms"` // a step
	BackwardMs float64 `json:"backward_ms"`
	Ms         float64 `json:"ms"`
	Share      float64 `json:"share"`
}

// benchFlags is the flags of the command.
type benchFlags struct {
	set             []string
	mode            string
	beam            int
	steps, threads  int
	seconds         float64
	shapes          train.Shapes
	lengths         []int
	figure          string
	profile, asJSON bool
}

func newBench() *cobra.Command {
	var f benchFlags
	c := &cobra.Command{
		Use:   "bench FILE",
		Short: "Measure how fast the models of a file train or decode, and what is slow",
		Long: `bench takes some steps of every cell of the file on --threads cores, on random
tokens, and records nothing. The batches have the vocabularies and the lengths of the
file's own training batches, in the order in which they would be trained on; with
--source-length, --target-length and --vocabulary the task's data is not read.
A step is a batch: trained on, or decoded, to the length of its longest target
whatever it says, greedily or by beam search.

The floor is the share of a step's time that its matrix products alone would take at
the peak of these cores, of the step that comes nearest; the peak is the best of large
products between the steps, for as long as a step at a time. x floor, its inverse, is
what any program could gain there at most. Both hold their value better than times do
on a machine that others use too. The time of the first step counts from the start of
the process, and the memory is the process's, the cells before included.

With --lengths each cell is measured at each of several lengths of source and target,
and --figure draws the time of the processor and the memory of a step over them.`,
		Example: `  exp bench experiments/quickstart.toml
  exp bench experiments/quickstart.toml --mode greedy --json
  exp bench experiments/quickstart.toml --mode beam --beam 10
  exp bench experiments/quickstart.toml --profile --batch 64 --source-length 20 --target-length 20 --vocabulary 8000
  exp bench experiments/quickstart.toml --set train.batch_size=128 --seconds 5
  exp bench experiments/quickstart.toml --batch 1 --vocabulary 1000 --lengths 64,256,1024,4096 --figure cost.png`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c); err != nil {
				return usage(err, "")
			}
			e, _, err := load(args[0], f.set)
			if err != nil {
				return err
			}
			return f.bench(c.Context(), e, c.OutOrStdout())
		},
	}
	setFlag(c, &f.set)
	flags := c.Flags()
	flags.StringVar(&f.mode, "mode", string(train.BenchTrain), "what a step is: "+oneOf(train.Modes()))
	flags.IntVar(&f.beam, "beam", 5, "hypotheses of a beam, of --mode beam")
	flags.IntVar(&f.steps, "steps", 30, "steps to measure, after a few that are not")
	flags.IntVar(&f.threads, "threads", 1, "cores to use, at most those that there are")
	flags.Float64Var(&f.seconds, "seconds", 20, "measure no new step of a cell after this time, but three at least")
	flags.IntVar(&f.shapes.Batch, "batch", 0, "pairs a step, in place of the file's")
	flags.IntVar(&f.shapes.SourceLength, "source-length", 0, "length of every source, in place of the data's")
	flags.IntVar(&f.shapes.TargetLength, "target-length", 0, "length of every target with its end, in place of the data's")
	flags.IntSliceVar(&f.lengths, "lengths", nil, "lengths of every source and target, ascending, to measure one after the other")
	flags.StringVar(&f.figure, "figure", "", "draw time and memory over --lengths to this file, by its ending "+oneOf((*plots.Picture)(nil).Formats()))
	flags.IntVar(&f.shapes.Vocabulary, "vocabulary", 0, "size of both vocabularies, in place of the data's")
	flags.BoolVar(&f.profile, "profile", false, "print the time by operation, forward and backward")
	flags.BoolVar(&f.asJSON, "json", false, "print a JSON object a cell, a line each")
	return c
}

// oneOf lists what a flag allows.
func oneOf[S ~string](values []S) string {
	var list []string
	for _, v := range values {
		list = append(list, string(v))
	}
	last := len(list) - 1
	return strings.Join(list[:last], ", ") + " or " + list[last]
}

// check reports every flag out of range.
func (f *benchFlags) check(c *cobra.Command) error {
	var errs []error
	if !slices.Contains(train.Modes(), train.Mode(f.mode)) {
		errs = append(errs, fmt.Errorf("--mode: must be %s, is %q", oneOf(train.Modes()), f.mode))
	} else if f.profile && f.mode != string(train.BenchTrain) {
		errs = append(errs, fmt.Errorf("--profile: is of --mode %s, not of %s", train.BenchTrain, f.mode))
	}
	if c.Flags().Changed("beam") && f.mode != string(train.BenchBeam) {
		errs = append(errs, fmt.Errorf("--beam: is of --mode %s, not of %s", train.BenchBeam, f.mode))
	}
	if !(f.seconds > 0) {
		errs = append(errs, fmt.Errorf("--seconds: must be above 0, is %v", f.seconds))
	}
	for _, flag := range []struct {
		name         string
		value, least int
	}{
		{"beam", f.beam, 1}, {"steps", f.steps, 1}, {"threads", f.threads, 1}, {"batch", f.shapes.Batch, 1}, {"source-length", f.shapes.SourceLength, 1},
		{"target-length", f.shapes.TargetLength, 1}, {"vocabulary", f.shapes.Vocabulary, int(components.NumSpecial) + 1},
	} {
		if c.Flags().Changed(flag.name) && flag.value < flag.least {
			errs = append(errs, fmt.Errorf("--%s: must be at least %d, is %d", flag.name, flag.least, flag.value))
		}
	}
	if len(f.lengths) > 0 && (c.Flags().Changed("source-length") || c.Flags().Changed("target-length")) {
		errs = append(errs, errors.New("--lengths: is in place of --source-length and --target-length"))
	}
	for i, length := range f.lengths {
		if length < 1 || i > 0 && length <= f.lengths[i-1] {
			errs = append(errs, fmt.Errorf("--lengths: must be at least 1 and ascending, are %v", f.lengths))
			break
		}
	}
	if f.figure != "" {
		if len(f.lengths) < 2 {
			errs = append(errs, errors.New("--figure: wants two --lengths at least"))
		}
		if !slices.Contains((*plots.Picture)(nil).Formats(), figureFormat(f.figure)) {
			errs = append(errs, fmt.Errorf("--figure: must end in .%s, is %q", oneOf((*plots.Picture)(nil).Formats()), f.figure))
		}
	}
	if f.threads > processors {
		errs = append(errs, fmt.Errorf("--threads: must be at most %d, the cores that there are, is %d", processors, f.threads))
	}
	return errors.Join(errs...)
}

func figureFormat(path string) string { return strings.TrimPrefix(filepath.Ext(path), ".") }

// bench measures every cell, at every length, and prints what it found, also of
// those before an interruption.
func (f *benchFlags) bench(ctx context.Context, e *experiments.Experiment, w io.Writer) error {
	var cells []benchCell
	lengths := f.lengths
	if len(lengths) == 0 {
		lengths = []int{0}
	}
	failure := func() error {
		for _, length := range lengths {
			shapes := f.shapes
			if length > 0 {
				shapes.SourceLength, shapes.TargetLength = length, length
			}
			grid, err := runner.PrepareBench(e, shapes)
			if err != nil {
				return usage(err, "")
			}
			for i := range grid.Cells {
				cell := &grid.Cells[i]
				speed, err := grid.Bench(ctx, cell, train.BenchOptions{
					Mode: train.Mode(f.mode), Beam: f.beam, Steps: f.steps, Limit: time.Duration(f.seconds * float64(time.Second)), Profile: f.profile, Threads: f.threads,
				})
				if err != nil {
					return benchFailure(cell, err)
				}
				c := newBenchCell(cell.Label(), f, speed)
				c.Length = length
				if len(cells) == 0 {
					c.FirstStepSeconds = speed.FirstStep.Sub(processStart()).Seconds()
				}
				cells = append(cells, c)
				if f.asJSON {
					if err := json.NewEncoder(w).Encode(c); err != nil {
						return failed(err)
					}
				}
			}
		}
		return nil
	}()
	if !f.asJSON && len(cells) > 0 {
		printBench(w, cells)
	}
	if failure == nil && f.figure != "" {
		return f.draw(cells)
	}
	return failure
}

// draw writes the figure of what the cells cost over the length.
func (f *benchFlags) draw(cells []benchCell) error {
	var costs []plots.Cost
	for _, c := range cells {
		i := slices.IndexFunc(costs, func(other plots.Cost) bool { return other.Name == c.Cell })
		if i < 0 {
			i, costs = len(costs), append(costs, plots.Cost{Name: c.Cell})
		}
		cost := &costs[i]
		cost.Lengths, cost.Milliseconds, cost.Megabytes = append(cost.Lengths, c.Length), append(cost.Milliseconds, c.CPUMsStep), append(cost.Megabytes, c.StepMB)
	}
	picture, err := plots.CostOverLength(costs)
	if err != nil {
		return failed(err)
	}
	if err := writePicture(picture, f.figure); err != nil {
		return failed(err)
	}
	return nil
}

func benchFailure(c *experiments.Cell, err error) *failure {
	if errors.Is(err, train.ErrInterrupted) {
		return &failure{code: exitInterrupted, err: err}
	}
	if label := c.Label(); label != "" {
		err = fmt.Errorf("%s: %w", label, err)
	}
	return failed(err)
}

func newBenchCell(label string, f *benchFlags, s *train.Speed) benchCell {
	c := benchCell{
		Cell: label, Mode: train.Mode(f.mode), Threads: f.threads, Steps: s.Steps, TokensStep: s.Tokens, TokensPerSecond: s.TokensPerSecond,
		MsStep: milliseconds(s.Time), MsStepMin: milliseconds(s.Min), MsStepP90: milliseconds(s.P90), CPUMsStep: milliseconds(s.CPU),
		Parameters: s.Parameters, MultiplyAddsStep: s.MultiplyAdds, PeakGFLOPS: 2 * s.Peak / 1e9,
		Floor: s.Floor(), XFloor: s.XFloor, StepMB: float64(s.Memory) / (1 << 20), PeakRSSMB: peakRSS() / (1 << 20), AllocationsStep: s.Allocations,
	}
	n := float64(s.Steps)
	for _, r := range s.Profile {
		c.Profile = append(c.Profile, benchProfile{
			Operation: r.Name, CallsStep: float64(r.Calls) / n, ForwardMs: milliseconds(r.Forward) / n, BackwardMs: milliseconds(r.Backward) / n,
			Ms: milliseconds(r.Time) / n, Share: r.Time.Seconds() / s.ProfiledTime.Seconds(),
		})
	}
	return c
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

// printBench writes a table of the cells, and their profiles.
func printBench(w io.Writer, cells []benchCell) {
	t := newTable("cell", "parameters", "tokens/s", "ms/step", "min", "p90", "CPU ms", "M mul-adds", "floor", "x floor", "peak GFLOP/s", "step MB", "RSS MB", "allocs/step")
	alignNumbers(t, 2, 14)
	for _, c := range cells {
		name := c.Cell
		if c.Length > 0 {
			name = strings.TrimSpace(fmt.Sprintf("%s length %d", name, c.Length))
		}
		t.AppendRow([]any{
			name, formatCount(c.Parameters), formatCount(int(c.TokensPerSecond)), fixed(c.MsStep, 2), fixed(c.MsStepMin, 2), fixed(c.MsStepP90, 2), fixed(c.CPUMsStep, 2),
			fixed(c.MultiplyAddsStep/1e6, 1), fixed(c.Floor, 2), fixed(c.XFloor, 2), fixed(c.PeakGFLOPS, 1), fixed(c.StepMB, 1), fixed(c.PeakRSSMB, 0), fixed(c.AllocationsStep, 1),
		})
	}
	fmt.Fprintln(w, t.Render())
	on := "1 thread"
	if n := cells[0].Threads; n > 1 {
		on = formatCount(n) + " threads"
	}
	of := formatCount(int(cells[0].TokensStep)) + " target tokens"
	if cells[0].Length > 0 {
		of = "each length"
	}
	fmt.Fprintf(w, "%s on %s, %s steps of %s; the first step was done %s s after the start of the process\n",
		cells[0].Mode, on, formatCount(cells[0].Steps), of, fixed(cells[0].FirstStepSeconds, 2))
	for _, c := range cells {
		if c.Profile != nil {
			printBenchProfile(w, c)
		}
	}
}

func printBenchProfile(w io.Writer, c benchCell) {
	t := newTable("operation", "calls/step", "forward ms", "backward ms", "ms/step", "share")
	alignNumbers(t, 2, 6)
	part := func(ms float64) string {
		if ms == 0 {
			return ""
		}
		return fixed(ms, 3)
	}
	for _, r := range c.Profile {
		t.AppendRow([]any{r.Operation, fixed(r.CallsStep, 0), part(r.ForwardMs), part(r.BackwardMs), fixed(r.Ms, 3), fixed(100*r.Share, 1) + "%"})
	}
	if c.Cell != "" {
		fmt.Fprintf(w, "\n%s", c.Cell)
	}
	fmt.Fprintf(w, "\n%s\n", t.Render())
}

func fixed(v float64, decimals int) string { return strconv.FormatFloat(v, 'f', decimals, 64) }

// peakRSS is the largest memory that the process has had, in bytes.
func peakRSS() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return float64(u.Maxrss)
	}
	return float64(u.Maxrss) * 1024
}

// initialised is when the packages had been initialised.
var initialised = time.Now()

// processStart is when the process was started, to 10 ms: what Linux says, and
// elsewhere when it had come to initialise this package, a little later.
func processStart() time.Time {
	age, err := processAge()
	if err != nil {
		return initialised
	}
	return time.Now().Add(-age)
}

// processAge reads how long ago Linux started the process.
func processAge() (time.Duration, error) {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, err
	}
	uptime, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return 0, err
	}
	const (
		startField  = 19        // starttime, counted from the one after the command's name
		tickSeconds = 1.0 / 100 // USER_HZ
	)
	_, afterName, _ := strings.Cut(string(stat), ") ")
	fields, up := strings.Fields(afterName), strings.Fields(string(uptime))
	if len(fields) <= startField || len(up) == 0 {
		return 0, errors.New("/proc is not as it should be")
	}
	ticks, err := strconv.ParseFloat(fields[startField], 64)
	if err != nil {
		return 0, err
	}
	now, err := strconv.ParseFloat(up[0], 64)
	if err != nil {
		return 0, err
	}
	return time.Duration((now - ticks*tickSeconds) * float64(time.Second)), nil
}
