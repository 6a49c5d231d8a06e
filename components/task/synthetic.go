package task

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"

	"exp/components"
	"exp/registry"
)

// SyntheticOptions is what every generated task has.
type SyntheticOptions struct {
	MinLength     int `toml:"min_length" doc:"least length to train and validate on"`
	MaxLength     int `toml:"max_length" doc:"greatest length to train and validate on; lengths are drawn evenly"`
	TestMinLength int `toml:"test_min_length" doc:"least length to test on; 0: min_length"`
	TestMaxLength int `toml:"test_max_length" doc:"greatest length to test on; 0: max_length"`
	NumTrain      int `toml:"num_train" doc:"pairs to train on"`
	NumValid      int `toml:"num_valid" doc:"pairs to validate on"`
	NumTest       int `toml:"num_test" doc:"pairs to test on"`
	Seed          int `toml:"seed" doc:"of the draws of this task; the trial's seed does not change the data"`
}

// defaultSynthetic is these options where they say nothing but the lengths.
func defaultSynthetic(minLength, maxLength int) SyntheticOptions {
	return SyntheticOptions{MinLength: minLength, MaxLength: maxLength, NumTrain: 10_000, NumValid: 500, NumTest: 1000, Seed: 1}
}

// testLengths is the least and the greatest length of the test.
func (o SyntheticOptions) testLengths() (least, greatest int) {
	return cmp.Or(o.TestMinLength, o.MinLength), cmp.Or(o.TestMaxLength, o.MaxLength)
}

// Validate reports every value out of range.
func (o SyntheticOptions) Validate() error {
	least, _ := o.testLengths()
	err := errors.Join(
		registry.AtLeast("min_length", o.MinLength, 1),
		registry.AtLeast("max_length", o.MaxLength, o.MinLength),
		registry.AtLeast("test_min_length", o.TestMinLength, 0),
		registry.AtLeast("num_train", o.NumTrain, 1),
		registry.AtLeast("num_valid", o.NumValid, 1),
		registry.AtLeast("num_test", o.NumTest, 1),
	)
	if o.TestMaxLength != 0 {
		return errors.Join(err, registry.AtLeast("test_max_length", o.TestMaxLength, least))
	}
	if o.TestMinLength > o.MaxLength {
		err = errors.Join(err, registry.Fault{Key: "test_max_length", Problem: fmt.Sprintf("must be given: test_min_length is %d, above max_length = %d", o.TestMinLength, o.MaxLength)})
	}
	return err
}

// atMost returns a fault where lengths reach beyond what a task has.
func (o SyntheticOptions) atMost(longest int, why string) error {
	var errs []error
	for _, l := range []struct {
		key   string
		value int
	}{{"max_length", o.MaxLength}, {"test_max_length", o.TestMaxLength}} {
		if l.value > longest {
			errs = append(errs, registry.Fault{Key: l.key, Problem: fmt.Sprintf("must be at most %d, %s; is %d", longest, why, l.value)})
		}
	}
	return errors.Join(errs...)
}

// drawer draws a source of a length from least to greatest, and its target.
type drawer func(rng *rand.Rand, least, greatest int) (source, target []string)

// evenly draws the length evenly, then a pair of that length.
func evenly(draw func(rng *rand.Rand, length int) (source, target []string)) drawer {
	return func(rng *rand.Rand, least, greatest int) (source, target []string) {
		return draw(rng, least+rng.IntN(greatest-least+1))
	}
}

// Synthetic is a task whose pairs are drawn. No two have the same source, or what
// is the same to the task, so that no split shares one with another.
type Synthetic struct {
	o              SyntheticOptions
	source, target []string // every token that there can be
	draw           drawer
	same           func(source []string) string // equal for sources that are the same, nil: their text
	spelled        [2]bool                      // the tokens of the source, and of the target, are characters
}

// Identity is empty: the options say all.
func (*Synthetic) Identity() (string, error) { return "", nil }

