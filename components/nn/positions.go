package nn

import (
	"exp/components/autodiff"
)

// Positions adds to every step of a sequence a vector that says where it is.
type Positions struct {
	Learned *autodiff.Var // [P, D], nil for sinusoids
	table   []float32     // sinusoids, [steps, D]
	size    int
}

// NewSinusoids returns the fixed positions of Vaswani et al. 2017, section 3.5.
func NewSinusoids(size int) *Positions { return &Positions{size: size} }

// NewLearnedPositions adds a table of limit positions, which start normal with
// deviation 0.02 (Devlin et al. 2019).
func NewLearnedPositions(p *autodiff.Params, limit, size int) *Positions {
	return &Positions{Learned: p.Scope("positions").New("weight", Normal(0.02), limit, size), size: size}
}

// Add adds the positions from, from+1, ... to the rows of every sequence in x
// [Σ lengths, D], in place.
func (p *Positions) Add(t *autodiff.Tape, x *autodiff.Var, spans autodiff.Spans, from int) {
	if p.Learned != nil {
		autodiff.AddSteps(t, x, p.Learned, spans, from)
		return
	}
	longest := spans.Longest()
	end := from + longest
	for pos := len(p.table) / p.size; pos < end; pos++ {
		for i := range p.size {
			p.table = append(p.table, float32(Sinusoid(pos, i, p.size)))
		}
	}
	autodiff.AddSteps(t, x, t.Constant(p.table[from*p.size:end*p.size], longest, p.size), spans, 0)
}
