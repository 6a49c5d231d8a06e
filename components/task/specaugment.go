package task

import (
	"math/rand/v2"
	"slices"

	"exp/components"
)

// augmented is recordings that are masked anew for each epoch, by SpecAugment, and
// whose transcripts are cut anew where the tokenizer draws.
type augmented struct{ *recordings }

// Epoch returns the recordings as they are in an epoch.
func (a augmented) Epoch(seed uint64, epoch int) components.Split {
	return augmentedEpoch{a.recordings, rand.NewPCG(seed, uint64(epoch)).Uint64()}
}

type augmentedEpoch struct {
	*recordings
	seed uint64
}

// Pair masks recording i, the same whenever it is asked for.
func (a augmentedEpoch) Pair(i int) components.Pair {
	rng := rand.New(rand.NewPCG(a.seed, uint64(i)))
	p := a.recordings.Pair(i)
	p.Frames.Values = slices.Clone(p.Frames.Values)
	a.task.mask(p.Frames.Values, rng)
	if sampler, ok := a.task.tokenizer.(sampling); ok && sampler.Samples() {
		p.Target = a.task.data.Target.IDs(sampler.Sample(a.utterances[i].transcript, rng))
	}
	return p
}

// mask masks frames [T, F], as Park et al. (2019), section 2: t frames from t_0,
// with t drawn evenly from 0 to the greatest length and t_0 so that they are all
// there, and likewise filters. A filter's deltas are masked with it.
func (s *Recordings) mask(frames []float32, rng *rand.Rand) {
	size, n := s.FrameSize(), s.o.NumMel
	steps := len(frames) / size
	stretch := func(length, longest int) (from, to int) {
		masked := rng.IntN(min(longest, length) + 1)
		from = rng.IntN(length - masked + 1)
		return from, from + masked
	}
	for range s.o.NumTimeMasks {
		from, to := stretch(steps, min(s.o.TimeMaskSize, int(s.o.TimeMaskShare*float64(steps))))
		for t := from; t < to; t++ {
			copy(frames[t*size:(t+1)*size], s.mean)
		}
	}
	for range s.o.NumFrequencyMasks {
		from, to := stretch(n, s.o.FrequencyMaskSize)
		for t := range steps {
			for block := 0; block < size; block += n {
				copy(frames[t*size+block+from:t*size+block+to], s.mean[block+from:block+to])
			}
		}
	}
}
