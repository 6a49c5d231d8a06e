package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"exp/registry"
)

// Training is the [train] table. The optimizer and the schedule are components
// in tables of their own below it.
type Training struct {
	Steps          int     `toml:"steps" doc:"updates"`
	BatchSize      int     `toml:"batch_size" oneof:"batch" doc:"pairs an update"`
	BatchTokens    int     `toml:"batch_tokens" oneof:"batch" doc:"target tokens an update, at most, if all its targets were as long as the longest"`
	ClipNorm       float64 `toml:"clip_norm" doc:"largest global norm of the gradient (Pascanu et al. 2013); 0: any"`
	InitFrom       string  `toml:"init_from" content:"file" doc:"safetensors file with every parameter's first values, as exp weights export writes it; \"\": drawn from the seed"`
	LabelSmoothing float64 `toml:"label_smoothing" doc:"probability spread evenly over the vocabulary (Szegedy et al. 2016), in [0, 1)"`
}

// DefaultTraining is a [train] table that says nothing.
func DefaultTraining() Training {
	return Training{Steps: 10_000, BatchSize: 64, ClipNorm: 1}
}

// Doc describes the table.
func (Training) Doc() string {
	return "How a model is trained. Each batch holds pairs of nearly one length."
}

// Validate reports every value out of range.
func (o Training) Validate() error {
	batch := errors.Join(registry.AtLeast("batch_size", o.BatchSize, 0), registry.AtLeast("batch_tokens", o.BatchTokens, 0))
	if o.BatchSize == 0 && o.BatchTokens == 0 {
		batch = registry.Fault{Key: "batch_size", Problem: "must be at least 1, or batch_tokens"}
	}
	return errors.Join(
		batch,
		registry.AtLeast("steps", o.Steps, 1),
		registry.AtLeast("clip_norm", o.ClipNorm, 0),
		registry.InRange("label_smoothing", o.LabelSmoothing, 0, 1),
	)
}

// Identity is a hash of the content of the file that training starts from, empty
// where there is none.
func (o Training) Identity() (string, error) {
	if o.InitFrom == "" {
		return "", nil
	}
	h := sha256.New()
	if err := hashFile(h, o.InitFrom); err != nil {
		return "", registry.Fault{Key: "init_from", Problem: err.Error()}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Evaluation is the [evaluate] table. The metrics are components.
type Evaluation struct {
	Every     int `toml:"every" doc:"steps between two evaluations on the validation split; the last step is always one"`
	BatchSize int `toml:"batch_size" doc:"pairs decoded at once"`
	MaxLength int `toml:"max_length" doc:"longest hypothesis, in tokens"`
}

// DefaultEvaluation is an [evaluate] table that says nothing.
func DefaultEvaluation() Evaluation {
	return Evaluation{Every: 1000, BatchSize: 128, MaxLength: 100}
}

// Doc describes the table.
func (Evaluation) Doc() string {
	return "What is measured. The validation split is read as training goes on, the test split once, at its end."
}

// Validate reports every value out of range.
func (o Evaluation) Validate() error {
	return errors.Join(
		registry.AtLeast("every", o.Every, 1),
		registry.AtLeast("batch_size", o.BatchSize, 1),
		registry.AtLeast("max_length", o.MaxLength, 1),
	)
}
