package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// attentionCase is operands for an attention of a few sequences, between whose
// rows there are others.
type attentionCase[F Float] struct {
	shape                    AttentionShape
	rows                     []AttentionRows
	q, k, v, y, dq, dk, dv   []F
	stats, forward, backward []F
	queries, keys            int
}

func newAttentionCase[F Float](rng *rand.Rand, longest int) *attentionCase[F] {
	c := &attentionCase[F]{shape: AttentionShape{
		Heads: 1 + rng.IntN(3), KeySize: 1 + rng.IntN(20), ValueSize: 1 + rng.IntN(20),
		Scale: 0.5, Causal: rng.IntN(2) == 0,
	}}
	s := &c.shape
	for range rng.IntN(4) {
		c.queries, c.keys = c.queries+rng.IntN(3), c.keys+rng.IntN(3)
		r := AttentionRows{int32(c.queries), int32(rng.IntN(longest + 1)), int32(c.keys), int32(rng.IntN(longest + 1))}
		c.queries, c.keys = c.queries+int(r.Queries), c.keys+int(r.Keys)
		s.MaxKeys = max(s.MaxKeys, int(r.Keys))
		c.rows = append(c.rows, r)
	}
	s.LdQ, s.LdK = s.Heads*s.KeySize+rng.IntN(3), s.Heads*s.KeySize+rng.IntN(3)
	s.LdV, s.LdY = s.Heads*s.ValueSize+rng.IntN(3), s.Heads*s.ValueSize+rng.IntN(3)
	c.q, c.dq = randomSlice[F](rng, c.queries*s.LdQ), randomSlice[F](rng, c.queries*s.LdQ)
	c.k, c.dk = randomSlice[F](rng, c.keys*s.LdK), randomSlice[F](rng, c.keys*s.LdK)
	c.v, c.dv = randomSlice[F](rng, c.keys*s.LdV), randomSlice[F](rng, c.keys*s.LdV)
	c.y = randomSlice[F](rng, c.queries*s.LdY)
	c.stats = make([]F, c.queries*s.Heads*2)
	c.forward, c.backward = make([]F, s.Scratch(false)), make([]F, s.Scratch(true))
	return c
}

func (c *attentionCase[F]) clone() *attentionCase[F] {
	d := *c
	for _, x := range []*[]F{&d.y, &d.dq, &d.dk, &d.dv, &d.stats} {
		*x = slices.Clone(*x)
	}
	return &d
}

func TestAttentionEqualsReference(t *testing.T) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			rng, shared := rand.New(rand.NewPCG(41, 42)), 0
			for i := range 300 {
				got := newAttentionCase[float32](rng, []int{5, 20, 70, 150}[i%4])
				want, s := got.clone(), &got.shape
				dy := randomSlice[float32](rng, len(got.y))
				Attention(s, got.rows, got.q, got.k, got.v, got.y, got.stats, got.forward)
				for _, r := range got.rows {
					for n := range s.Heads {
						attentionReference(s, r, n, want.q, want.k, want.v, want.y, want.stats, want.forward)
					}
				}
				same(t, "Attention", i, got.y, want.y)
				same(t, "Attention's stats", i, got.stats, want.stats)
				if i%7 == 3 && s.KeySize <= s.ValueSize && s.Heads == 1 { // keys are values
					s.LdK, got.k, got.dk, want.k, want.dk = s.LdV, got.v, got.dv, want.v, want.dv
					shared++
				}
				for _, d := range []*attentionCase[float32]{got, want} { // some need no gradient
					if i%5 == 1 {
						d.dq = nil
					}
					if i%5 == 2 {
						d.dk, d.dv = nil, nil
					}
				}
				AttentionBackward(s, got.rows, got.q, got.k, got.v, dy, got.stats, got.dq, got.dk, got.dv, got.backward)
				for _, r := range got.rows {
					for n := range s.Heads {
						attentionBackwardReference(s, r, n, want.q, want.k, want.v, dy, want.stats, want.dq, want.dk, want.dv, want.backward)
					}
				}
				same(t, "AttentionBackward's dq", i, got.dq, want.dq)
				same(t, "AttentionBackward's dk", i, got.dk, want.dk)
				same(t, "AttentionBackward's dv", i, got.dv, want.dv)
			}
			if shared == 0 {
				t.Error("no case whose keys are the values")
			}
		})
	}
}

// A sequence of one query has a way of its own: some heads at a time, keys by panels.
func TestAttentionOfOneQuery(t *testing.T) {
	for _, path := range nativePaths {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			rng := rand.New(rand.NewPCG(49, 50))
			for i, keys := range []int{0, 1, 3, 4, 5, 8, 9, 15, 16, 17, 20, 31, 32, 33, 63, 64, 65, 200} {
				for _, size := range []int{1, 4, 16, 17, 40} {
					heads := []int{1, 4, attentionBlock, attentionBlock + 1}[(i+size)%4]
					s := &AttentionShape{Heads: heads, KeySize: size, ValueSize: size + 1, LdQ: heads * size, LdK: heads*size + 3, LdV: heads*size + heads, LdY: heads*size + heads,
						Scale: 0.5, Causal: i%5 == 4, MaxKeys: keys + 1}
					rows := []AttentionRows{{0, 1, 1, int32(keys)}, {1, 1, int32(keys) + 1, int32(keys) + 1}}
					q, k, v := randomSlice[float32](rng, 2*s.LdQ), randomSlice[float32](rng, (2*keys+2)*s.LdK), randomSlice[float32](rng, (2*keys+2)*s.LdV)
					got, gotStats := randomSlice[float32](rng, 2*s.LdY), make([]float32, 2*heads*2)
					want, wantStats, scratch := slices.Clone(got), slices.Clone(gotStats), make([]float32, s.Scratch(false))
					Attention(s, rows, q, k, v, got, gotStats, scratch)
					for _, r := range rows {
						for n := range heads {
							attentionReference(s, r, n, q, k, v, want, wantStats, scratch)
						}
					}
					same(t, "Attention", i, got, want)
					same(t, "Attention's stats", i, gotStats, wantStats)
				}
			}
		})
	}
}

