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

// Trained returns the model that the checkpoint holds, that which is tested, and the
// step that it is of.
func Trained(c Config) (m *components.Model, step string, err error) {
	f, step, err := Weights(c.Checkpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("%w %s", ErrNoCheckpoint, c.Checkpoint)
	}
	if err != nil {
		return nil, "", err
	}
	m, err = components.NewModel(c.Parts, autodiff.NewParams(autodiff.Float32, 0), c.Data.SourceSize(), c.Data.Target.Size())
	if err != nil {
		return nil, "", err
	}
	m.Number(c.Data.Numbers())
	if err := m.ReadSource(c.Data.Source); err != nil {
		return nil, "", err
	}
	if err := setWeights(m.Params, f, ""); err != nil {
		return nil, "", prefixed(c.Checkpoint, err)
	}
	m.Params.Changed()
	return m, step, errors.Join(c.checkDecoding(m), c.checkMaxLength(m))
}
