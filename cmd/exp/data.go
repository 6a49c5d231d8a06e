package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"exp/components"
	"exp/experiments"
	"exp/plots"
)

// dataReport is what a task's data is.
type dataReport struct {
	Task       string            `json:"task"`
	Cells      []string          `json:"cells"` // that are trained on it; "" for the only one
	Source     int               `json:"source_vocabulary,omitempty"`
	FrameSize  int               `json:"frame_size,omitempty"`
	Seconds    float64           `json:"frame_seconds,omitempty"` // from one frame to the next
	Target     int               `json:"target_vocabulary"`
	Joint      bool              `json:"joint_vocabulary"`
	Splits     []splitReport     `json:"splits"`
	Notes      []components.Note `json:"notes"`
	Examples   []dataExample     `json:"examples"`
	vocabulary map[string]string // files that other programs read; nil where the task learns nothing
	unwritten  error             // why not
}

// splitReport is what a split is.
type splitReport struct {
	Name           string     `json:"name"`
	Pairs          int        `json:"pairs"`
	Duplicates     int        `json:"duplicates"`       // pairs that the split has before
	InTrain        int        `json:"pairs_in_train"`   // of a held-out split
	SourcesInTrain int        `json:"sources_in_train"` // those of InTrain too
	Source         sideReport `json:"source"`
	Target         sideReport `json:"target"`
}

// sideReport is what the sources or the targets of a split are.
type sideReport struct {
	Steps   int     `json:"steps"` // tokens or frames
	Mean    float64 `json:"mean_length"`
	Least   int     `json:"least_length"`
	Median  int     `json:"median_length"`
	P95     int     `json:"p95_length"`
	Longest int     `json:"longest_length"`
	Unknown int     `json:"unknown"` // tokens that the vocabulary lacks
	Rate    float64 `json:"unknown_rate"`
	Used    int     `json:"vocabulary_used"` // tokens of the vocabulary that occur
	Lengths []int   `json:"lengths"`         // pairs of each length, from 0
}

// dataExample is a pair before and after it was cut into tokens.
type dataExample struct {
	Source       string   `json:"source"`
	SourceTokens []string `json:"source_tokens,omitempty"`
	Frames       int      `json:"frames,omitempty"`
	Target       string   `json:"target"`
	TargetTokens []string `json:"target_tokens"`
}

func newData() *cobra.Command {
	var set []string
	var asJSON bool
	var figure, vocabulary string
	c := &cobra.Command{
		Use:   "data FILE",
		Short: "Say what the data is: sizes, lengths, unknown tokens, duplicates, leaks, examples",
		Long: `data loads the data of the file's task, of every task where the sweep has several,
and prints what a person checks before training on it. Nothing is trained.

What was left out or cut on the way is listed under notes. A pair of a held-out
split that training has too is a leak. --vocabulary writes the vocabularies and the
merges of a text task, in forms that other programs read.`,
		Example: `  exp data experiments/multi30k.toml
  exp data experiments/multi30k.toml --figure lengths.pdf
  exp data experiments/multi30k.toml --vocabulary vocabulary --json`,
		Args:              fileArgument,
		ValidArgsFunction: completeFiles,
		RunE: func(c *cobra.Command, args []string) error {
			if figure != "" && !slices.Contains((*plots.Picture)(nil).Formats(), figureFormat(figure)) {
				return usage(fmt.Errorf("--figure: the name must end with .pdf, .svg, .png or .eps, is %q", figure), "")
			}
			e, _, err := load(args[0], set)
			if err != nil {
				return err
			}
			reports, err := reportData(e)
			if err != nil {
				return usage(fmt.Errorf("%s: task: %w", args[0], err), "")
			}
			if err := writeOfData(reports, figure, vocabulary); err != nil {
				return failed(err)
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), reports)
			}
			for i, r := range reports {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				printData(c.OutOrStdout(), r)
			}
			return nil
		},
	}
	setFlag(c, &set)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().StringVar(&figure, "figure", "", "file to draw the distributions of lengths in, as pdf, svg, png or eps")
	c.Flags().StringVar(&vocabulary, "vocabulary", "", "folder to write the vocabularies and merges to")
	return c
}

