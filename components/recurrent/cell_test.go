package recurrent

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/kernel"
)

// cells is every cell with every option.
func cells() map[string]cell {
	all := map[string]cell{}
	for name, c := range map[string]cell{
		"rnn": {kind: rnn}, "relu": {kind: rnn, relu: true}, "lstm": {kind: lstm, forgetBias: 1},
		"gru": {kind: gru}, "gru, reset before": {kind: gru, resetBefore: true},
	} {
		all[name] = c
		c.LayerNorm = true
		all[name+", norms"] = c
	}
	return all
}

// unrolled is a layer with inputs and a first state that are parameters, so that
// a check of gradients reaches them.
type unrolled struct {
	layer    *layer
	x, h, c  *autodiff.Var
	spans    autodiff.Spans
	stateful bool
}

const testIn, testHidden = 3, 4

func newUnrolled(params *autodiff.Params, c cell, reverse, stateful bool, lengths ...int32) *unrolled {
	u := &unrolled{layer: newLayer(params, c, testIn, testHidden, reverse), stateful: stateful}
	total := int32(0)
	for _, length := range lengths {
		u.spans.Starts, u.spans.Lengths = append(u.spans.Starts, total), append(u.spans.Lengths, length)
		total += length
	}
	u.x = params.New("x", componenttest.Normal, int(total), testIn)
	u.h = params.New("h", componenttest.Normal, len(lengths), testHidden)
	u.c = params.New("c", componenttest.Normal, len(lengths), testHidden)
	rng := rand.New(rand.NewPCG(8, 9))
	for _, p := range params.All() { // biases and gains are not what they start as
		values := p.Float32s()
		for i := range values {
			values[i] += float32(0.3 * rng.NormFloat64())
		}
		if err := params.Set(p, values); err != nil {
			panic(err)
		}
	}
	return u
}

func (u *unrolled) start() (s state) {
	if u.stateful {
		s.h = u.h
		if u.layer.kind == lstm {
			s.c = u.c
		}
	}
	return s
}

type forwardFunc func(t *autodiff.Tape, x *autodiff.Var, p *packing, s state) (*autodiff.Var, state)

func (u *unrolled) results(t *autodiff.Tape, forward forwardFunc) []*autodiff.Var {
	y, end := forward(t, u.x, pack(t, u.spans), u.start())
	results := []*autodiff.Var{y, end.h}
	if end.c != nil {
		results = append(results, end.c)
	}
	return results
}

// What a layer makes of a batch of sequences is what one step after the other
// makes of each alone, to the bit, and so is what its general path makes of it.
func TestSteps(t *testing.T) {
	for name, c := range cells() {
		for _, reverse := range []bool{false, true} {
			for _, stateful := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/reverse=%v/stateful=%v", name, reverse, stateful), func(t *testing.T) {
					u := newUnrolled(autodiff.NewParams(autodiff.Float32, 1), c, reverse, stateful, 2, 0, 5, 3, 3)
					tape := autodiff.NewTape(autodiff.Float32)
					tape.Poison()
					tape.Reset(false, false)
					fused, general := u.results(tape, u.layer.forward), u.results(tape, u.layer.unrollSteps)
					for i, v := range fused {
						sameBits(t, "by itself and step by step", autodiff.Values[float32](v), autodiff.Values[float32](general[i]))
					}
					single := pack(tape, autodiff.SingleRows(tape, 1))
					for b := range u.spans.Batch() {
						start, length := u.spans.At(b)
						s := u.start().rows(tape, []int32{int32(b)})
						for step := range length {
							at := start + step
							if reverse {
								at = start + length - 1 - step
							}
							var y *autodiff.Var
							y, s = u.layer.forward(tape, autodiff.Rows(tape, u.x, []int32{int32(at)}), single, s)
							sameBits(t, "output", rowOf(fused[0], at), rowOf(y, 0))
						}
						if length == 0 {
							s = state{tape.Zero(1, testHidden), tape.Zero(1, testHidden)}
						}
						sameBits(t, "final hidden state", rowOf(fused[1], b), rowOf(s.h, 0))
						if c.kind == lstm {
							sameBits(t, "final cell state", rowOf(fused[2], b), rowOf(s.c, 0))
						}
					}
				})
			}
		}
	}
}

