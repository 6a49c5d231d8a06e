package nn

import (
	"exp/components/autodiff"
)

// Sinusoids is the values of [Sinusoid] for as many positions as were asked for.
type Sinusoids struct {
	table []float32 // [steps, size]
	size  int
}

// NewSinusoids returns those of vectors of size elements.
func NewSinusoids(size int) *Sinusoids { return &Sinusoids{size: size} }

// Steps returns the rows of n positions from position from on, [n, size].
func (s *Sinusoids) Steps(t *autodiff.Tape, from, n int) *autodiff.Var {
	for pos := len(s.table) / s.size; pos < from+n; pos++ {
		for i := range s.size {
			s.table = append(s.table, float32(Sinusoid(pos, i, s.size)))
		}
	}
	return t.Constant(s.table[from*s.size:(from+n)*s.size], n, s.size)
}

// Positions adds to every step of a sequence a vector that says where it is: the
// fixed ones of Vaswani et al. 2017, section 3.5, or learned ones.
type Positions struct {
	Learned   *autodiff.Var // [P, D], nil for sinusoids
	Sinusoids *Sinusoids
}

// NewLearnedPositions adds a table of limit positions, which start normal with
// deviation 0.02 (Devlin et al. 2019).
func NewLearnedPositions(p *autodiff.Params, limit, size int) *Positions {
	return &Positions{Learned: p.Scope("positions").New("weight", Normal(0.02), limit, size)}
}

// Add adds the positions from, from+1, ... to the rows of every sequence in x
// [Σ lengths, D], in place.
func (p *Positions) Add(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, from int) {
	if p.Learned != nil {
		autodiff.AddSteps(t, x, p.Learned, spans, from)
		return
	}
	autodiff.AddSteps(t, x, p.Sinusoids.Steps(t, from, spans.Longest()), spans, 0)
}
