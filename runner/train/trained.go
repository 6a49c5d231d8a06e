package train

import (
	"errors"
	"fmt"
	"io/fs"

	"exp/components"
	"exp/components/autodiff"
)

// ErrNoCheckpoint is a model of which there is no checkpoint.
var ErrNoCheckpoint = errors.New("has no checkpoint")

// Trained returns the model that the checkpoint holds, that which is tested. step and
// damaged are as of [Weights].
func Trained(c Config) (m *components.Model, step string, damaged []error, err error) {
	f, step, damaged, err := Weights(c.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil, fmt.Errorf("%w %s", ErrNoCheckpoint, c.Checkpoint)
	}
	if err != nil {
		return nil, "", nil, err
	}
	m, err = components.NewModel(c.Parts, autodiff.NewParams(autodiff.Float32, 0), c.Data.SourceSize(), c.Data.Target.Size())
	if err != nil {
		return nil, "", nil, err
	}
	m.Number(c.Data.Numbers())
	if err := m.ReadSource(c.Data.Source); err != nil {
		return nil, "", nil, err
	}
	if err := setWeights(m.Params, f, ""); err != nil {
		return nil, "", nil, prefixed(c.Checkpoint, err)
	}
	m.Params.Changed()
	return m, step, damaged, errors.Join(c.checkDecoding(m), c.checkMaxLength(m))
}
