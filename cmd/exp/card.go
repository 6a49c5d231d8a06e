package main

import (
	"fmt"
	"io"
	"strings"

	"exp/components"
	"exp/components/standard"
	"exp/experiments"
	"exp/registry"
	"exp/runner"
	"exp/runner/train"
)

// cardJSON is the architecture of a cell's model and what a training step costs.
type cardJSON struct {
	Cell              string       `json:"cell"`
	Modules           []moduleJSON `json:"modules"`
	Parameters        int          `json:"parameters"`
	WithoutEmbeddings int          `json:"parameters_without_embeddings"`
	Frozen            int          `json:"frozen_parameters"`
	Loaded            []loadedJSON `json:"loaded_embeddings"`
	SourceVocabulary  int          `json:"source_vocabulary,omitempty"`
	FrameSize         int          `json:"frame_size,omitempty"`
	TargetVocabulary  int          `json:"target_vocabulary"`
	Bridge            string       `json:"bridge"` // "none" where the decoder only looks at the memory

	SourcePadding float64 `json:"source_padding"` // share of the first epoch that would be padding, if batches had any
	TargetPadding float64 `json:"target_padding"`

	Pairs        int     `json:"batch_pairs"` // of the first epoch's largest batch, as all that follows
	SourceTokens int     `json:"batch_source_tokens"`
	TargetTokens int     `json:"batch_target_tokens"`
	Forward      float64 `json:"multiply_adds_token_forward"` // of matrix products, a target token
	Backward     float64 `json:"multiply_adds_token_backward"`
	Activations  int     `json:"activation_bytes"` // what the forward pass takes
	Step         int     `json:"step_bytes"`       // what a step takes beside parameters and optimizer
}

// moduleJSON is a module, with all that it holds, or a parameter, which has a
// shape.
type moduleJSON struct {
	Name       string `json:"name"` // from the top, dotted
	Shape      []int  `json:"shape,omitempty"`
	Parameters int    `json:"parameters"`
}

// loadedJSON is a file that embeddings start from.
type loadedJSON struct {
	Side   string `json:"side"`
	File   string `json:"file"`
	Found  int    `json:"found"` // of the tokens of the vocabulary
	Wanted int    `json:"wanted"`
}

func listLoaded(l components.Loaded) []loadedJSON {
	list := []loadedJSON{}
	for _, side := range []struct {
		name    string
		vectors *components.Vectors
	}{{"source", l.Source}, {"target", l.Target}} {
		if v := side.vectors; v != nil {
			list = append(list, loadedJSON{side.name, v.Path, v.Found(), v.Wanted()})
		}
	}
	return list
}

func (l loadedJSON) String() string {
	return fmt.Sprintf("%s of %s %s tokens start as %s has them", formatCount(l.Found), formatCount(l.Wanted), l.Side, l.File)
}

// newCard makes the card of a cell of a prepared grid.
func newCard(g *runner.Grid, c *experiments.Cell) (*cardJSON, error) {
	card, err := g.Card(c)
	if err != nil {
		return nil, err
	}
	j := &cardJSON{
		Cell: c.Label(), Modules: modules(card.Tensors), Parameters: card.Parameters, WithoutEmbeddings: card.Parameters - card.Embeddings,
		Frozen: card.Frozen, Loaded: listLoaded(card.Loaded), TargetVocabulary: card.Target, Bridge: card.Bridge,
		SourcePadding: card.SourcePadding, TargetPadding: card.TargetPadding,
		Pairs: card.Pairs, SourceTokens: card.SourceSteps, TargetTokens: card.TargetSteps,
		Forward: float64(card.Forward) / float64(card.TargetSteps), Backward: float64(card.Backward) / float64(card.TargetSteps), Activations: card.Activations, Step: card.Step,
	}
	if card.Frames {
		j.FrameSize = card.Source
	} else {
		j.SourceVocabulary = card.Source
	}
	if j.Bridge == "" {
		j.Bridge = "none"
	}
	return j, nil
}

// modules returns the tree of the modules that the names of the tensors spell,
// each before what it holds, where it is met first.
func modules(tensors []train.TensorShape) []moduleJSON {
	var add func(prefix string, tensors []train.TensorShape) []moduleJSON
	add = func(prefix string, tensors []train.TensorShape) []moduleJSON {
		var all []moduleJSON
		for len(tensors) > 0 {
			head, _, nested := strings.Cut(strings.TrimPrefix(tensors[0].Name, prefix), ".")
			name := prefix + head
			if !nested {
				all = append(all, moduleJSON{name, tensors[0].Shape, size(tensors[0])})
				tensors = tensors[1:]
				continue
			}
			var inside, rest []train.TensorShape
			total := 0
			for _, t := range tensors {
				if strings.HasPrefix(t.Name, name+".") {
					inside = append(inside, t)
					total += size(t)
				} else {
					rest = append(rest, t)
				}
			}
			all = append(append(all, moduleJSON{Name: name, Parameters: total}), add(name+".", inside)...)
			tensors = rest
		}
		return all
	}
	return add("", tensors)
}

