package components

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"exp/registry"
)

// Training is the [train] table. The optimizer, the schedule and the teacher forcing
// are components in tables of their own below it.
type Training struct {
	Steps          int                              `toml:"steps" oneof:"length" doc:"updates"`
	Epochs         int                              `toml:"epochs" oneof:"length" doc:"times that every pair is trained on"`
	Tokens         int                              `toml:"tokens" oneof:"length" doc:"target tokens to train on; the update that reaches them is the last"`
	Seconds        float64                          `toml:"seconds" oneof:"length" doc:"time to train for, evaluations and checkpoints not counted; how many updates that is depends on the machine, and so do the results"`
	BatchSize      int                              `toml:"batch_size" oneof:"batch" doc:"pairs a batch"`
	BatchTokens    int                              `toml:"batch_tokens" oneof:"batch" doc:"target tokens a batch, at most, if all its targets were as long as the longest"`
	BucketBy       BucketBy                         `toml:"bucket_by" doc:"what pairs of a batch are alike in: the length of the source, or of both, which leaves less padding where batches are padded, and fewer steps of the longest target where they are not"`
	Accumulate     int                              `toml:"accumulate" doc:"batches an update; its gradient is that of all their tokens together"`
	FullBatch      bool                             `toml:"full_batch" doc:"descend along the gradient of all training pairs, summed up batch by batch: an update is an epoch"`
	ClipNorm       float64                          `toml:"clip_norm" doc:"largest global norm of the gradient (Pascanu et al. 2013); 0: any"`
	ClipValue      float64                          `toml:"clip_value" doc:"largest absolute value of an element of the gradient, before its norm is clipped; 0: any"`
	NonFinite      NonFinite                        `toml:"nonfinite" doc:"what a loss or a gradient that is not finite does: stop the trial as diverged, or skip the update, which is counted"`
	EMADecay       float64                          `toml:"ema_decay" doc:"evaluate an exponential moving average of the weights with this decay, in update n at most (1+n)/(10+n); in [0, 1), 0: the weights"`
	AverageLast    int                              `toml:"average_last" doc:"test the mean of the weights at the last so many evaluations, that at the end included (Vaswani et al. 2017); 0: the last"`
	Groups         registry.ListOf[Group, struct{}] `toml:"groups" doc:"parameters that are trained otherwise, each a table with a type, freeze or scale, and its options; a parameter is in the first that it fits"`
	InitFrom       string                           `toml:"init_from" content:"file" doc:"safetensors file with every parameter's first values, as exp weights export writes it; \"\": drawn from the seed"`
	LabelSmoothing float64                          `toml:"label_smoothing" doc:"probability spread evenly over the vocabulary (Szegedy et al. 2016), in [0, 1)"`
}

// BucketBy is what pairs of a batch are alike in.
type BucketBy string

// What they can be alike in.
const (
	BySource BucketBy = "source"
	ByBoth   BucketBy = "both"
)

// Values lists what they can be alike in.
func (BucketBy) Values() []string { return []string{string(BySource), string(ByBoth)} }

// UnmarshalText reads what they are alike in.
func (b *BucketBy) UnmarshalText(text []byte) error { return registry.OneOf(b, text) }

// NonFinite is what a loss or a gradient that is not finite does.
type NonFinite string

// What it does.
const (
	Stop NonFinite = "stop"
	Skip NonFinite = "skip"
)

// Values lists what it can do.
func (NonFinite) Values() []string { return []string{string(Stop), string(Skip)} }

// UnmarshalText reads what it does.
func (n *NonFinite) UnmarshalText(text []byte) error { return registry.OneOf(n, text) }

// DefaultTraining is a [train] table that says nothing.
func DefaultTraining() Training {
	return Training{Steps: 10_000, BatchSize: 64, BucketBy: BySource, Accumulate: 1, ClipNorm: 1, NonFinite: Stop, Groups: registry.NewListOf(newGroups())}
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
	var length error
	for key, n := range map[string]int{"steps": o.Steps, "epochs": o.Epochs, "tokens": o.Tokens} {
		if n != 0 {
			length = errors.Join(length, registry.AtLeast(key, n, 1))
		}
	}
	if o.Seconds != 0 {
		length = errors.Join(length, registry.Positive("seconds", o.Seconds))
	}
	if o.Steps == 0 && o.Epochs == 0 && o.Tokens == 0 && o.Seconds == 0 {
		length = registry.Fault{Key: "steps", Problem: "must be at least 1, or one of epochs, tokens and seconds"}
	}
	if o.FullBatch && o.Accumulate > 1 {
		batch = errors.Join(batch, registry.Fault{Key: "accumulate", Problem: "is for updates of a part of the pairs, and full_batch takes all"})
	}
	if o.AverageLast > 0 && o.EMADecay > 0 {
		batch = errors.Join(batch, registry.Fault{Key: "average_last", Problem: "is an average of the weights, and so is ema_decay; give one of them"})
	}
	return errors.Join(
		batch, length,
		registry.AtLeast("accumulate", o.Accumulate, 1),
		registry.AtLeast("clip_norm", o.ClipNorm, 0),
		registry.AtLeast("clip_value", o.ClipValue, 0),
		registry.InRange("ema_decay", o.EMADecay, 0, 1),
		registry.AtLeast("average_last", o.AverageLast, 0),
		registry.InRange("label_smoothing", o.LabelSmoothing, 0, 1),
	)
}

// ParameterGroups returns the groups.
func (o Training) ParameterGroups() (Groups, error) {
	var groups Groups
	for _, choice := range o.Groups.Choices {
		g, err := choice.Build(struct{}{})
		if err != nil {
			return nil, registry.Under("train.groups", err)
		}
		groups = append(groups, g)
	}
	return groups, nil
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
	DecodingOptions
	BestBy   string  `toml:"best_by" doc:"one of the metrics: the model that is tested is that of the evaluation at which it was best on the validation split, the first of equals; \"\": the last"`
	Patience int     `toml:"patience" doc:"evaluations in a row without a better value of best_by, the last of which ends the training (early stopping); 0: train to the end"`
	MinDelta float64 `toml:"min_delta" doc:"by how much a value must be better for patience to start anew"`
}

// DefaultEvaluation is an [evaluate] table that says nothing.
func DefaultEvaluation() Evaluation {
	return Evaluation{Every: 1000, BatchSize: 128, DecodingOptions: DefaultDecodingOptions()}
}

// Doc describes the table.
func (Evaluation) Doc() string {
	return "What is measured. The validation split is read as training goes on, the test split once, at its end, and each reading of it is recorded."
}

// Validate reports every value out of range.
func (o Evaluation) Validate() error {
	var stopping error
	if o.BestBy == "" && (o.Patience > 0 || o.MinDelta > 0) {
		stopping = registry.Fault{Key: "best_by", Problem: "must name a metric, of which patience and min_delta say what to wait for"}
	}
	return errors.Join(
		stopping,
		registry.AtLeast("every", o.Every, 1),
		registry.AtLeast("batch_size", o.BatchSize, 1),
		o.DecodingOptions.Validate(),
		registry.AtLeast("patience", o.Patience, 0),
		registry.AtLeast("min_delta", o.MinDelta, 0),
	)
}
