package nn

import (
	"math"

	"exp/components/autodiff"
)

// NewEmbedding adds a table [V, E] of one vector a token. Its elements start
// normal with variance 1/E, so a vector starts with length 1.
func NewEmbedding(p *autodiff.Params, name string, vocabulary, size int) *autodiff.Var {
	return p.Scope(name).New("weight", Normal(1/math.Sqrt(float64(size))), vocabulary, size)
}

// Sinusoid is the value of dimension i of D of the position encoding at
// position pos: sin(pos/10000^(2j/D)) for i = 2j, cos of the same for i = 2j+1
// (Vaswani et al. 2017, section 3.5).
func Sinusoid(pos, i, size int) float64 {
	angle := float64(pos) / math.Pow(10000, float64(i/2*2)/float64(size))
	if i%2 == 0 {
		return math.Sin(angle)
	}
	return math.Cos(angle)
}
