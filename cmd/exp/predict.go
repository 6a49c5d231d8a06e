package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/standard"
	"exp/experiments"
	"exp/registry"
	"exp/runner"
	"exp/runner/generate"
	"exp/runner/train"
	"exp/tracking"
)

// predictFlags is the flags of the command, but for those that are options of
// decoding.
type predictFlags struct {
	scores, asJSON bool
	nbest          int
	attention      string
	seed           int64
	overrides      []experiments.Flag
	seeded         bool // seed was given
	limited        bool // max_length was given
}

// mostHypotheses of a line are decoded at once, and take memory together.
const mostHypotheses = 1000

func newPredict(p *places) *cobra.Command {
	var f predictFlags
	c := &cobra.Command{
		Use:   "predict TRIAL [FILE]",
		Short: "Read sources, a line each, and write what a trained model says of them",
		Long: `predict loads the model of a trial that was tested, the best one where
evaluate.best_by chose it, and writes a hypothesis for each line of a file or of
standard input, in their order. A trial is named by the beginning of its id, as exp
list prints it. A line is the text of a source as the task's files have it, and is cut
into tokens as they were; of a task of frames it is their numbers.

It decodes as the trial's evaluations do, and flags of the same names as the options
of [evaluate] override that; a trial that was evaluated without decoding may have a
max_length beyond what its decoder can read, and predict ends there. As many lines are
decoded at once as are there, up to --batch-size, and what has been decoded is written
at once: a line typed is answered. No result depends on which lines go together, and
memory does not grow with their number.

Each line of the output is a hypothesis. With --scores its score stands before it, and
a tab; with --nbest that is N hypotheses a line, of a beam the best first and of samples
as they are drawn, before each the number of its line, and a tab. With --json a line is
an object, of a line of the input, with all of that, log-probabilities in nats, and
unknown tokens. A line without text has an empty hypothesis.
What was left out of a source, and what is unknown, is said at the end on standard
error; a line that is not UTF-8, or that is no source, ends the command after those
before it.

--attention writes the weights with which the decoder's last layer looked at the source
as it said the first hypothesis, its end included: to a .json file those of every head
and line, to a picture the mean over the heads, a panel a line, of the first 12 lines.

The vocabularies are learned again from the task's data, which must be where they were
and as they were when the trial was trained.`,
		Example: `  exp predict 3f9c21 sources.txt > hypotheses.txt
  echo "jump twice" | exp predict 3f9c21
  exp predict 3f9c21 --beam-size 5 --length-penalty wu --length-alpha 0.6 --nbest 5 --scores < sources.txt
  exp predict 3f9c21 --search sample --temperature 0.8 --top-p 0.9 --nbest 3 sources.txt
  exp predict 3f9c21 --attention alignment.svg sources.txt`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := f.check(c.Flags()); err != nil {
				return usage(err, "")
			}
			name, in := "standard input", c.InOrStdin()
			if len(args) == 2 {
				file, err := os.Open(args[1])
				if err != nil {
					return usage(err, "")
				}
				defer file.Close()
				name, in = args[1], file
			}
			pr, err := p.newPredictor(c.Context(), args[0], &f, c.ErrOrStderr())
			if err != nil {
				return err
			}
			out := bufio.NewWriter(c.OutOrStdout())
			err = pr.run(c.Context(), readSources(c.Context(), name, in, pr.batchSize), out)
			pr.counts.print(name, c.ErrOrStderr())
			a := pr.alignment
			switch {
			case a == nil || err != nil:
				return err
			case a.left > 0:
				fmt.Fprintf(c.ErrOrStderr(), "exp: warning: %s: shows the first %d lines and not %s others; a .json file has all\n", a.path, maxPanels, formatCount(a.left))
			}
			return nil
		},
	}
	flags := c.Flags()
	flags.BoolVar(&f.scores, "scores", false, "write the score of each hypothesis")
	flags.IntVar(&f.nbest, "nbest", 1, "hypotheses a line: the best of a beam as large, the best first, or as many samples, as they are drawn")
	flags.StringVar(&f.attention, "attention", "", "write the weights of the attention to this file, by its ending json, "+oneOf(pictureFormats()))
	flags.BoolVar(&f.asJSON, "json", false, "write a JSON object a line of the input")
	flags.Int64Var(&f.seed, "seed", 0, "of what is drawn, in place of the trial's")
	for _, o := range predictOptions() {
		name := flagName(o.Key)
		switch o.Default.(type) {
		case int64:
			flags.Int(name, 0, o.Doc)
		case float64:
			flags.Float64(name, 0, o.Doc)
		default:
			flags.String(name, "", o.Doc)
		}
	}
	return c
}

