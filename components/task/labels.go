package task

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"exp/components"
	"exp/registry"
)

// Input is how the labels task gives its integers to the model.
type Input string

const (
	Tokens  Input = "tokens"
	Numbers Input = "numbers"
)

// Values lists what is allowed.
func (Input) Values() []string { return []string{string(Tokens), string(Numbers)} }

// UnmarshalText accepts one of Values.
func (i *Input) UnmarshalText(text []byte) error { return registry.OneOf(i, text) }

// LabelsOptions configures the labels task.
type LabelsOptions struct {
	NumClasses int   `toml:"num_classes" doc:"integers C that a source is drawn from, and labels"`
	MinLength  int   `toml:"min_length" doc:"length of the shortest sequences; lengths are uniform"`
	MaxLength  int   `toml:"max_length" doc:"length of the longest sequences"`
	NumTrain   int   `toml:"num_train" doc:"pairs to train on"`
	NumValid   int   `toml:"num_valid" doc:"pairs to validate on"`
	NumTest    int   `toml:"num_test" doc:"pairs to test on"`
	Input      Input `toml:"input" doc:"sources are tokens, or frames of one real number, the integer as it is"`
	Seed       int   `toml:"seed" doc:"of the draws of this task; the trial's seed does not change the data"`
}

// DefaultLabels is a labels task that says nothing.
func DefaultLabels() LabelsOptions {
	return LabelsOptions{NumClasses: 10, MinLength: 10, MaxLength: 10, NumTrain: 1000, NumValid: 100, NumTest: 100, Input: Tokens, Seed: 1}
}

// Doc describes the component.
func (LabelsOptions) Doc() string {
	return "Aligned pairs, a label a step: the source is integers drawn evenly from 1 to C, and the target at each step is the source's integer plus C. " +
		"No two pairs have the same source."
}

// Validate reports every value out of range.
func (o LabelsOptions) Validate() error {
	err := errors.Join(
		registry.AtLeast("num_classes", o.NumClasses, 1),
		registry.AtLeast("min_length", o.MinLength, 1),
		registry.AtLeast("max_length", o.MaxLength, o.MinLength),
		registry.AtLeast("num_train", o.NumTrain, 1),
		registry.AtLeast("num_valid", o.NumValid, 1),
		registry.AtLeast("num_test", o.NumTest, 1),
	)
	if err != nil {
		return err
	}
	// Of the shortest there are the fewest. Half of them suffice to find new ones soon.
	share := float64(o.pairs()) / float64(o.MaxLength-o.MinLength+1)
	if there := math.Pow(float64(o.NumClasses), float64(o.MinLength)); share > there/2 {
		return registry.Fault{Key: "num_train", Problem: fmt.Sprintf("is too large: there are %.0f sequences of length %d, and with those to validate and test on about %.0f are wanted, of which that must be twice", there, o.MinLength, share)}
	}
	return nil
}

func (o LabelsOptions) pairs() int { return o.NumTrain + o.NumValid + o.NumTest }

// Labels is the labels task.
type Labels struct{ o LabelsOptions }

// NewLabels makes the task.
func NewLabels(o LabelsOptions, _ components.TaskDeps) (components.Task, error) {
	return &Labels{o}, nil
}

// Identity is empty: the options say all.
func (*Labels) Identity() (string, error) { return "", nil }

// FrameSize is 1 where the sources are numbers.
func (l *Labels) FrameSize() int {
	if l.o.Input == Numbers {
		return 1
	}
	return 0
}

// Load draws the pairs.
func (l *Labels) Load() (*components.Data, error) {
	classes := integers(2*l.o.NumClasses + 1)
	d := &components.Data{FrameSize: l.FrameSize(), Target: components.NewVocabulary(classes[l.o.NumClasses+1:])}
	if d.FrameSize == 0 {
		d.Source = components.NewVocabulary(classes[1 : l.o.NumClasses+1])
	}
	rng := rand.New(rand.NewPCG(uint64(l.o.Seed), 0x1abe1))
	known := map[string]bool{}
	draw := func(n int) components.Pairs {
		pairs := make(components.Pairs, 0, n)
		for len(pairs) < n {
			integers := make([]int32, l.o.MinLength+rng.IntN(l.o.MaxLength-l.o.MinLength+1))
			for i := range integers {
				integers[i] = 1 + rng.Int32N(int32(l.o.NumClasses))
			}
			if key := fmt.Sprint(integers); !known[key] {
				known[key] = true
				pairs = append(pairs, l.pair(integers))
			}
		}
		return pairs
	}
	d.Train, d.Valid, d.Test = draw(l.o.NumTrain), draw(l.o.NumValid), draw(l.o.NumTest)
	return d, nil
}

// pair is the pair of a source of integers, from 1.
func (l *Labels) pair(integers []int32) components.Pair {
	var p components.Pair
	for _, n := range integers {
		p.Target = append(p.Target, components.NumSpecial+n-1)
		if l.FrameSize() > 0 {
			p.Frames.Values = append(p.Frames.Values, float32(n))
		}
	}
	if p.Frames.Size = l.FrameSize(); p.Frames.Size == 0 {
		p.Source = slices.Clone(p.Target) // each vocabulary numbers its integers from its first on
	}
	return p
}
