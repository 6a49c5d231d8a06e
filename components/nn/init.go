package nn

import (
	"math"
	"math/rand/v2"

	"exp/components/autodiff"
)

// Zeros starts at 0.
func Zeros() autodiff.Init { return Constant(0) }

// Constant starts every element at value.
func Constant(value float64) autodiff.Init {
	return func(_ *rand.Rand, _ autodiff.Shape, values []float64) {
		for i := range values {
			values[i] = value
		}
	}
}

// Uniform draws from [-bound, bound).
func Uniform(bound float64) autodiff.Init {
	return func(rng *rand.Rand, _ autodiff.Shape, values []float64) {
		for i := range values {
			values[i] = bound * (2*rng.Float64() - 1)
		}
	}
}

// Normal draws from a normal distribution of mean 0.
func Normal(deviation float64) autodiff.Init {
	return func(rng *rand.Rand, _ autodiff.Shape, values []float64) {
		for i := range values {
			values[i] = deviation * rng.NormFloat64()
		}
	}
}

// Xavier draws uniformly with bound √(6/(in+out)) (Glorot & Bengio 2010,
// equation 16), taking a [blocks·out, in] matrix for that many matrices one
// above the other.
func Xavier(blocks int) autodiff.Init {
	return func(rng *rand.Rand, shape autodiff.Shape, values []float64) {
		in, out := shape.Dim(1), shape.Dim(0)/blocks
		Uniform(math.Sqrt(6/float64(in+out)))(rng, shape, values)
	}
}

// Orthogonal makes each of blocks square matrices, one above the other in
// [blocks·H, H], a random orthogonal one (Saxe et al. 2014): Gram-Schmidt, done
// twice for accuracy, on a matrix of normal draws.
func Orthogonal(blocks int) autodiff.Init {
	return func(rng *rand.Rand, shape autodiff.Shape, values []float64) {
		n := shape.Dim(1)
		if shape.Dim(0) != blocks*n {
			panic("nn: orthogonal: " + shape.String() + " is not a stack of square matrices")
		}
		for b := range blocks {
			orthogonalise(rng, values[b*n*n:(b+1)*n*n], n)
		}
	}
}

func orthogonalise(rng *rand.Rand, m []float64, n int) {
	for i := range n {
		row := m[i*n : (i+1)*n]
		for j := range row {
			row[j] = rng.NormFloat64()
		}
		for range 2 {
			for k := range i {
				before := m[k*n : (k+1)*n]
				along := dot(row, before)
				for j := range row {
					row[j] -= float64(along * before[j])
				}
			}
		}
		length := math.Sqrt(dot(row, row))
		for j := range row {
			row[j] /= length
		}
	}
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += float64(x * b[i])
	}
	return sum
}

// ConstantBlock starts block number at of blocks equal blocks at value, and the
// others at 0.
func ConstantBlock(value float64, at, blocks int) autodiff.Init {
	return func(_ *rand.Rand, _ autodiff.Shape, values []float64) {
		n := len(values) / blocks
		for i := range values[at*n : (at+1)*n] {
			values[at*n+i] = value
		}
	}
}