// predictOptions is the options of [evaluate] that flags override.
func predictOptions() []registry.Option {
	options := registry.Describe(components.DefaultDecodingOptions())
	for _, o := range registry.Describe(components.DefaultEvaluation()) {
		if o.Key == "batch_size" {
			options = append(options, o)
		}
	}
	return options
}

func flagName(key string) string { return strings.ReplaceAll(key, "_", "-") }

// check reads the flags that override options, and reports every one of the others
// that is out of range.
func (f *predictFlags) check(flags *pflag.FlagSet) error {
	f.seeded, f.limited = flags.Changed("seed"), flags.Changed(flagName("max_length"))
	for _, o := range predictOptions() {
		flag := flags.Lookup(flagName(o.Key))
		if !flag.Changed {
			continue
		}
		value := flag.Value.String()
		if flag.Value.Type() == "string" {
			value = registry.Format(value)
		}
		f.overrides = append(f.overrides, experiments.Flag{Name: "--" + flag.Name, Set: "evaluate." + o.Key + "=" + value})
	}
	var errs []error
	if f.nbest < 1 || f.nbest > mostHypotheses {
		errs = append(errs, fmt.Errorf("--nbest: must be from 1 to %s, is %d", formatCount(mostHypotheses), f.nbest))
	}
	if n, err := flags.GetInt("beam-size"); err == nil && n > mostHypotheses {
		errs = append(errs, fmt.Errorf("--beam-size: must be at most %s, is %d", formatCount(mostHypotheses), n))
	}
	if f.attention != "" {
		if format := figureFormat(f.attention); format != "json" && !slices.Contains(pictureFormats(), format) {
			errs = append(errs, fmt.Errorf("--attention: must end in .json, .%s, is %q", oneOf(pictureFormats()), f.attention))
		}
	}
	if f.scores && f.asJSON {
		errs = append(errs, errors.New("--scores: is for lines of text; with --json scores are there"))
	}
	return errors.Join(errs...)
}

// predictor is a model that decodes lines.
type predictor struct {
	*runner.Trained
	*predictFlags
	options   generate.Options
	batchSize int
	alignment *alignment // nil without --attention

	tape   *autodiff.Tape
	batch  components.Batch
	counts predictCounts
}

// newPredictor loads the model of a trial.
func (p *places) newPredictor(ctx context.Context, trial string, f *predictFlags, warnings io.Writer) (*predictor, error) {
	reader, err := tracking.OpenReadOnly(p.database())
	if err != nil {
		return nil, failed(err)
	}
	defer reader.Close()
	t, err := findTrial(ctx, reader, trial)
	if err != nil {
		return nil, err
	}
	if !t.trained {
		return nil, usage(fmt.Errorf("trial %s was never trained", short(t.id)), "exp run FILE trains it")
	}
	c, err := experiments.Recorded(standard.Catalog(), "trial "+short(t.id), t.config(), f.overrides...)
	if err != nil {
		return nil, usage(err, "")
	}
	seed := t.seed
	if f.seeded {
		seed = f.seed
	}
	pr := &predictor{predictFlags: f, tape: autodiff.NewTape(autodiff.Float32), batchSize: c.Evaluation.BatchSize}
	pr.Trained, err = runner.LoadTrained(c, seed, t.data, runner.CheckpointOf(p.checkpoints(), t.id), !f.limited)
	switch {
	case errors.Is(err, train.ErrNoCheckpoint):
		return nil, failed(fmt.Errorf("trial %s %w", short(t.id), err))
	case err != nil:
		var errs []error
		for _, err := range registry.Split(err) {
			errs = append(errs, fmt.Errorf("trial %s: %w", short(t.id), err))
		}
		return nil, usage(errors.Join(errs...), "")
	}
	warnOf(warnings, t.id, pr.Damaged)
	if t.status != tracking.Finished {
		warnOf(warnings, t.id, []error{unfinished(t.status, pr.Step, c.Training.Steps)})
	}
	pr.options = pr.Decoding
	pr.options.Count = f.nbest
	if pr.Model.Aligned() && f.nbest > 1 {
		return nil, usage(fmt.Errorf("--nbest: is %d, and the decoder of trial %s says one class of each step of the source, the best", f.nbest, short(t.id)), "")
	}
	if n := pr.options.BeamSize; pr.options.Search == components.Beam && f.nbest > n {
		return nil, usage(fmt.Errorf("--nbest: is %d, and a beam of %d has no more than as many hypotheses", f.nbest, n), fmt.Sprintf("give --beam-size %d, or --search sample", f.nbest))
	}
	if f.attention != "" {
		if !pr.Model.Attends() {
			return nil, usage(fmt.Errorf("--attention: the model of trial %s has none", short(t.id)), "")
		}
		if pr.alignment, err = newAlignment(f.attention); err != nil {
			return nil, failed(err)
		}
	}
	return pr, nil
}

