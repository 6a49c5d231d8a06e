package train

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"exp/components/autodiff"
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
	if err := t.start(f, modelPrefix); err != nil {
		return fmt.Errorf("%s: %w; remove it to train the trial again from its start", t.Checkpoint, err)
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

// start gives the parameters the values that f has under prefix.
func (t *trial) start(f checkpoint.File, prefix string) error {
	if err := checkWeights(t.model.Params, f, prefix); err != nil {
		return err
	}
	for _, v := range t.model.Params.All() {
		if err := t.model.Params.Set(v, f.Tensors[prefix+v.Name()].Values); err != nil {
			return err
		}
	}
	return nil
}

// checkWeights says which parameters f lacks under prefix, which tensors it has
// that are none, and which have another shape.
func checkWeights(p *autodiff.Params, f checkpoint.File, prefix string) error {
	var errs []error
	known := map[string]bool{}
	for _, v := range p.All() {
		known[v.Name()] = true
		tensor, ok := f.Tensors[prefix+v.Name()]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("lacks %s %v", v.Name(), v.Shape()))
		case !slices.Equal(tensor.Shape, v.Shape().Dims()):
			errs = append(errs, fmt.Errorf("has %s of shape %v, and the model's is %v", v.Name(), tensor.Shape, v.Shape()))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Tensors)) {
		if name, ours := strings.CutPrefix(name, prefix); ours && !known[name] {
			errs = append(errs, fmt.Errorf("has %s, which is no parameter of the model", name))
		}
	}
	return errors.Join(errs...)
}

// Weights returns the parameters that a checkpoint holds, by their names, and
// the step that it is of.
func Weights(path string) (f checkpoint.File, step string, err error) {
	f, err = checkpoint.Read(path)
	if err != nil {
		return f, "", err
	}
	weights := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}}
	for name, tensor := range f.Tensors {
		if name, ok := strings.CutPrefix(name, modelPrefix); ok {
			weights.Tensors[name] = tensor
		}
	}
	return weights, f.Info[stepKey], nil
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
