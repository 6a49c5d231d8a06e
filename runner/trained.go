package runner

import (
	"fmt"

	"exp/components"
	"exp/components/autodiff"
	"exp/experiments"
	"exp/runner/generate"
	"exp/runner/train"
)

// Trained is the model of a trial, with the data that its vocabularies are from.
type Trained struct {
	Model    *components.Model
	Data     *components.Data
	Decoding generate.Options // as its evaluations decode
	Step     string           // of the training, that the weights are of
	Damaged  []error          // why the weights are not those of the newest checkpoint
}

// LoadTrained loads the model that a trial's checkpoint holds, that which is tested. c
// is as [experiments.Recorded] returns it. The vocabularies are not in the checkpoint:
// they are learned again from the task's data, whose hash must be what the trial was
// trained on. Where its evaluations do not decode, evaluate.max_length may be more than
// the decoder can read: fit makes it the greatest length, else it is an error.
func LoadTrained(c *experiments.Cell, seed int64, dataHash, checkpoint string, fit bool) (*Trained, error) {
	task, err := c.Task.Build(components.TaskDeps{})
	if err != nil {
		return nil, fmt.Errorf("task: %w", err)
	}
	hash, err := task.Identity()
	if err != nil {
		return nil, fmt.Errorf("task: %w; the vocabularies are learned from the data that the trial was trained on, which must be where it was", err)
	}
	if hash != dataHash {
		return nil, fmt.Errorf("task: its files are not as they were when the trial was trained, and their vocabularies may be others: their hash was %s and is %s", dataHash, hash)
	}
	data, err := task.Load()
	if err != nil {
		return nil, fmt.Errorf("task: %w", err)
	}
	return trained(train.Config{Parts: c.Parts, Evaluation: c.Evaluation, Data: data, Seed: seed, Checkpoint: checkpoint}, fit)
}

func trained(config train.Config, fit bool) (*Trained, error) {
	if fit {
		m, err := components.NewModel(config.Parts, autodiff.Declare(), config.Data.SourceSize(), config.Data.Target.Size())
		if err != nil {
			return nil, err
		}
		if _, _, longest, _ := m.MaxLengths(); longest > 0 {
			config.Evaluation.MaxLength = min(config.Evaluation.MaxLength, longest)
		}
	}
	t := &Trained{Data: config.Data}
	var err error
	if t.Model, t.Step, t.Damaged, err = train.Trained(config); err != nil {
		return nil, err
	}
	t.Decoding, err = config.Decoding()
	return t, err
}

// Decode returns the best hypothesis of each pair of a split, as evaluations find it,
// batchSize at a time.
func (t *Trained) Decode(split components.Split, batchSize int) []generate.Hypothesis {
	tape := autodiff.NewTape(autodiff.Float32)
	var all []generate.Hypothesis
	var batch components.Batch
	o := t.Decoding
	for n := split.Len(); len(all) < n; {
		var pairs []components.Pair
		o.Examples = o.Examples[:0]
		for i := len(all); i < min(n, len(all)+batchSize); i++ {
			pairs, o.Examples = append(pairs, split.Pair(i)), append(o.Examples, i)
		}
		t.Model.Fill(&batch, pairs)
		for _, found := range generate.Decode(t.Model, tape, batch.Source, o) {
			all = append(all, found[0])
		}
	}
	return all
}

// Trained is [LoadTrained] for a trial of a prepared grid, made to fit.
func (g *Grid) Trained(t experiments.Trial, checkpoint string) (*Trained, error) {
	config := g.cells[t.Cell.ID].config
	config.Seed, config.Checkpoint = t.Seed, checkpoint
	return trained(config, true)
}
