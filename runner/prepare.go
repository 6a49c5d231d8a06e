package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"exp/components"
	"exp/experiments"
	"exp/registry"
	"exp/runner/checkpoint"
	"exp/runner/train"
)

// Grid is an experiment that is ready to be trained.
type Grid struct {
	*experiments.Experiment
	cells map[string]*cell // by id
}

// cell is what the trials of a cell share.
type cell struct {
	config     train.Config
	dataHash   string
	parameters int
}

// Prepare loads the data of an experiment's tasks, each once, and checks that
// every model can be built for it. An error says what cannot be read or does not
// fit, in which cell.
func Prepare(e *experiments.Experiment) (*Grid, error) { return prepareGrid(e, load) }

// PrepareBench is Prepare for [Grid.Bench]: the data is random and has the
// shapes given, and where these leave something open those of the task's data.
// Data that nothing is left to is not loaded.
func PrepareBench(e *experiments.Experiment, s train.Shapes) (*Grid, error) {
	g, err := prepareGrid(e, func(c taskChoice) (*source, error) {
		task, err := c.Build(components.TaskDeps{})
		if err != nil {
			return nil, err
		}
		s := s
		s.FrameSize = components.FrameSize(task)
		if !s.NeedData() {
			return &source{data: s.Data(nil)}, nil
		}
		loaded, err := load(c)
		if err != nil {
			return nil, err
		}
		return &source{data: s.Data(loaded.data)}, nil
	})
	if err != nil {
		return nil, err
	}
	if s.Batch > 0 {
		for _, c := range g.cells {
			c.config.Training.BatchSize, c.config.Training.BatchTokens = s.Batch, 0
		}
	}
	return g, nil
}

// prepareGrid is Prepare with a way to load a task's data.
func prepareGrid(e *experiments.Experiment, load func(taskChoice) (*source, error)) (*Grid, error) {
	g := &Grid{Experiment: e, cells: map[string]*cell{}}
	loaded := map[string]*source{}
	vectors := map[vectorsOf]*components.Vectors{}
	weights := map[string]*checkpoint.File{}
	var faults []error
	for i := range e.Cells {
		c := &e.Cells[i]
		if loaded[c.Data] == nil {
			s, err := load(c.Task)
			if err != nil {
				return nil, fmt.Errorf("%s: task: %w", e.Path, err)
			}
			loaded[c.Data] = s
		}
		read, err := readVectors(c.Parts.Embeddings, loaded[c.Data].data, vectors)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", e.Path, err)
		}
		first, err := readWeights(c.Training.InitFrom, weights)
		if err != nil {
			return nil, fmt.Errorf("%s: train.init_from: %w", e.Path, err)
		}
		prepared, err := prepare(c, loaded[c.Data], read, first)
		if err != nil {
			for _, err := range registry.Split(err) {
				faults = append(faults, fmt.Errorf("%s: %s%w", e.Path, where(c), err))
			}
			continue
		}
		g.cells[c.ID] = prepared
	}
	return g, errors.Join(faults...)
}

// where says which cell an error is about.
func where(c *experiments.Cell) string {
	if name := c.Label(); name != "" {
		return name + ": "
	}
	return ""
}

// source is a task's data.
type source struct {
	data *components.Data
	hash string
}

type taskChoice = registry.Choice[components.Task, components.TaskDeps]

func load(c taskChoice) (*source, error) {
	task, err := c.Build(components.TaskDeps{})
	if err != nil {
		return nil, err
	}
	s := &source{}
	if s.hash, err = task.Identity(); err != nil {
		return nil, err
	}
	s.data, err = task.Load()
	return s, err
}

// vectorsOf is what decides what is read of a file of token vectors.
type vectorsOf struct {
	path       string
	vocabulary *components.Vocabulary
}

