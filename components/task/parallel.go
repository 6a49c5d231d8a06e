package task

import (
	"errors"
	"fmt"
	"strings"

	"exp/components"
	"exp/registry"
)

// ParallelOptions configures the parallel task.
type ParallelOptions struct {
	TextOptions
	SourceColumn int  `toml:"source_column" doc:"column of the source, from 1, in files of columns"`
	TargetColumn int  `toml:"target_column" doc:"column of the target, from 1, in files of columns"`
	Aligned      bool `toml:"aligned" doc:"a target is a label for each token of the source, for a decoder that says one a step; other pairs are refused"`
	Grouped      bool `toml:"grouped" doc:"held-out pairs of one source are one question with several right answers: it is decoded once, and metrics of hypotheses take the nearest; the loss is of all. false: each pair counts for itself"`
}

// Doc describes the component.
func (ParallelOptions) Doc() string {
	return "Pairs of text: each split is two line-aligned files, source then target, or one file of columns that tabs part. " +
		"The vocabularies are those of the training pairs that are kept. Pairs of which a side is empty are left out; that, what is cut, and held-out pairs that training has are counted and told. " +
		"Files may be of any size: tokens lie in a temporary file, and memory has 16 bytes a pair (with deduplicate more while they are read)."
}

// Validate reports every value out of range.
func (o ParallelOptions) Validate() error {
	err := errors.Join(o.TextOptions.Validate(), registry.AtLeast("source_column", o.SourceColumn, 1), registry.AtLeast("target_column", o.TargetColumn, 1))
	if o.SourceColumn == o.TargetColumn {
		err = errors.Join(err, registry.Fault{Key: "target_column", Problem: fmt.Sprintf("must be another than that of the source, %d", o.SourceColumn)})
	}
	return err
}

// NewParallel makes the task.
func NewParallel(o ParallelOptions, _ components.TaskDeps) (components.Task, error) {
	read := func(files []string, c *counts, do func(l *lines, source, target string) error) error {
		if len(files) == 2 {
			return readAligned(files, o.Header, c, do)
		}
		return readColumns(files[0], o.Header, c, func(l *lines, columns []string) error {
			if l.text == "" {
				return do(l, "", "")
			}
			if last := max(o.SourceColumn, o.TargetColumn); len(columns) < last {
				return l.fault("has %d columns, and column %d is wanted; tabs part them", len(columns), last)
			}
			return do(l, columns[o.SourceColumn-1], columns[o.TargetColumn-1])
		})
	}
	t, err := newText(o.TextOptions, read, func(n int) bool { return n == 1 || n == 2 }, "two line-aligned files, or one of columns")
	if err != nil {
		return nil, err
	}
	if o.Aligned && (samples(t.sourceTokenizer) || samples(t.targetTokenizer)) {
		return nil, registry.Fault{Key: "aligned", Problem: "wants as many labels as tokens, and a tokenizer with dropout cuts a text in several ways"}
	}
	t.aligned, t.grouped = o.Aligned, o.Grouped
	return t, nil
}

// readAligned reads two files of which line i of each make a pair, but for the first
// where it is a header.
func readAligned(files []string, header bool, c *counts, do func(l *lines, source, target string) error) error {
	var both [2]*lines
	for i, path := range files {
		var err error
		if both[i], err = openLines(path); err != nil {
			return err
		}
		defer both[i].close()
		defer c.add(both[i])
	}
	for {
		source, target := both[0].next(), both[1].next()
		if err := errors.Join(both[0].err, both[1].err); err != nil {
			return err
		}
		switch {
		case !source && !target:
			return nil
		case source != target:
			shorter, longer := both[0], both[1]
			if source {
				shorter, longer = longer, shorter
			}
			return fmt.Errorf("%s: ends after line %d, and %s goes on: line i of both must be a pair", shorter.path, shorter.number, longer.path)
		}
		if header && both[0].number == 1 {
			continue
		}
		if err := do(both[0], both[0].text, both[1].text); err != nil {
			return err
		}
	}
}

// readColumns reads a file of columns that tabs part, but for the first line where it
// is a header.
func readColumns(path string, header bool, c *counts, do func(l *lines, columns []string) error) error {
	l, err := openLines(path)
	if err != nil {
		return err
	}
	defer l.close()
	defer c.add(l)
	for l.next() {
		if header && l.number == 1 {
			continue
		}
		if err := do(l, strings.Split(l.text, "\t")); err != nil {
			return err
		}
	}
	return l.err
}

// DialogueOptions configures the dialogue task.
type DialogueOptions struct {
	TextOptions
	Separator string `toml:"separator" doc:"text of the token that is put after each utterance of a source"`
}

// Doc describes the component.
func (DialogueOptions) Doc() string {
	return "Dialogues, one a line: utterances that tabs part, of which the last is the target and those before are the source, each with a separator after it, as the encoder hred reads them. " +
		"Each split is one file. All else is as in parallel; what is cut off a source that is too long is its end."
}

// Validate reports every value out of range.
func (o DialogueOptions) Validate() error {
	err := o.TextOptions.Validate()
	if o.Separator == "" {
		err = errors.Join(err, registry.Fault{Key: "separator", Problem: "must be the text of a token, is empty"})
	}
	return err
}

// NewDialogue makes the task.
func NewDialogue(o DialogueOptions, _ components.TaskDeps) (components.Task, error) {
	read := func(files []string, c *counts, do func(l *lines, source, target string) error) error {
		return readColumns(files[0], o.Header, c, func(l *lines, columns []string) error {
			last := len(columns) - 1
			if last < 1 {
				return l.fault("has one utterance, and two or more are wanted; tabs part them")
			}
			return do(l, strings.Join(columns[:last], "\t"), columns[last])
		})
	}
	t, err := newText(o.TextOptions, read, func(n int) bool { return n == 1 }, "one file of dialogues")
	if err != nil {
		return nil, err
	}
	t.separator = o.Separator
	return t, nil
}
