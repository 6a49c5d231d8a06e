package train

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"time"

	"exp/runner/checkpoint"
)

// Names of tensors in a checkpoint.
const (
	modelPrefix     = "model."
	optimizerPrefix = "optimizer."
	stepKey         = "step"
)

// save makes the records durable, then the checkpoint that goes with them.
func (t *trial) save() error {
	if err := t.sink.Sync(); err != nil {
		return err
	}
	t.saved = time.Now()
	if t.Checkpoint == "" {
		return nil
	}
	f := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}, Info: map[string]string{stepKey: strconv.Itoa(t.step)}}
	for _, v := range t.model.Params.All() {
		f.Tensors[modelPrefix+v.Name()] = checkpoint.Tensor{Shape: v.Shape().Dims(), Values: v.Float32s()}
	}
	for name, values := range t.optimizer.State() {
		f.Tensors[optimizerPrefix+name] = checkpoint.Tensor{Shape: []int{len(values)}, Values: values}
	}
	return checkpoint.Write(t.Checkpoint, f)
}

// resume goes on from the checkpoint, if there is one.
func (t *trial) resume() error {
	if t.Checkpoint == "" {
		return t.sink.Resume(0)
	}
	f, err := checkpoint.Read(t.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return t.sink.Resume(0)
	}
	if err != nil {
		return err
	}
	step, err := strconv.Atoi(f.Info[stepKey])
	if err != nil || step < 0 || step > t.Training.Steps {
		return fmt.Errorf("%s: is of step %q, and the training has %d steps", t.Checkpoint, f.Info[stepKey], t.Training.Steps)
	}
	for _, v := range t.model.Params.All() {
		values, err := t.tensor(f, modelPrefix+v.Name(), v.Size())
		if err != nil {
			return err
		}
		if err := t.model.Params.Set(v, values); err != nil {
			return err
		}
	}
	state := t.optimizer.State()
	for _, name := range slices.Sorted(maps.Keys(state)) {
		values, err := t.tensor(f, optimizerPrefix+name, len(state[name]))
		if err != nil {
			return err
		}
		copy(state[name], values)
	}
	t.step = step
	t.order.skip(step)
	return t.sink.Resume(step)
}

func (t *trial) tensor(f checkpoint.File, name string, size int) ([]float32, error) {
	tensor, ok := f.Tensors[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s: has no tensor %s; remove it to train the trial again from its start", t.Checkpoint, name)
	case len(tensor.Values) != size:
		return nil, fmt.Errorf("%s: tensor %s has shape %v, not %d elements; remove it to train the trial again from its start", t.Checkpoint, name, tensor.Shape, size)
	}
	return tensor.Values, nil
}