func size(t train.TensorShape) int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// showFile shows what a file's cells resolve to, with their architecture.
func showFile(n *named, asJSON bool, w io.Writer) error {
	e := *n.experiment
	e.Cells = nil
	for _, c := range n.cells {
		e.Cells = append(e.Cells, *c)
	}
	g, err := runner.Prepare(&e)
	if err != nil {
		return usage(err, "")
	}
	type cellJSON struct {
		ID     string    `json:"id"`
		Label  string    `json:"label"`
		Config string    `json:"config"` // TOML
		Card   *cardJSON `json:"card"`
	}
	var shown []cellJSON
	for i := range e.Cells {
		c := &e.Cells[i]
		card, err := newCard(g, c)
		if err != nil {
			return failed(err)
		}
		if asJSON {
			shown = append(shown, cellJSON{c.ID, c.Label(), c.Resolved(), card})
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "# cell %s of %s\n\n%s\n", strings.TrimSpace(c.ID+" "+c.Label()), e.Path, strings.TrimSpace(c.Resolved()))
		printCard(w, card)
	}
	if asJSON {
		return writeJSON(w, shown)
	}
	return nil
}

// card makes the card of a trial, for which the task's data have to be there.
func (t *found) card() (*cardJSON, error) {
	e, err := experiments.Parse("trial "+short(t.id), []byte(t.config()), experiments.Options{Catalog: standard.Catalog()})
	if err != nil {
		return nil, err
	}
	g, err := runner.Prepare(e)
	if err != nil {
		return nil, err
	}
	return newCard(g, &e.Cells[0])
}

func printCard(w io.Writer, c *cardJSON) {
	t := newTable("module", "shape", "parameters")
	alignNumbers(t, 3, 3)
	for _, m := range c.Modules {
		depth := strings.Count(m.Name, ".")
		name := m.Name[strings.LastIndex(m.Name, ".")+1:]
		shape := ""
		if m.Shape != nil {
			shape = registry.Format(anyList(m.Shape))
		}
		t.AppendRow([]any{strings.Repeat("  ", depth) + name, shape, formatCount(m.Parameters)})
	}
	fmt.Fprintf(w, "\n%s\n", t.Render())
	fmt.Fprintf(w, "parameters     %s, %s without embeddings\n", formatCount(c.Parameters), formatCount(c.WithoutEmbeddings))
	if c.Frozen > 0 {
		fmt.Fprintf(w, "frozen         %s of them\n", formatCount(c.Frozen))
	}
	for _, l := range c.Loaded {
		fmt.Fprintf(w, "embeddings     %s\n", l)
	}
	if c.FrameSize > 0 {
		fmt.Fprintf(w, "vocabularies   frames of %s numbers, %s target tokens\n", formatCount(c.FrameSize), formatCount(c.TargetVocabulary))
	} else {
		fmt.Fprintf(w, "vocabularies   %s source and %s target tokens\n", formatCount(c.SourceVocabulary), formatCount(c.TargetVocabulary))
	}
	fmt.Fprintf(w, "bridge         %s\n", c.Bridge)
	fmt.Fprintf(w, "padding        none; filled up to the longest of each batch, %s %% of the sources and %s %% of the targets would be\n", fixed(100*c.SourcePadding, 1), fixed(100*c.TargetPadding, 1))
	fmt.Fprintf(w, "largest batch  %s pairs, %s source and %s target tokens\n", formatCount(c.Pairs), formatCount(c.SourceTokens), formatCount(c.TargetTokens))
	fmt.Fprintf(w, "multiply-adds  %s forward and %s backward a target token, of matrix products\n", formatCount(int(c.Forward)), formatCount(int(c.Backward)))
	fmt.Fprintf(w, "activations    %s MB, and %s MB with what the backward pass takes, gradients included\n", megabytes(c.Activations), megabytes(c.Step))
}

func megabytes(bytes int) string { return fixed(float64(bytes)/1e6, 2) }

func anyList(list []int) []any {
	values := make([]any, len(list))
	for i, n := range list {
		values[i] = n
	}
	return values
}