// readVectors reads the files that the embeddings start from, each once.
func readVectors(o components.Embeddings, data *components.Data, known map[vectorsOf]*components.Vectors) (components.Loaded, error) {
	read := func(path, key string, vocabulary *components.Vocabulary) (*components.Vectors, error) {
		of := vectorsOf{path, vocabulary}
		if path == "" || known[of] != nil {
			return known[of], nil
		}
		if vocabulary == nil {
			return nil, fmt.Errorf("model.embeddings.%s: is for tokens, and the task's sources are frames", key)
		}
		v, err := components.ReadVectors(path, vocabulary)
		if err != nil {
			return nil, fmt.Errorf("model.embeddings.%s: %w", key, err)
		}
		known[of] = v
		return v, nil
	}
	var l components.Loaded
	var source, target error
	l.Source, source = read(o.SourceFile, "source_file", data.Source)
	l.Target, target = read(o.TargetFile, "target_file", data.Target)
	return l, errors.Join(source, target)
}

// readWeights reads the file that a training starts from, each once.
func readWeights(path string, known map[string]*checkpoint.File) (*checkpoint.File, error) {
	if path == "" || known[path] != nil {
		return known[path], nil
	}
	f, err := checkpoint.Import(path)
	if err != nil {
		return nil, err
	}
	known[path] = &f
	return &f, nil
}

func prepare(c *experiments.Cell, s *source, loaded components.Loaded, weights *checkpoint.File) (*cell, error) {
	p := &cell{
		config: train.Config{
			Parts:      c.Parts,
			Optimizer:  c.Optimizer.Build,
			Schedule:   c.Schedule.Build,
			Forcing:    c.Forcing.Build,
			Training:   c.Training,
			Evaluation: c.Evaluation,
			Breakdown:  c.Breakdown,

			Diagnostics: c.Diagnostics,
			Data:        s.data,
			Loaded:      loaded,
			Weights:     weights,
		},
		dataHash: s.hash,
	}
	for _, m := range c.Metrics {
		p.config.Metrics = append(p.config.Metrics, train.Metric{Name: m.Name, Metric: m.Metric})
	}
	var err error
	p.parameters, err = train.Check(p.config)
	return p, err
}

// Parameters is the number of parameters of a cell's model.
func (g *Grid) Parameters(c *experiments.Cell) int { return g.cells[c.ID].parameters }

// Notes returns what there is to say of the data of all cells, each once, in the
// order of the cells.
func (g *Grid) Notes() []components.Note {
	var notes []components.Note
	known := map[*components.Data]bool{}
	for i := range g.Cells {
		if d := g.cells[g.Cells[i].ID].config.Data; !known[d] {
			known[d] = true
			notes = append(notes, d.Notes...)
		}
	}
	return notes
}

// Loaded is what the embeddings of a cell's model start from.
func (g *Grid) Loaded(c *experiments.Cell) components.Loaded { return g.cells[c.ID].config.Loaded }

// Metrics returns the metrics of a cell, as they are recorded.
func (g *Grid) Metrics(c *experiments.Cell) []train.Metric { return g.cells[c.ID].config.Metrics }

// Steps is how many updates the training of a cell takes with the first seed, 0
// where that is not known before.
func (g *Grid) Steps(c *experiments.Cell) (int, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.Steps(config)
}

// Rates returns the learning rate over the training of a cell at up to so many
// updates.
func (g *Grid) Rates(c *experiments.Cell, points int) (*train.Rates, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.NewRates(config, points)
}

// Time says how long a trial of the cell takes on one core, from steps that it
// trains for about the budget.
func (g *Grid) Time(c *experiments.Cell, budget time.Duration) (train.Estimate, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.Time(config, budget)
}

// Card returns the architecture of a cell's model and what a step of it costs.
func (g *Grid) Card(c *experiments.Cell) (*train.Card, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.NewCard(config)
}

// Data is the data that a cell is trained on.
func (g *Grid) Data(c *experiments.Cell) *components.Data { return g.cells[c.ID].config.Data }

// Inspect looks for what would make the training of a cell worthless, with the
// first seed.
func (g *Grid) Inspect(ctx context.Context, c *experiments.Cell) ([]train.Finding, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.Inspect(ctx, config)
}

// Bench measures the speed of a cell, of a grid by [PrepareBench].
func (g *Grid) Bench(ctx context.Context, c *experiments.Cell, o train.BenchOptions) (*train.Speed, error) {
	config := g.cells[c.ID].config
	config.Seed = g.Seeds[0]
	return train.Bench(ctx, config, o)
}