// reportData loads the data of each task of an experiment.
func reportData(e *experiments.Experiment) ([]*dataReport, error) {
	var reports []*dataReport
	known := map[string]*dataReport{}
	for i := range e.Cells {
		cell := &e.Cells[i]
		if known[cell.Data] == nil {
			task, err := cell.Task.Build(components.TaskDeps{})
			if err != nil {
				return nil, err
			}
			d, err := task.Load()
			if err != nil {
				return nil, err
			}
			r := newDataReport(cell.Task.Name, d)
			if l, ok := task.(components.Learning); ok {
				r.vocabulary, r.unwritten = l.Learned()
			}
			known[cell.Data] = r
			reports = append(reports, r)
		}
		known[cell.Data].Cells = append(known[cell.Data].Cells, cell.Label())
	}
	return reports, nil
}

// examples is how many pairs are shown.
const examples = 10

func newDataReport(name string, d *components.Data) *dataReport {
	r := &dataReport{Task: name, FrameSize: d.FrameSize, Seconds: d.FrameSeconds, Target: d.Target.Size(), Notes: append([]components.Note{}, d.Notes...)}
	if d.Source != nil {
		r.Source, r.Joint = d.Source.Size(), d.Source == d.Target
	}
	pairs, sources := map[uint64]bool{}, map[uint64]bool{} // of train
	for _, s := range []struct {
		name string
		components.Split
	}{{"train", d.Train}, {"valid", d.Valid}, {"test", d.Test}} {
		report := splitReport{Name: s.name, Pairs: s.Len()}
		own := map[uint64]bool{}
		source, target := newSide(d.Source), newSide(d.Target)
		for i := range s.Len() {
			p := s.Pair(i)
			source.add(p.Source, p.SourceSteps())
			target.add(p.Target, len(p.Target))
			pair, sourceKey := pairKeys(s.Split, i)
			if own[pair] {
				report.Duplicates++
			}
			own[pair] = true
			if s.name == "train" {
				pairs[pair], sources[sourceKey] = true, true
				continue
			}
			if pairs[pair] {
				report.InTrain++
			}
			if sources[sourceKey] {
				report.SourcesInTrain++
			}
		}
		report.Source, report.Target = source.report(), target.report()
		r.Splits = append(r.Splits, report)
	}
	for i := range min(examples, d.Train.Len()) {
		r.Examples = append(r.Examples, newDataExample(d, i))
	}
	return r
}

// pairKeys are hashes of a pair and of its source: of their texts, of a recording's file
// in the place of the source's, or where there are none of what the model reads.
func pairKeys(s components.Split, i int) (pair, source uint64) {
	h := xxhash.New()
	if texts, ok := s.(components.Texts); ok {
		from, to := texts.Text(i)
		if recorded, ok := s.(components.Recorded); ok {
			from = string(binary.NativeEndian.AppendUint64(nil, recorded.Content(i)))
		}
		h.WriteString(from)
		source = h.Sum64()
		h.WriteString("\n")
		h.WriteString(to)
		return h.Sum64(), source
	}
	p := s.Pair(i)
	var word [4]byte
	write := func(bits uint32) {
		binary.LittleEndian.PutUint32(word[:], bits)
		h.Write(word[:])
	}
	for _, id := range p.Source {
		write(uint32(id))
	}
	for _, x := range p.Frames.Values {
		write(math.Float32bits(x))
	}
	source = h.Sum64()
	write(math.MaxUint32) // which is no token
	for _, id := range p.Target {
		write(uint32(id))
	}
	return h.Sum64(), source
}

func newDataExample(d *components.Data, i int) dataExample {
	p := d.Train.Pair(i)
	e := dataExample{Frames: p.Frames.Steps()}
	for _, id := range p.Source {
		e.SourceTokens = append(e.SourceTokens, d.Source.Token(id))
	}
	for _, id := range p.Target {
		e.TargetTokens = append(e.TargetTokens, d.TargetToken(id))
	}
	if texts, ok := d.Train.(components.Texts); ok {
		e.Source, e.Target = texts.Text(i)
		return e
	}
	e.Source, e.Target = strings.Join(e.SourceTokens, " "), d.TargetText(p.Target)
	if d.SourceText != nil {
		e.Source = d.SourceText(e.SourceTokens)
	}
	return e
}