func rowOf(v *autodiff.Var, row int) []float32 {
	d := v.Dim(1)
	return autodiff.Values[float32](v)[row*d : (row+1)*d]
}

func sameBits[F kernel.Float](t *testing.T, what string, got, want []F) {
	t.Helper()
	for i, w := range want {
		if len(got) != len(want) || got[i] != w {
			t.Errorf("%s: %v, want %v", what, got, want)
			return
		}
	}
}

// The gradients of every cell, on both paths, with a first state and without, are
// those of finite differences.
func TestCellGradients(t *testing.T) {
	all := cells()
	for name, c := range all {
		c.RecurrentDropout = 0.4
		all[name+", dropout"] = c
	}
	for name, c := range all {
		for _, stateful := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stateful=%v", name, stateful), func(t *testing.T) {
				params := autodiff.NewParams(autodiff.Float64, 1)
				u := newUnrolled(params, c, true, stateful, 2, 0, 4, 3)
				for _, forward := range []forwardFunc{u.layer.forward, u.layer.unrollSteps} {
					componenttest.Grad(t, params, func(tape *autodiff.Tape) []*autodiff.Var {
						tape.Seed(7)
						return u.results(tape, forward)
					})
				}
				componenttest.Native(t, func(params *autodiff.Params) componenttest.Func {
					u := newUnrolled(params, c, true, stateful, 2, 0, 4, 3)
					return func(tape *autodiff.Tape) []*autodiff.Var {
						tape.Seed(7)
						return u.results(tape, u.layer.forward)
					}
				})
			})
		}
	}
}

// watch keeps what layers tell of themselves.
type watch struct {
	saturated map[string][2]int
	gradients map[int32][]float32 // by row
}

func (w *watch) Saturated(layer, gate string, saturated, of int) {
	sum := w.saturated[layer+"/"+gate]
	w.saturated[layer+"/"+gate] = [2]int{sum[0] + saturated, sum[1] + of}
}

func (w *watch) StateGradient(_ string, rows []int32, of int, gradient []float32) {
	for i, row := range rows {
		w.gradients[row] = slices.Clone(gradient[i*testHidden : (i+1)*testHidden])
	}
}

// Who looks sees the same on both paths: a layer in one entry, and step by step.
func TestObserved(t *testing.T) {
	for name, c := range cells() {
		t.Run(name, func(t *testing.T) {
			u := newUnrolled(autodiff.NewParams(autodiff.Float32, 1), c, false, true, 2, 0, 5, 3, 3)
			const states = 13
			var seen [2]watch
			for i, forward := range []forwardFunc{u.layer.forward, u.layer.unrollSteps} {
				seen[i] = watch{map[string][2]int{}, map[int32][]float32{}}
				tape := autodiff.NewTape(autodiff.Float32)
				tape.Observe(&seen[i])
				tape.Reset(false, true)
				results := u.results(tape, forward)
				fill := autodiff.Grad[float32](results[0])
				for j := range fill {
					fill[j] = float32(j%5) - 1
				}
				tape.Unwind()
				if n := len(seen[i].gradients); n != states {
					t.Errorf("path %d: gradients of %d states, want %d", i, n, states)
				}
				gates := c.gates()
				if c.relu {
					gates = 0
				}
				if n := len(seen[i].saturated); n != gates {
					t.Errorf("path %d: told of %d gates, want %d", i, n, gates)
				}
			}
			for gate, n := range seen[0].saturated {
				if n[1] != states*testHidden || n != seen[1].saturated[gate] {
					t.Errorf("%s: %v and step by step %v are saturated, of %d", gate, n, seen[1].saturated[gate], states*testHidden)
				}
			}
			for row, gradient := range seen[0].gradients {
				for j, g := range gradient {
					if other := seen[1].gradients[row][j]; math.Abs(float64(g-other)) > 1e-5*math.Max(1, math.Abs(float64(g))) {
						t.Errorf("row %d: gradient %v, step by step %v", row, gradient, seen[1].gradients[row])
						break
					}
				}
			}
		})
	}
}

