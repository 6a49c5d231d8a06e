package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"exp/components"
	"exp/experiments"
	"exp/registry"
	"exp/runner"
	"exp/runner/train"
)

// checked is what check found.
type checked struct {
	Experiment string        `json:"experiment"`
	Faults     int           `json:"faults"`
	Warnings   int           `json:"warnings"`
	Data       []checkedData `json:"data"`
	Cells      []checkedCell `json:"cells"`
}

type checkedData struct {
	Task     string          `json:"task"`
	Cells    []string        `json:"cells"` // that are trained on it; "" for the only one
	Findings []train.Finding `json:"findings"`
}

type checkedCell struct {
	ID       string          `json:"id"`
	Cell     string          `json:"cell"` // "" for the only one
	Findings []train.Finding `json:"findings"`
}

func newCheck() *cobra.Command {
	var set, cells []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "check FILE",
		Short: "Find what would make a long training worthless, in seconds",
		Long: `check does to every cell of the file what a careful person does by hand before a
long run, and prints a verdict a line: ok, warning or fault, with advice.

Of the data: do targets go with their sources or are they shifted, are pairs of valid
or test in train, what was cut, how many tokens are unknown. Of each cell: is the loss
at start that of a guess, and the trained loss the one that is evaluated; does what is
said depend on the source and on the tokens before, and not on those after or on other
pairs; is the gradient that of differences of the loss, and does it reach every
parameter; can a few pairs be learned by heart at the file's learning rate; what does a
trial take in memory and time.

Nothing is recorded. It exits with 1 when it finds a fault.`,
		Example: `  exp check experiments/quickstart.toml
  exp check experiments/quickstart.toml --cell gru --cell transformer
  exp check experiments/quickstart.toml --set train.optimizer.lr=0.1 --json`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			e, _, err := load(args[0], set)
			if err != nil {
				return err
			}
			if err := keepCells(e, cells); err != nil {
				return usage(err, "exp plan FILE lists the cells of a file")
			}
			made, err := check(c.Context(), e)
			if err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(c.OutOrStdout(), made)
			} else {
				printChecked(c.OutOrStdout(), made)
			}
			if err != nil {
				return failed(err)
			}
			if made.Faults > 0 {
				return failed(fmt.Errorf("%s: %s found", args[0], counted(made.Faults, "fault")))
			}
			return nil
		},
	}
	setFlag(c, &set)
	c.Flags().StringArrayVar(&cells, "cell", nil, "check this cell alone, by the name that exp plan gives it; may be given several times")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// keepCells leaves of an experiment the cells of these labels, all for none.
func keepCells(e *experiments.Experiment, labels []string) error {
	if labels == nil {
		return nil
	}
	var known []string
	for i := range e.Cells {
		known = append(known, e.Cells[i].Label())
	}
	for _, label := range labels {
		if !slices.Contains(known, label) {
			return fmt.Errorf("--cell: %s has no cell %q; %s", e.Path, label, registry.Suggest(label, known))
		}
	}
	e.Cells = slices.DeleteFunc(e.Cells, func(c experiments.Cell) bool { return !slices.Contains(labels, c.Label()) })
	return nil
}

// check looks at the data of each task and at each cell.
func check(ctx context.Context, e *experiments.Experiment) (*checked, error) {
	grid, err := runner.Prepare(e)
	if err != nil {
		return nil, usage(err, "")
	}
	made := &checked{Experiment: e.Name}
	count := func(findings []train.Finding) {
		for _, f := range findings {
			switch f.Verdict {
			case train.Fault:
				made.Faults++
			case train.Warning:
				made.Warnings++
			}
		}
	}
	known := map[*components.Data]int{}
	var reports []*dataReport // as made.Data
	for i := range e.Cells {
		cell := &e.Cells[i]
		d := grid.Data(cell)
		at, seen := known[d]
		if !seen {
			at = len(made.Data)
			known[d] = at
			reports = append(reports, newDataReport(cell.Task.Name, d))
			made.Data = append(made.Data, checkedData{Task: cell.Task.Name, Findings: checkData(reports[at])})
			made.Data[at].Findings = append(made.Data[at].Findings, train.InspectPairs(d))
			count(made.Data[at].Findings)
		}
		made.Data[at].Cells = append(made.Data[at].Cells, cell.Label())
	}
	done := map[string]bool{}
	for i := range e.Cells {
		cell := &e.Cells[i]
		if done[cell.ID] {
			continue
		}
		done[cell.ID] = true
		findings, err := grid.Inspect(ctx, cell)
		switch {
		case errors.Is(err, train.ErrInterrupted):
			return nil, &failure{code: exitInterrupted, err: err}
		case err != nil:
			return nil, failed(fmt.Errorf("%s: %w", cell.Label(), err))
		}
		findings = append(findings, checkLengths(reports[known[grid.Data(cell)]], cell)...)
		count(findings)
		made.Cells = append(made.Cells, checkedCell{cell.ID, cell.Label(), findings})
	}
	return made, nil
}

// Shares above which the data are not what they should be.
const (
	muchUnknown = 0.1  // of the tokens of a held-out split, a warning
	mostUnknown = 0.3  // a fault: the vocabulary is of other texts
	muchLeaked  = 0.05 // of the pairs of a held-out split that training has, a fault
	muchCut     = 0.05 // of the pairs of a split, a warning
	littleUsed  = 0.2  // of a vocabulary that training uses, a warning below
)

