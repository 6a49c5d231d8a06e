package train

import (
	"math/rand/v2"
	"strconv"

	"exp/components"
)

// Shapes is the sizes of the batches of a benchmark. What is 0 is as in the
// configuration and its data.
type Shapes struct {
	Batch        int // pairs
	SourceLength int // S
	TargetLength int // T, the [components.Eos] of each target included
	Vocabulary   int // V of both sides, the special tokens included
	FrameSize    int // F, of a task whose sources are frames, which has no vocabulary of the source
}

// NeedData says whether the shapes leave something to the data of the task.
func (s Shapes) NeedData() bool {
	return s.SourceLength == 0 || s.TargetLength == 0 || s.Vocabulary == 0
}

// syntheticPairs is how many pairs there are where no data says how many.
const syntheticPairs = 1 << 14

// Data returns random data of these shapes, without special tokens. What they
// leave open is as in data, pair by pair; data may be nil where that is nothing.
func (s Shapes) Data(data *components.Data) *components.Data {
	d := &components.Data{FrameSize: s.FrameSize}
	if s.Vocabulary > 0 {
		words := make([]string, max(0, s.Vocabulary-int(components.NumSpecial)))
		for i := range words {
			words[i] = strconv.Itoa(i)
		}
		d.Source = components.NewVocabulary(words)
		d.Target = d.Source
	} else {
		d.Source, d.Target = data.Source, data.Target
	}
	if s.FrameSize > 0 {
		d.Source = nil
	}
	split := func(lengths components.Split) components.Split {
		return newSynthetic(lengths, s, d.SourceSize(), d.Target.Size())
	}
	if s.SourceLength > 0 && s.TargetLength > 0 {
		d.Train = split(nil)
		d.Valid, d.Test = d.Train, d.Train
		return d
	}
	d.Train, d.Valid, d.Test = split(data.Train), split(data.Valid), split(data.Test)
	return d
}

// synthetic is a split of random pairs. Those of one pair are cut out of a stock
// of tokens at a place that its number says, so that it costs nothing to make.
type synthetic struct {
	lengths        components.Split // pairs of the lengths wanted, nil where the shapes say both
	shapes         Shapes
	source, target []int32 // the stock
	frames         []float32
}

// stockSize is more than the tokens of a few batches.
const stockSize = 1 << 16

func newSynthetic(lengths components.Split, s Shapes, sourceSize, targetSize int) *synthetic {
	longest := max(s.SourceLength, s.TargetLength)
	if lengths != nil {
		for i := range lengths.Len() {
			p := lengths.Pair(i)
			longest = max(longest, p.SourceSteps(), len(p.Target))
		}
	}
	rng := rand.New(rand.NewPCG(1, 0))
	stock := func(size int) []int32 {
		tokens := make([]int32, stockSize+longest)
		for i := range tokens {
			tokens[i] = components.NumSpecial + rng.Int32N(int32(size)-components.NumSpecial)
		}
		return tokens
	}
	made := &synthetic{lengths: lengths, shapes: s}
	if s.FrameSize > 0 {
		made.frames = make([]float32, (stockSize+longest)*s.FrameSize)
		for i := range made.frames {
			made.frames[i] = float32(rng.NormFloat64())
		}
	} else {
		made.source = stock(sourceSize)
	}
	made.target = stock(targetSize)
	return made
}

func (s *synthetic) Len() int {
	if s.lengths == nil {
		return syntheticPairs
	}
	return s.lengths.Len()
}

func (s *synthetic) Pair(i int) components.Pair {
	source, target := s.shapes.SourceLength, s.shapes.TargetLength-1
	if s.lengths != nil {
		p := s.lengths.Pair(i)
		if s.shapes.SourceLength == 0 {
			source = p.SourceSteps()
		}
		if s.shapes.TargetLength == 0 {
			target = len(p.Target)
		}
	}
	at := i * 7919 % stockSize // a prime: neighbours lie far from each other
	if f := s.shapes.FrameSize; f > 0 {
		return components.Pair{Frames: components.Frames{Values: s.frames[at*f : (at+source)*f], Size: f}, Target: s.target[at : at+target]}
	}
	return components.Pair{Source: s.source[at : at+source], Target: s.target[at : at+target]}
}