// unfinished says that the weights of a step, of so many, are not those at the end of
// the training; of is 0 where it does not end by its steps.
func unfinished(status tracking.Status, step string, of int) error {
	if n, err := strconv.Atoi(step); err == nil {
		step = formatCount(n)
	}
	if of > 0 {
		step += " of " + formatCount(of)
	}
	return fmt.Errorf("its model is not trained to the end: its last run is %s, and these are the weights of step %s", status, step)
}

// prediction is a line and what the model says of it.
type prediction struct {
	Line       int                    `json:"line"`
	Source     string                 `json:"source"`
	Unknown    []string               `json:"unknown,omitempty"` // tokens of it that the vocabulary lacks
	Cut        int                    `json:"cut,omitempty"`     // tokens at its end that are left out
	Hypotheses []predictionHypothesis `json:"hypotheses"`

	pair   components.Pair
	tokens []string // of the source, without those that are left out
	found  []generate.Hypothesis
}

type predictionHypothesis struct {
	Text    string `json:"text"`
	Score   number `json:"score"`
	LogProb number `json:"log_prob"` // nats
	Tokens  int    `json:"tokens"`
	Ended   bool   `json:"ended"` // else max_length cut it
}

// run decodes the lines that come in, and writes what the model says. Where it does
// not come to their end, what was at the path of the attention stays.
func (p *predictor) run(ctx context.Context, lines <-chan sourceLine, out *bufio.Writer) error {
	err := p.lines(ctx, lines, out)
	switch {
	case p.alignment == nil:
	case err != nil:
		p.alignment.discard()
	default:
		if err := p.alignment.close(); err != nil {
			return failed(err)
		}
	}
	return err
}

func (p *predictor) lines(ctx context.Context, lines <-chan sourceLine, out *bufio.Writer) error {
	for {
		batch, err := p.next(ctx, lines)
		if ctx.Err() == nil {
			p.decode(ctx, batch)
		}
		if ctx.Err() != nil {
			return &failure{code: exitInterrupted, err: errors.New("interrupted")}
		}
		for _, one := range batch {
			if err := p.write(out, one); err != nil {
				return failed(err)
			}
		}
		if flushed := out.Flush(); flushed != nil {
			return failed(flushed)
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return usage(err, "the lines before it are decoded and written")
		}
	}
}

