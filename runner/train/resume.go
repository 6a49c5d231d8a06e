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

	"exp/components"
	"exp/components/autodiff"
	"exp/runner/checkpoint"
)

// Names of what is in a checkpoint. One without a format is of the first, which had
// parameters, the optimizer's state and the step.
const (
	format = "2"

	modelPrefix     = "model."
	optimizerPrefix = "optimizer."
	emaPrefix       = "ema."
	bestPrefix      = "best."
	snapshotPrefix  = "snapshot" // and its number, from the oldest, and a dot

	formatKey   = "format"
	stepKey     = "step"
	scheduleKey = "schedule"
)

// fields is what progress keeps, by its name in a checkpoint. The time is kept
// where training ends by it: elsewhere it would make files differ.
func (p *progress) fields(timed bool) map[string]any {
	f := map[string]any{
		stepKey: &p.step, "batches": &p.batches, "skipped": &p.skipped, "skipped_in_a_row": &p.inARow,
		"evaluated": &p.evaluated, "best": &p.best, "best_step": &p.bestStep, "patience_from": &p.from, "worse": &p.worse,
	}
	if timed {
		f["seconds"] = &p.seconds
	}
	return f
}

// save makes the records durable, then the checkpoint that goes with them.
func (t *trial) save() error {
	if err := t.sink.Sync(); err != nil {
		return err
	}
	t.saved = time.Now()
	if t.Checkpoint == "" {
		return nil
	}
	f := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}, Info: map[string]string{formatKey: format}}
	for name, field := range t.progress.fields(t.Training.Seconds > 0) {
		switch field := field.(type) {
		case *int:
			f.Info[name] = strconv.Itoa(*field)
		case *float64:
			f.Info[name] = formatFloat(*field)
		}
	}
	if s, ok := t.schedule.(components.Following); ok {
		var state []string
		for _, x := range s.State() {
			state = append(state, formatFloat(x))
		}
		f.Info[scheduleKey] = strings.Join(state, " ")
	}
	for _, v := range t.model.Params.All() {
		f.Tensors[modelPrefix+v.Name()] = checkpoint.Tensor{Shape: v.Shape().Dims(), Values: v.Float32s()}
	}
	for name, values := range t.optimizer.State() {
		f.Tensors[optimizerPrefix+name] = checkpoint.Tensor{Shape: []int{len(values)}, Values: values}
	}
	for prefix, set := range t.averages.sets() {
		for i, v := range t.model.Params.All() {
			f.Tensors[prefix+v.Name()] = checkpoint.Tensor{Shape: v.Shape().Dims(), Values: set[i]}
		}
	}
	return checkpoint.Save(t.Checkpoint, f, max(1, t.Keep))
}

func formatFloat(x float64) string { return strconv.FormatFloat(x, 'g', -1, 64) }

// sets is the weights that are kept beside those that are trained, by their prefix.
func (a *averages) sets() map[string][][]float32 {
	sets := map[string][][]float32{}
	if a.ema != nil {
		sets[emaPrefix] = a.ema
	}
	if a.best != nil {
		sets[bestPrefix] = a.best
	}
	for i, set := range a.snapshots {
		sets[snapshotName(i)] = set
	}
	return sets
}

func snapshotName(snapshot int) string { return fmt.Sprintf("%s%d.", snapshotPrefix, snapshot) }

// resume goes on from the newest checkpoint that is whole, if there is one.
func (t *trial) resume() error {
	if t.Checkpoint == "" {
		return t.sink.Resume(0, t.steps)
	}
	f, path, damaged, err := checkpoint.Load(t.Checkpoint)
	for _, err := range damaged {
		t.sink.Warn(fmt.Errorf("%w; training goes on from the one before, %s", err, path))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return t.sink.Resume(0, t.steps)
	}
	if err != nil {
		return err
	}
	if err := t.restore(f); err != nil {
		return fmt.Errorf("%s: %w; %s", path, err, checkpoint.Anew(t.Checkpoint))
	}
	return t.sink.Resume(t.step, t.steps)
}

// restore takes over what a checkpoint holds.
func (t *trial) restore(f checkpoint.File) error {
	if err := t.restoreProgress(f.Info); err != nil {
		return err
	}
	if s, ok := t.schedule.(components.Following); ok {
		if err := restoreState(s.State(), f.Info[scheduleKey]); err != nil {
			return err
		}
	}
	if err := setWeights(t.model.Params, f, modelPrefix); err != nil {
		return err
	}
	state := t.optimizer.State()
	for _, name := range slices.Sorted(maps.Keys(state)) {
		tensor, ok := f.Tensors[optimizerPrefix+name]
		switch {
		case !ok:
			return fmt.Errorf("has no tensor %s", optimizerPrefix+name)
		case len(tensor.Values) != len(state[name]):
			return fmt.Errorf("tensor %s has shape %v, not %d elements", optimizerPrefix+name, tensor.Shape, len(state[name]))
		}
		copy(state[name], tensor.Values)
	}
	t.order.skip(t.batches)
	if t.overflow = t.model.Params.FirstNotFinite(); t.overflow != nil { // saved before the next step has shown it
		if path := t.batchFile(t.step); checkpoint.Exists(path) {
			t.overflowBatch = path
		}
	}
	return t.restoreAverages(f)
}