// checkData judges what the data of a task is.
func checkData(r *dataReport) []train.Finding {
	var all []train.Finding
	find := func(check string, verdict train.Verdict, text, advice string) {
		all = append(all, train.Finding{Check: check, Verdict: verdict, Text: text, Advice: advice})
	}

	verdict, advice := train.OK, ""
	var texts []string
	for _, s := range r.Splits[1:] {
		share := float64(s.InTrain) / float64(max(1, s.Pairs))
		texts = append(texts, fmt.Sprintf("%s %s of %s pairs (%.1f %%)", s.Name, formatCount(s.InTrain), formatCount(s.Pairs), 100*share))
		switch {
		case share > muchLeaked:
			verdict, advice = train.Fault, "results on these pairs say what was learned by heart: take them out of the training files, or split anew"
		case share > 0 && verdict == train.OK:
			verdict, advice = train.Warning, "take them out of the training files, or say so beside the results"
		}
	}
	find("leaks", verdict, "pairs that train has too: "+strings.Join(texts, ", "), advice)

	verdict, advice, texts = train.OK, "", nil
	for _, s := range r.Splits {
		for i, of := range []sideReport{s.Source, s.Target} {
			if r.FrameSize > 0 && i == 0 {
				continue
			}
			side := [...]string{"source", "target"}[i]
			if of.Rate > 0 {
				texts = append(texts, fmt.Sprintf("%s %s %.1f %%", s.Name, side, 100*of.Rate))
			}
			switch {
			case of.Rate > mostUnknown:
				verdict, advice = train.Fault, "the vocabulary is of other texts: look at vocabulary_file and merges_file, at lowercase and normalize, at the order of the files and at min_frequency"
			case of.Rate > muchUnknown && verdict == train.OK:
				verdict, advice = train.Warning, "subwords (bpe, unigram) leave nothing unknown; or lower min_frequency, raise vocabulary_size"
			}
		}
	}
	if texts == nil {
		texts = []string{"none"}
	}
	find("unknown tokens", verdict, strings.Join(texts, ", "), advice)

	verdict, advice, texts = train.OK, "", nil
	for i, size := range []int{r.Source, r.Target} {
		if size == 0 {
			continue
		}
		used, words := [...]sideReport{r.Splits[0].Source, r.Splits[0].Target}[i].Used, size-int(components.NumSpecial)
		texts = append(texts, fmt.Sprintf("train uses %s of %s %s tokens", formatCount(used), formatCount(words), [...]string{"source", "target"}[i]))
		if float64(used) < littleUsed*float64(words) {
			verdict, advice = train.Warning, "most embeddings would never be trained: is it the vocabulary of this data?"
		}
	}
	find("vocabulary", verdict, strings.Join(texts, ", "), advice)

	verdict, advice, texts = train.OK, "", nil
	for _, n := range r.Notes {
		pairs := 0
		for _, s := range r.Splits {
			if s.Name == n.Split {
				pairs = s.Pairs
			}
		}
		if n.Kind == components.Leaked { // which is told above
			continue
		}
		texts = append(texts, n.String())
		if n.Kind == components.Lost && float64(n.Count) > muchCut*float64(pairs) {
			verdict, advice = train.Warning, "see that this is what is meant: max_length, and what the files have"
		}
	}
	if texts == nil {
		texts = []string{"nothing was cut or left out"}
	}
	find("truncation", verdict, strings.Join(texts, "; "), advice)
	return all
}

// checkLengths judges whether the hypotheses of a cell can be as long as they should,
// where it decodes any.
func checkLengths(r *dataReport, c *experiments.Cell) []train.Finding {
	if !slices.ContainsFunc(c.Metrics, func(m experiments.Metric) bool { return m.Decodes() }) {
		return nil
	}
	f := train.Finding{Check: "max_length", Verdict: train.OK, Text: fmt.Sprintf("a hypothesis can be as long as every target (evaluate.max_length = %d)", c.Evaluation.MaxLength)}
	var texts []string
	for _, s := range r.Splits[1:] {
		long := 0
		for length, n := range s.Target.Lengths {
			if length > c.Evaluation.MaxLength {
				long += n
			}
		}
		if long > 0 {
			texts = append(texts, fmt.Sprintf("%s: %s targets", s.Name, formatCount(long)))
		}
	}
	if texts != nil {
		f.Verdict, f.Advice = train.Warning, "raise evaluate.max_length: these can never be right"
		f.Text = fmt.Sprintf("longer than a hypothesis can be (evaluate.max_length = %d) are of %s", c.Evaluation.MaxLength, strings.Join(texts, ", of "))
	}
	return []train.Finding{f}
}

// foundWidth is the characters of a line of what was found.
const foundWidth = 100

func printChecked(w io.Writer, c *checked) {
	write := func(heading string, findings []train.Finding) {
		fmt.Fprintln(w, heading)
		t := newTable("check", "verdict", "found")
		for _, f := range findings {
			found := text.WrapSoft(f.Text, foundWidth)
			if f.Advice != "" {
				found += "\n" + text.WrapSoft("→ "+f.Advice, foundWidth)
			}
			t.AppendRow([]any{f.Check, f.Verdict, found})
		}
		fmt.Fprintln(w, t.Render())
	}
	for _, d := range c.Data {
		heading := "data of task " + d.Task
		if labels := strings.Join(d.Cells, ", "); labels != "" && len(c.Data) > 1 {
			heading += ", of " + labels
		}
		write(heading, d.Findings)
	}
	for _, cell := range c.Cells {
		heading := "model"
		if cell.Cell != "" {
			heading += " " + cell.Cell
		}
		write(heading, cell.Findings)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", c.Experiment, counted(c.Faults, "fault"), counted(c.Warnings, "warning"))
}

// counted is a number of things, as "1 fault" or "2 faults".
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