// next waits for a line, and returns it with those that are there besides, as many as
// a batch may have. The error is why there are no more after these, io.EOF at the end.
func (p *predictor) next(ctx context.Context, lines <-chan sourceLine) (batch []*prediction, err error) {
	for len(batch) < p.batchSize {
		var line sourceLine
		if len(batch) == 0 {
			select {
			case line = <-lines:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		} else {
			select {
			case line = <-lines:
			default:
				return batch, ctx.Err()
			}
		}
		if line.err != nil {
			return batch, line.err
		}
		one, err := p.read(line)
		if err != nil {
			return batch, line.fault("%w", err)
		}
		batch = append(batch, one)
	}
	return batch, ctx.Err()
}

// read makes a source of a line.
func (p *predictor) read(line sourceLine) (*prediction, error) {
	one := &prediction{Line: line.number, Source: line.text, Hypotheses: []predictionHypothesis{}}
	p.counts.lines++
	if strings.TrimSpace(line.text) == "" {
		p.counts.empty.add(line.number, "")
		return one, nil
	}
	var err error
	one.pair, one.tokens, err = p.Data.ReadSource(line.text)
	if err != nil {
		return nil, err
	}
	steps := max(len(one.tokens), one.pair.Frames.Steps())
	p.limit(&one.pair)
	if one.Cut = steps - one.pair.SourceSteps(); one.Cut > 0 {
		p.counts.cut.add(line.number, fmt.Sprintf("%d of its %d steps are left out", one.Cut, steps))
	}
	if p.Data.Source != nil {
		one.tokens = one.tokens[:len(one.pair.Source)]
	}
	for i, id := range one.pair.Source {
		if id == components.Unk {
			one.Unknown = append(one.Unknown, one.tokens[i])
		}
	}
	p.counts.tokens += steps
	if n := len(one.Unknown); n > 0 {
		p.counts.unknownTokens += n
		p.counts.unknown.add(line.number, fmt.Sprintf("which has %q", one.Unknown[0]))
	}
	return one, nil
}

// limit cuts a source to what the encoder can read.
func (p *predictor) limit(pair *components.Pair) {
	longest, _, _, _ := p.Model.MaxLengths()
	if longest == 0 {
		return
	}
	n := pair.SourceSteps()
	for n > 0 && p.Model.EncoderSteps(n) > longest {
		n--
	}
	if pair.Frames.Size > 0 {
		pair.Frames.Values = pair.Frames.Values[:n*pair.Frames.Size]
	} else {
		pair.Source = pair.Source[:n]
	}
}

// decode finds the hypotheses of a batch, none when ctx is done before. A line without
// text has an empty one.
func (p *predictor) decode(ctx context.Context, batch []*prediction) {
	var pairs []components.Pair
	var texts []*prediction
	o := p.options
	o.Examples, o.Stop = nil, ctx.Done()
	for _, one := range batch {
		if one.pair.SourceSteps() == 0 {
			one.found = []generate.Hypothesis{{Ended: true}}
			continue
		}
		texts, pairs, o.Examples = append(texts, one), append(pairs, one.pair), append(o.Examples, one.Line-1)
	}
	if len(texts) > 0 {
		p.batch.Fill(pairs)
		for i, found := range generate.Decode(p.Model, p.tape, p.batch.Source, o) {
			texts[i].found = found
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, one := range batch {
		for _, h := range one.found {
			one.Hypotheses = append(one.Hypotheses, predictionHypothesis{p.Data.TargetText(h.Tokens), number(h.Score), number(h.LogProb), len(h.Tokens), h.Ended})
			if !h.Ended {
				p.counts.unended.add(one.Line, "")
			}
		}
	}
	if p.alignment != nil && len(texts) > 0 {
		p.align(texts)
	}
}

// write writes what the model says of a line.
func (p *predictor) write(out *bufio.Writer, one *prediction) error {
	if p.alignment != nil {
		if err := p.alignment.write(); err != nil {
			return err
		}
	}
	if p.asJSON {
		e := json.NewEncoder(out)
		e.SetEscapeHTML(false)
		return e.Encode(one)
	}
	for _, h := range one.Hypotheses {
		if p.nbest > 1 {
			fmt.Fprintf(out, "%d\t", one.Line)
		}
		if p.scores {
			fmt.Fprintf(out, "%.6f\t", float64(h.Score))
		}
		if _, err := fmt.Fprintln(out, lineBreaks.Replace(h.Text)); err != nil {
			return err
		}
	}
	return nil
}

// lineBreaks keeps a hypothesis, which bytes and characters can spell, on its line.
var lineBreaks = strings.NewReplacer("\n", `\n`, "\r", `\r`)

// predictCounts is what there is to say at the end.
type predictCounts struct {
	lines, tokens, unknownTokens int
	empty, cut, unknown, unended lineCount
}

// lineCount counts lines, and knows the first.
type lineCount struct {
	n, first, last int
	what           string // of the first
}

func (c *lineCount) add(line int, what string) {
	if line == c.last {
		return
	}
	if c.n == 0 {
		c.first, c.what = line, what
	}
	c.n++
	c.last = line
}

// print says it.
func (c *predictCounts) print(name string, w io.Writer) {
	say := func(l lineCount, format string, args ...any) {
		if l.n == 0 {
			return
		}
		what := ""
		if l.what != "" {
			what = ", " + l.what
		}
		fmt.Fprintf(w, "exp: warning: %s: %s; the first is line %d%s\n", name, fmt.Sprintf(format, args...), l.first, what)
	}
	of := fmt.Sprintf("of %s lines", formatCount(c.lines))
	say(c.empty, "%s %s have no text, and an empty hypothesis", formatCount(c.empty.n), of)
	say(c.cut, "%s %s are longer than the model reads, and are cut", formatCount(c.cut.n), of)
	say(c.unknown, "%s of %s tokens, in %s lines, are not in the vocabulary, and are read as unknown", formatCount(c.unknownTokens), formatCount(c.tokens), formatCount(c.unknown.n))
	say(c.unended, "%s %s have a hypothesis that max_length cut", formatCount(c.unended.n), of)
}