// TestAttentionByParts holds attention equal to the products and the softmax that
// it fuses, which the order of sums does not tell apart.
func TestAttentionByParts(t *testing.T) {
	rng := rand.New(rand.NewPCG(43, 44))
	const T, S, size = 67, 53, 12
	for _, causal := range []bool{false, true} {
		q, k, v := randomSlice[float32](rng, T*size), randomSlice[float32](rng, S*size), randomSlice[float32](rng, S*size)
		s := &AttentionShape{Heads: 1, KeySize: size, ValueSize: size, LdQ: size, LdK: size, LdV: size, LdY: size,
			Scale: 0.3, Causal: causal, MaxKeys: S}
		got, want, w := make([]float32, T*size), make([]float32, T*size), make([]float32, T*S)
		Attention(s, []AttentionRows{{0, T, 0, S}}, q, k, v, got, make([]float32, 2*T), make([]float32, s.Scratch(false)))

		Gemm(false, true, T, S, size, q, size, k, size, w, S, nil, false)
		Scale(w, 0.3, w)
		valid := make([]int32, T)
		for i := range valid {
			valid[i] = S
			if causal {
				valid[i] = int32(min(S, i+1))
			}
		}
		SoftmaxRows(T, S, w, S, valid)
		Gemm(false, false, T, size, S, w, S, v, size, want, size, nil, false)
		same(t, "Attention", S, got, want)
	}
}

func TestAttentionGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(45, 46))
	for range 8 {
		c := newAttentionCase[float64](rng, 6)
		s := &c.shape
		dy := randomSlice[float64](rng, len(c.y))
		seen := make([]float64, len(dy)) // dy where a context is written
		for _, r := range c.rows {
			for i := int(r.Query); i < int(r.Query+r.Queries); i++ {
				copy(seen[i*s.LdY:i*s.LdY+s.Heads*s.ValueSize], dy[i*s.LdY:])
			}
		}
		loss := func() float64 {
			Attention(s, c.rows, c.q, c.k, c.v, c.y, c.stats, c.forward)
			return weighted(c.y, seen)
		}
		loss()
		clear(c.dq)
		clear(c.dk)
		clear(c.dv)
		AttentionBackward(s, c.rows, c.q, c.k, c.v, dy, c.stats, c.dq, c.dk, c.dv, c.backward)
		for _, x := range []struct {
			name string
			x, d []float64
		}{{"q", c.q, c.dq}, {"k", c.k, c.dk}, {"v", c.v, c.dv}} {
			if len(x.x) > 0 {
				checkGradient(t, "attention of "+x.name, loss, x.x, x.d)
			}
		}
	}
}

func TestAttentionSeesNoKey(t *testing.T) {
	nan := float32(math.NaN())
	y := []float32{nan, nan}
	s := &AttentionShape{Heads: 1, KeySize: 1, ValueSize: 1, LdQ: 1, LdK: 1, LdV: 1, LdY: 1, Scale: 1}
	Attention(s, []AttentionRows{{0, 2, 0, 0}}, []float32{1, 2}, nil, nil, y, make([]float32, 4), make([]float32, s.Scratch(false)))
	if y[0] != 0 || y[1] != 0 {
		t.Errorf("contexts of no key are %v", y)
	}
}

// A training step's attention at model sizes 64 and 256 with 4 heads, and a
// step's of decoding.
func BenchmarkAttention(b *testing.B) {
	rng := rand.New(rand.NewPCG(47, 48))
	for _, c := range []struct {
		name              string
		batch, T, S, size int
	}{{"train/16", 64, 20, 20, 16}, {"train/64", 64, 20, 20, 64}, {"step/16", 64, 1, 20, 16}, {"step/64", 64, 1, 20, 64}, {"long/64", 1, 4096, 4096, 64}} {
		const heads = 4
		width := heads * c.size
		s := &AttentionShape{Heads: heads, KeySize: c.size, ValueSize: c.size, LdQ: width, LdK: width, LdV: width, LdY: width, Scale: 0.25, MaxKeys: c.S}
		var rows []AttentionRows
		for i := range c.batch {
			rows = append(rows, AttentionRows{int32(i * c.T), int32(c.T), int32(i * c.S), int32(c.S)})
		}
		q, k, v := randomSlice[float32](rng, c.batch*c.T*width), randomSlice[float32](rng, c.batch*c.S*width), randomSlice[float32](rng, c.batch*c.S*width)
		y, stats := make([]float32, c.batch*c.T*width), make([]float32, c.batch*c.T*heads*2)
		dq, dk, dv := slices.Clone(q), slices.Clone(k), slices.Clone(v)
		scratch := make([]float32, s.Scratch(true))
		b.Run("forward/"+c.name, func(b *testing.B) {
			for b.Loop() {
				Attention(s, rows, q, k, v, y, stats, scratch)
			}
			report(b, c.batch*heads*c.T, c.S, 2*c.size)
		})
		if c.T > 1 {
			b.Run("backward/"+c.name, func(b *testing.B) {
				for b.Loop() {
					AttentionBackward(s, rows, q, k, v, y, stats, dq, dk, dv, scratch)
				}
				report(b, c.batch*heads*c.T, c.S, 5*c.size)
			})
		}
	}
}