// Recurrent dropout drops the same units of a sequence at all its steps: with U
// the identity and W zero, max(0, ·) counts the steps since a unit was dropped.
func TestRecurrentDropout(t *testing.T) {
	const p, hidden, steps = 0.5, 64, 4
	params := autodiff.NewParams(autodiff.Float32, 1)
	l := newLayer(params, cell{kind: rnn, relu: true, CellOptions: CellOptions{RecurrentDropout: p}}, 1, hidden, false)
	ones, identity := make([]float32, hidden), make([]float32, hidden*hidden)
	for i := range hidden {
		ones[i], identity[i*hidden+i] = 1, 1
	}
	for v, values := range map[*autodiff.Var][]float32{l.weightIH: make([]float32, hidden), l.weightHH: identity, l.biasIH: ones, l.biasHH: make([]float32, hidden)} {
		if err := params.Set(v, values); err != nil {
			t.Fatal(err)
		}
	}
	tape := autodiff.NewTape(autodiff.Float32)
	for _, training := range []bool{true, false} {
		tape.Reset(training, false)
		tape.Seed(5)
		x := tape.Zero(2*steps, 1)
		y, _ := l.forward(tape, x, pack(tape, autodiff.Spans{Starts: []int32{0, steps}, Lengths: []int32{steps, steps}}), state{})
		dropped := [2]int{}
		for b := range 2 {
			for unit := range hidden {
				want, scale := float32(1), float32(1)
				if training {
					scale = 1 / (1 - p)
					if rowOf(y, b*steps+1)[unit] == 1 {
						scale, dropped[b] = 0, dropped[b]+1
					}
				}
				for step := range steps {
					if got := rowOf(y, b*steps+step)[unit]; got != want {
						t.Fatalf("training %v, row %d: unit %d is %v at step %d, want %v", training, b, unit, got, step, want)
					}
					want = 1 + want*scale
				}
			}
			if training && math.Abs(float64(dropped[b])-hidden*p) > hidden*p/2 {
				t.Errorf("row %d: %d of %d units are dropped", b, dropped[b], hidden)
			}
		}
	}
}

// A layer over 64 sequences of 20 steps, forward and backward.
func BenchmarkLayer(b *testing.B) {
	const batch, length = 64, 20
	spans := autodiff.Spans{}
	for i := range batch {
		spans.Starts, spans.Lengths = append(spans.Starts, int32(i*length)), append(spans.Lengths, length)
	}
	for _, hidden := range []int{64, 128, 256, 512} {
		for _, c := range []struct {
			name string
			cell cell
		}{
			{"rnn", cell{kind: rnn}}, {"lstm", cell{kind: lstm}}, {"gru", cell{kind: gru}}, {"gru_before", cell{kind: gru, resetBefore: true}},
		} {
			for _, option := range []struct {
				name string
				CellOptions
			}{{"plain", CellOptions{}}, {"layer_norm", CellOptions{LayerNorm: true}}, {"recurrent_dropout", CellOptions{RecurrentDropout: 0.3}}} {
				b.Run(fmt.Sprintf("%d/%s/%s", hidden, c.name, option.name), func(b *testing.B) {
					c.cell.CellOptions = option.CellOptions
					params, tape := autodiff.NewParams(autodiff.Float32, 1), autodiff.NewTape(autodiff.Float32)
					l := newLayer(params, c.cell, hidden, hidden, false)
					values := make([]float32, batch*length*hidden)
					for i := range values {
						values[i] = float32(i%7) - 3
					}
					step := func() {
						tape.Reset(true, true)
						params.ZeroGrad(tape)
						x := tape.Input(values, batch*length, hidden)
						y, _ := l.forward(tape, x, pack(tape, spans), state{})
						copy(autodiff.Grad[float32](y), values)
						tape.Unwind()
						params.Changed()
					}
					step()
					b.ReportAllocs()
					for b.Loop() {
						step()
					}
					b.ReportMetric(float64(b.N*batch*length)/b.Elapsed().Seconds(), "tokens/s")
				})
			}
		}
	}
}