// restoreProgress reads how far the training was.
func (t *trial) restoreProgress(info map[string]string) error {
	fields := t.progress.fields(t.Training.Seconds > 0)
	switch info[formatKey] {
	case format:
	case "":
		fields = map[string]any{stepKey: &t.step}
	default:
		return fmt.Errorf("is of format %q, and this program knows formats up to %s; use a newer program", info[formatKey], format)
	}
	for name, field := range fields {
		var err error
		switch field := field.(type) {
		case *int:
			*field, err = strconv.Atoi(info[name])
		case *float64:
			*field, err = strconv.ParseFloat(info[name], 64)
		}
		if err != nil {
			return fmt.Errorf("its %s is %q", name, info[name])
		}
	}
	if t.step < 0 || t.steps > 0 && t.step > t.steps {
		return fmt.Errorf("is of step %q, and the training has %d steps", info[stepKey], t.steps)
	}
	if info[formatKey] == "" {
		t.batches = t.step // each an update
	}
	return nil
}

func restoreState(state []float64, text string) error {
	fields := strings.Fields(text)
	if len(fields) != len(state) {
		return fmt.Errorf("its schedule is %q, not %d numbers", text, len(state))
	}
	for i, field := range fields {
		x, err := strconv.ParseFloat(field, 64)
		if err != nil {
			return fmt.Errorf("its schedule is %q", text)
		}
		state[i] = x
	}
	return nil
}

// restoreAverages takes over the weights beside those that are trained.
func (t *trial) restoreAverages(f checkpoint.File) error {
	a, params := &t.averages, t.model.Params
	read := func(prefix string) ([][]float32, error) {
		if err := checkWeights(params, f, prefix); err != nil {
			return nil, err
		}
		var set [][]float32
		for _, v := range params.All() {
			set = append(set, f.Tensors[prefix+v.Name()].Values)
		}
		return set, nil
	}
	var errs []error
	take := func(prefix string) [][]float32 {
		set, err := read(prefix)
		errs = append(errs, err)
		return set
	}
	if a.ema != nil {
		a.ema = take(emaPrefix)
	}
	if t.bestStep > 0 {
		a.best = take(bestPrefix)
	}
	for i := 0; has(f, snapshotName(i)); i++ {
		a.snapshots = append(a.snapshots, take(snapshotName(i)))
	}
	return errors.Join(errs...)
}

// has says whether f has tensors under a prefix.
func has(f checkpoint.File, prefix string) bool {
	for name := range f.Tensors {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// setWeights gives the parameters the values that f has under prefix.
func setWeights(p *autodiff.Params, f checkpoint.File, prefix string) error {
	if err := checkWeights(p, f, prefix); err != nil {
		return err
	}
	for _, v := range p.All() {
		if err := p.Set(v, f.Tensors[prefix+v.Name()].Values); err != nil {
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

// Weights returns the parameters that are tested of what a checkpoint holds, by
// their names, and the step that they are of. Where the newest file is damaged it is
// the one before, and damaged says so.
func Weights(path string) (f checkpoint.File, step string, damaged []error, err error) {
	f, from, damaged, err := checkpoint.Load(path)
	if err != nil {
		return f, "", nil, err
	}
	for i, err := range damaged {
		damaged[i] = fmt.Errorf("%w; the weights are those of the one before, %s", err, from)
	}
	prefixes, step := []string{modelPrefix}, f.Info[stepKey]
	switch {
	case has(f, bestPrefix):
		prefixes, step = []string{bestPrefix}, f.Info["best_step"]
	case has(f, snapshotName(0)):
		prefixes = nil
		for i := 0; has(f, snapshotName(i)); i++ {
			prefixes = append(prefixes, snapshotName(i))
		}
	case has(f, emaPrefix):
		prefixes = []string{emaPrefix}
	}
	weights := checkpoint.File{Tensors: map[string]checkpoint.Tensor{}}
	for name, tensor := range f.Tensors {
		name, ok := strings.CutPrefix(name, prefixes[0])
		if !ok {
			continue
		}
		var sets [][][]float32
		for _, prefix := range prefixes {
			sets = append(sets, [][]float32{f.Tensors[prefix+name].Values})
		}
		weights.Tensors[name] = checkpoint.Tensor{Shape: tensor.Shape, Values: mean(sets)[0]}
	}
	return weights, step, damaged, nil
}