// Load draws the pairs.
func (s *Synthetic) Load() (*components.Data, error) {
	d := &components.Data{Source: components.NewVocabulary(s.source), Target: components.NewVocabulary(s.target)}
	spell := func(tokens []string) string { return strings.Join(tokens, "") }
	if s.spelled[0] {
		d.CutSource, d.SourceText = func(text string) ([]string, error) { return characters(text), nil }, spell
	}
	if s.spelled[1] {
		d.CutTarget, d.Text = characters, spell
	}
	rng := rand.New(rand.NewPCG(uint64(s.o.Seed), 0x5e0))
	known := map[string]bool{}
	training, least, greatest := s.o.NumTrain+s.o.NumValid, s.o.MinLength, s.o.MaxLength
	testLeast, testGreatest := s.o.testLengths()
	apart := testLeast != least || testGreatest != greatest
	if !apart { // all from one draw, so that each split has the others' lengths, however few sources are short
		training += s.o.NumTest
	}
	pairs, err := s.distinct(d, rng, known, "num_train", training, least, greatest)
	if err == nil && apart {
		var test components.Pairs
		test, err = s.distinct(d, rng, known, "num_test", s.o.NumTest, testLeast, testGreatest)
		pairs = append(pairs, test...)
	}
	if err != nil {
		return nil, err
	}
	cut := s.o.NumTrain + s.o.NumValid
	d.Train, d.Valid, d.Test = pairs[:s.o.NumTrain], pairs[s.o.NumTrain:cut], pairs[cut:]
	return d, nil
}

// patience is how many draws in a row may find nothing new.
const patience = 10_000

// distinct draws n pairs whose sources are not in known, and shuffles them: the
// last are longer, where there are few short ones. key is the option that asks for
// too many where there are not so many.
func (s *Synthetic) distinct(d *components.Data, rng *rand.Rand, known map[string]bool, key string, n, least, greatest int) (components.Pairs, error) {
	pairs := make(components.Pairs, 0, n)
	for tries := 0; len(pairs) < n; tries++ {
		if tries == patience {
			return nil, registry.Fault{Key: key, Problem: fmt.Sprintf("is too large: of length %d to %d, %d pairs are wanted in all, and %d draws in a row after the first %d found no other source", least, greatest, n, patience, len(pairs))}
		}
		source, target := s.draw(rng, least, greatest)
		text := strings.Join(source, " ")
		if s.same != nil {
			text = s.same(source)
		}
		if known[text] {
			continue
		}
		known[text], tries = true, -1
		pairs = append(pairs, components.Pair{Source: d.Source.IDs(source), Target: d.Target.IDs(target)})
	}
	rng.Shuffle(n, func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	return pairs, nil
}

// integers is n integers from 0 as tokens.
func integers(n int) []string {
	tokens := make([]string, n)
	for i := range tokens {
		tokens[i] = strconv.Itoa(i)
	}
	return tokens
}

// characters splits a text into its characters.
func characters(s string) []string { return strings.Split(s, "") }

// permutation is a task of integers in another order.
type permutation struct {
	SyntheticOptions
	NumSymbols int `toml:"num_symbols" doc:"integers from 0 that a source is drawn from"`
}

func defaultPermutation() permutation {
	return permutation{defaultSynthetic(5, 10), 50}
}

// Validate reports every value out of range.
func (o permutation) Validate() error {
	return errors.Join(o.SyntheticOptions.Validate(), registry.AtLeast("num_symbols", o.NumSymbols, 1))
}

// task draws sources, whose targets are the sources changed in place by arrange.
func (o permutation) task(arrange func([]int)) (components.Task, error) {
	symbols := integers(o.NumSymbols)
	return &Synthetic{o: o.SyntheticOptions, source: symbols, target: symbols, draw: evenly(func(rng *rand.Rand, length int) (source, target []string) {
		drawn := make([]int, length)
		for i := range drawn {
			drawn[i] = rng.IntN(o.NumSymbols)
			source = append(source, symbols[drawn[i]])
		}
		arrange(drawn)
		for _, n := range drawn {
			target = append(target, symbols[n])
		}
		return source, target
	})}, nil
}