// side counts the sequences of one side of a split.
type side struct {
	vocabulary *components.Vocabulary // nil for frames
	used       []bool
	r          sideReport
}

func newSide(v *components.Vocabulary) *side {
	s := &side{vocabulary: v}
	if v != nil {
		s.used = make([]bool, v.Size())
	}
	return s
}

func (s *side) add(ids []int32, steps int) {
	for len(s.r.Lengths) <= steps {
		s.r.Lengths = append(s.r.Lengths, 0)
	}
	s.r.Lengths[steps]++
	s.r.Steps += steps
	for _, id := range ids {
		switch {
		case id == components.Unk || int(id) >= len(s.used): // which another vocabulary may have
			s.r.Unknown++
		case id >= components.NumSpecial:
			s.used[id] = true
		}
	}
}

// report is the counts with what follows from them.
func (s *side) report() sideReport {
	r := s.r
	pairs := 0
	for length, n := range r.Lengths {
		if n > 0 && pairs == 0 {
			r.Least = length
		}
		pairs += n
	}
	// at is the length that a share of the pairs does not exceed.
	at := func(share float64) int {
		seen := 0
		for length, n := range r.Lengths {
			if seen += n; float64(seen) >= share*float64(pairs) {
				return length
			}
		}
		return 0
	}
	r.Median, r.P95, r.Longest = at(0.5), at(0.95), max(0, len(r.Lengths)-1)
	r.Mean = float64(r.Steps) / float64(max(1, pairs))
	r.Rate = float64(r.Unknown) / float64(max(1, r.Steps))
	for _, used := range s.used {
		if used {
			r.Used++
		}
	}
	return r
}

// writeOfData writes the figure and the vocabularies, where they are wanted.
func writeOfData(reports []*dataReport, figure, vocabulary string) error {
	if figure != "" {
		var lengths []plots.Lengths
		for i, r := range reports {
			for _, s := range r.Splits {
				name := s.Name
				if len(reports) > 1 {
					name = fmt.Sprintf("%s %d", name, i+1)
				}
				lengths = append(lengths, plots.Lengths{Name: name, Source: s.Source.Lengths, Target: s.Target.Lengths})
			}
		}
		picture, err := plots.LengthDistribution(lengths)
		if err != nil {
			return err
		}
		if err := writePicture(picture, figure); err != nil {
			return err
		}
	}
	if vocabulary == "" {
		return nil
	}
	for i, r := range reports {
		if r.vocabulary == nil {
			return fmt.Errorf("--vocabulary: task %q learns none", r.Task)
		}
		if r.unwritten != nil {
			return fmt.Errorf("--vocabulary: %w", r.unwritten)
		}
		folder := vocabulary
		if len(reports) > 1 {
			folder = filepath.Join(folder, fmt.Sprint(i+1))
		}
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
		for name, content := range r.vocabulary {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func writePicture(picture *plots.Picture, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(picture.Write(file, figureFormat(path)), file.Close())
}

func printData(w io.Writer, r *dataReport) {
	fmt.Fprintf(w, "task %s", r.Task)
	if labels := strings.Join(r.Cells, ", "); labels != "" {
		fmt.Fprintf(w, " of %s", labels)
	}
	fmt.Fprintln(w)
	switch {
	case r.Seconds > 0:
		fmt.Fprintf(w, "sources are frames of %d numbers, one every %g ms; target vocabulary of %s tokens\n", r.FrameSize, 1000*r.Seconds, formatCount(r.Target))
	case r.FrameSize > 0:
		fmt.Fprintf(w, "sources are frames of %d numbers; target vocabulary of %s tokens\n", r.FrameSize, formatCount(r.Target))
	case r.Joint:
		fmt.Fprintf(w, "one vocabulary of %s tokens\n", formatCount(r.Target))
	default:
		fmt.Fprintf(w, "vocabularies of %s source and %s target tokens\n", formatCount(r.Source), formatCount(r.Target))
	}
	t := newTable("split", "pairs", "side", "steps", "mean", "least", "median", "95 %", "longest", "unknown", "rate", "used")
	alignNumbers(t, 4, 12)
	for _, s := range r.Splits {
		for i, of := range []sideReport{s.Source, s.Target} {
			name, pairs, side := s.Name, formatCount(s.Pairs), "source"
			if i == 1 {
				name, pairs, side = "", "", "target"
			}
			unknown, rate, used := formatCount(of.Unknown), fmt.Sprintf("%.2f %%", 100*of.Rate), formatCount(of.Used)
			if r.FrameSize > 0 && i == 0 {
				unknown, rate, used = "", "", ""
			}
			t.AppendRow([]any{name, pairs, side, formatCount(of.Steps), fmt.Sprintf("%.1f", of.Mean), of.Least, of.Median, of.P95, of.Longest, unknown, rate, used})
		}
	}
	fmt.Fprintln(w, t.Render())
	if r.Seconds > 0 {
		t = newTable("split", "seconds of frames", "mean", "least", "median", "95 %", "longest")
		alignNumbers(t, 2, 7)
		for _, s := range r.Splits {
			row := []any{s.Name, fmt.Sprintf("%.1f", r.Seconds*float64(s.Source.Steps)), fmt.Sprintf("%.2f", r.Seconds*s.Source.Mean)}
			for _, length := range []int{s.Source.Least, s.Source.Median, s.Source.P95, s.Source.Longest} {
				row = append(row, fmt.Sprintf("%.2f", r.Seconds*float64(length)))
			}
			t.AppendRow(row)
		}
		fmt.Fprintln(w, t.Render())
	}
	printLengths(w, r)
	t = newTable("split", "duplicates", "pairs in train", "sources in train")
	alignNumbers(t, 2, 4)
	for _, s := range r.Splits {
		leaks := []any{formatCount(s.InTrain), formatCount(s.SourcesInTrain)}
		if s.Name == "train" {
			leaks = []any{"", ""}
		}
		t.AppendRow(append([]any{s.Name, formatCount(s.Duplicates)}, leaks...))
	}
	fmt.Fprintln(w, t.Render())
	for _, n := range r.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
	for i, e := range r.Examples {
		fmt.Fprintf(w, "%2d  %s\n", i+1, text.Trim(e.Source, 300))
		if e.Frames > 0 {
			fmt.Fprintf(w, "    %d frames\n", e.Frames)
		} else {
			fmt.Fprintf(w, "    %s\n", text.Trim(quoted(e.SourceTokens), 300))
		}
		fmt.Fprintf(w, "  > %s\n    %s\n", text.Trim(e.Target, 300), text.Trim(quoted(e.TargetTokens), 300))
	}
}

// quoted is tokens side by side, each with its ends shown.
func quoted(tokens []string) string { return "[" + strings.Join(tokens, "|") + "]" }

// lengthRows is how many bins of lengths are printed.
const lengthRows = 12

// printLengths prints the share of pairs in bins of lengths.
func printLengths(w io.Writer, r *dataReport) {
	longest := 0
	for _, s := range r.Splits {
		longest = max(longest, s.Source.Longest, s.Target.Longest)
	}
	width := longest/lengthRows + 1
	heading := []any{"length"}
	for _, s := range r.Splits {
		heading = append(heading, s.Name+" source", s.Name+" target")
	}
	t := newTable(heading...)
	alignNumbers(t, 1, len(heading))
	for from := 0; from <= longest; from += width {
		row := []any{fmt.Sprintf("%d to %d", from, from+width-1)}
		if width == 1 {
			row[0] = from
		}
		for _, s := range r.Splits {
			for _, side := range []sideReport{s.Source, s.Target} {
				n := 0
				for length := from; length < min(from+width, len(side.Lengths)); length++ {
					n += side.Lengths[length]
				}
				row = append(row, formatCount(n))
			}
		}
		if !slices.ContainsFunc(row[1:], func(cell any) bool { return cell != "0" }) {
			continue
		}
		t.AppendRow(row)
	}
	fmt.Fprintln(w, t.Render())
}
