package autodiff_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"exp/components/autodiff"
	"exp/components/componenttest"
)

type in = func(name string, dims ...int) *autodiff.Var

// inTurn is sequences of these lengths, one after the other.
func inTurn(lengths ...int32) autodiff.Spans {
	s := autodiff.Spans{Lengths: lengths}
	next := int32(0)
	for _, length := range lengths {
		s.Starts = append(s.Starts, next)
		next += length
	}
	return s
}

// terms is the terms of additive attention of x.
func terms(tape *autodiff.Tape, x *autodiff.Var) *autodiff.Var {
	x = autodiff.Scale(tape, x, 1)
	autodiff.AdditiveTerms(tape, x)
	return x
}

// relativeAttention is attention in steps with every term that it may have, of
// two heads.
func relativeAttention(tape *autodiff.Tape, in in, d autodiff.Distances, causal bool) (context, weights *autodiff.Var) {
	q, k, v := autodiff.Columns{Var: in("q", 7, 6), From: 1}, autodiff.Columns{Var: in("k", 7, 4)}, autodiff.Columns{Var: in("v", 7, 5), From: 1}
	spans := inTurn(4, 0, 3)
	w := autodiff.DotScores(tape, q, k, spans, spans, autodiff.Heads{Num: 2, KeySize: 2})
	autodiff.AddRelativeScores(tape, w, q, in("a", d.Rows(), 2), spans, spans, d)
	autodiff.SoftmaxKeys(tape, w, spans, spans, 0.7, causal)
	y := autodiff.WeightedSum(tape, w, v, spans, spans, 7, 2)
	autodiff.AddRelativeValues(tape, y, w, in("b", d.Rows(), 2), spans, spans, d)
	return y, w
}

// Every operation against finite differences.
func TestGradients(t *testing.T) {
	type results = []*autodiff.Var
	cases := map[string]func(tape *autodiff.Tape, in in) results{
		"linear": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Linear(tape, in("x", 2, 3, 5), in("w", 4, 5), in("b", 4))}
		},
		"linear without bias": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Linear(tape, in("x", 3, 5), in("w", 4, 5), nil)}
		},
		"linear of columns": func(tape *autodiff.Tape, in in) results {
			w := in("w", 4, 5)
			y := autodiff.LinearColumns(tape, in("x", 2, 3, 2), autodiff.Columns{Var: w, From: 1}, in("b", 4))
			autodiff.AddLinear(tape, y, in("z", 2, 3, 3), autodiff.Columns{Var: w, From: 2})
			return results{y}
		},
		"linear in a loop": func(tape *autodiff.Tape, in in) results {
			x, w, u, b := autodiff.Tanh(tape, in("x", 6, 5)), in("w", 4, 5), in("u", 4, 9), in("b", 4)
			h := autodiff.Tanh(tape, in("h", 3, 4))
			tape.EnterLoop()
			for step := range 2 { // of three rows, then of two
				y := autodiff.Linear(tape, x.Part(3*step, 3-step), w, b)
				autodiff.AddLinear(tape, y, h.Part(0, 3-step), autodiff.Columns{Var: u, From: 3})
				h = autodiff.Tanh(tape, y)
			}
			tape.LeaveLoop()
			return results{h, autodiff.Linear(tape, x, w, nil)}
		},
		"linear in a loop, of rows that lie apart": func(tape *autodiff.Tape, in in) results {
			x, w, all := autodiff.Tanh(tape, in("x", 9, 3)), in("w", 2, 3), tape.New(9, 2)
			tape.EnterLoop()
			for step, at := range []int{0, 3, 7} { // the last two rows, then those before
				autodiff.WriteLinear(tape, all.Part(at, 3-min(step, 1)), x.Part(at, 3-min(step, 1)), autodiff.Columns{Var: w}, nil)
			}
			tape.LeaveLoop()
			return results{autodiff.Tanh(tape, all.Part(0, 5)), autodiff.Scale(tape, all.Part(7, 2), 2)}
		},
		"part": func(tape *autodiff.Tape, in in) results {
			x := autodiff.Tanh(tape, in("x", 4, 2, 3))
			return results{autodiff.Tanh(tape, x.Part(1, 2)), autodiff.Scale(tape, x, 2), autodiff.Scale(tape, x.Part(2, 2).Part(1, 1), 3)}
		},
		"rotate": func(tape *autodiff.Tape, in in) results {
			x := autodiff.Scale(tape, in("x", 7, 9), 1)
			angles := tape.Constant([]float32{0.1, 0.9, -0.5, 0.2, 0.7, 0.6, -0.3, 0.8, 0.4, -0.6, 1, 0, 0.2, 0.3, 0.5, 0.1}, 4, 4)
			autodiff.Rotate(tape, autodiff.Columns{Var: x, From: 1}, 2, angles, inTurn(3, 0, 3), 1)
			return results{x}
		},
		"relative attention": func(tape *autodiff.Tape, in in) results {
			y, w := relativeAttention(tape, in, autodiff.Distances{Behind: 2, Ahead: 1}, false)
			return results{y, w}
		},
		"causal relative attention": func(tape *autodiff.Tape, in in) results {
			y, w := relativeAttention(tape, in, autodiff.Distances{Behind: 2}, true)
			return results{y, w}
		},
		"additive scores": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 0, 2), inTurn(2, 3, 4)
			w := autodiff.AdditiveScores(tape, terms(tape, in("q", 5, 3)), terms(tape, in("k", 9, 3)), in("v", 3), queries, keys)
			autodiff.SoftmaxKeys(tape, w, queries, keys, 0.7, false)
			return results{w}
		},
		"coverage": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 0, 2), inTurn(2, 3, 4)
			c := autodiff.Coverage{Sum: autodiff.Sigmoid(tape, in("c", 3, 2, 5)), Loss: tape.Zero(1), LossWeight: 0.6, Temperature: 0.8}
			w := autodiff.DotScores(tape, autodiff.Columns{Var: in("q", 5, 4)}, autodiff.Columns{Var: in("k", 9, 4)}, queries, keys, autodiff.Heads{Num: 2, KeySize: 2})
			u := in("u", 2)
			c.Sum = autodiff.CoverSoftmax(tape, w, u, 0.7, queries, keys, c)
			more := autodiff.DotScores(tape, autodiff.Columns{Var: in("more", 5, 4)}, autodiff.Columns{Var: in("k2", 9, 4)}, queries, keys, autodiff.Heads{Num: 2, KeySize: 2})
			return results{w, more, autodiff.CoverSoftmax(tape, more, u, 0.5, queries, keys, c), c.Loss}
		},
		"coverage without loss": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 2), inTurn(2, 4)
			w := autodiff.Scale(tape, in("scores", 2, 1, 3, 4), 1)
			autodiff.CoverSoftmax(tape, w, in("u", 1), 1, queries, keys, autodiff.Coverage{Sum: tape.Zero(2, 1, 4), Temperature: 1})
			return results{autodiff.WeightedSum(tape, w, autodiff.Columns{Var: in("v", 6, 3)}, queries, keys, 5, 3)}
		},
		"additive coverage": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 0, 2), inTurn(2, 3, 4)
			c := autodiff.Coverage{Sum: autodiff.Sigmoid(tape, in("c", 3, 1, 5)), Loss: tape.Zero(1), LossWeight: 0.6, Temperature: 0.8}
			w, after := autodiff.CoverAdditive(tape, terms(tape, in("q", 5, 3)), in("k", 9, 3), in("v", 3), in("u", 3), queries, keys, c)
			return results{w, after, c.Loss}
		},
		"place weights": func(tape *autodiff.Tape, in in) results {
			all := tape.Zero(3, 2, 2, 4)
			autodiff.PlaceWeights(tape, all, in("first", 3, 2, 1, 4), []int32{2, 0, 1}, 0)
			autodiff.PlaceWeights(tape, all, in("second", 2, 2, 1, 3), []int32{2, 0}, 1)
			return results{all}
		},
		"pointer": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 1, 2), inTurn(3, 0, 2)
			weights := autodiff.Scale(tape, in("w", 3, 2, 3, 3), 1)
			autodiff.SoftmaxKeys(tape, weights, queries, keys, 1, false)
			p := autodiff.Pointer{
				Logits: in("logits", 6, 5), Gate: in("gate", 6, 1), Weights: weights,
				Queries: queries, Keys: keys, Columns: []int32{5, 2, 5, 4, 5}, Width: 6,
			}
			targets := []int32{5, 2, 0, 3, 4, 5}
			return results{autodiff.PointerCrossEntropy(tape, p, targets, 0), autodiff.PointerCrossEntropy(tape, p, targets, 0.3)}
		},
		"select": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Select(tape, in("x", 3, 2, 2), []int32{2, 0, 2, -1})}
		},
		"scatter": func(tape *autodiff.Tape, in in) results {
			y := tape.Zero(2, 3, 4)
			a := autodiff.Tanh(tape, in("a", 3, 4))
			autodiff.Scatter(tape, y, a, []int32{5, 0, 2})
			autodiff.Scatter(tape, y, in("b", 2, 4), []int32{3, 1})
			return results{y, autodiff.Scale(tape, a, 2)}
		},
		"add": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Add(tape, in("a", 2, 3), in("b", 2, 3))}
		},
		"add to itself": func(tape *autodiff.Tape, in in) results {
			a := in("a", 2, 3)
			return results{autodiff.Add(tape, a, a)}
		},
		"mul": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Mul(tape, in("a", 2, 3), in("b", 2, 3))}
		},
		"scale": func(tape *autodiff.Tape, in in) results { return results{autodiff.Scale(tape, in("x", 2, 3), -1.7)} },
		"scale in place": func(tape *autodiff.Tape, in in) results {
			x := in("x", 2, 3)
			y := autodiff.Mul(tape, x, x)
			autodiff.ScaleInPlace(tape, y, -1.7)
			return results{y}
		},
		"add to rows": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.AddToRows(tape, in("x", 5, 4), in("a", 3, 4), inTurn(3, 0, 2))}
		},
		"add steps": func(tape *autodiff.Tape, in in) results {
			x := autodiff.Scale(tape, in("x", 5, 4), 2)
			autodiff.AddSteps(tape, x, in("table", 6, 4), inTurn(3, 0, 2), 2)
			return results{x}
		},
		"tanh":    func(tape *autodiff.Tape, in in) results { return results{autodiff.Tanh(tape, in("x", 2, 7))} },
		"sigmoid": func(tape *autodiff.Tape, in in) results { return results{autodiff.Sigmoid(tape, in("x", 2, 7))} },
		"relu":    func(tape *autodiff.Tape, in in) results { return results{autodiff.ReLU(tape, in("x", 2, 7))} },
		"gelu":    func(tape *autodiff.Tape, in in) results { return results{autodiff.GELU(tape, in("x", 2, 7))} },
		"layer norm": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.LayerNorm(tape, in("x", 3, 6), in("gain", 6), in("bias", 6), 1e-5)}
		},
		"layer norm, forgotten": func(tape *autodiff.Tape, in in) results {
			x := autodiff.LayerNorm(tape, in("x", 3, 6), in("gain", 6), in("bias", 6), 1e-5)
			y := autodiff.Mul(tape, x, autodiff.Sigmoid(tape, x))
			tape.Forget(x)
			return results{y, autodiff.Tanh(tape, in("z", 3, 6))} // in the memory of x, maybe
		},
		"feed forward": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.FeedForward(tape, in("x", 130, 2), in("w1", 3, 2), in("b1", 3), in("w2", 2, 3), in("b2", 2))} // more rows than a block
		},
		"feed forward, of what others have too": func(tape *autodiff.Tape, in in) results {
			x := autodiff.Scale(tape, in("x", 5, 2), 2)
			return results{autodiff.FeedForward(tape, x, in("w1", 3, 2), in("b1", 3), in("w2", 4, 3), in("b2", 4)), autodiff.Tanh(tape, x)}
		},
		"dropout": func(tape *autodiff.Tape, in in) results {
			tape.Seed(7)
			x := in("x", 4, 8)
			return results{autodiff.Dropout(tape, autodiff.Dropout(tape, x, 0.3), 0.2)}
		},
		"dropout, a mask a sequence": func(tape *autodiff.Tape, in in) results {
			tape.Seed(7)
			return results{autodiff.DropoutSequences(tape, in("x", 7, 4), autodiff.Spans{Starts: []int32{4, 0, 7}, Lengths: []int32{3, 4, 0}}, 0.4)}
		},
		"dropout, of one mask twice": func(tape *autodiff.Tape, in in) results {
			tape.Seed(7)
			mask := autodiff.NewMask(tape, 12, 0.4)
			return results{autodiff.Drop(tape, in("x", 3, 4), mask), autodiff.Drop(tape, in("y", 2, 4), mask)}
		},
		"embed": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Embed(tape, in("table", 5, 3), []int32{4, 0, 4, 1})}
		},
		"rows": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Rows(tape, in("x", 2, 3, 4), []int32{5, -1, 0, 5})}
		},
		"concat": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.Concat(tape, in("a", 2, 2, 3), in("b", 2, 2, 1))}
		},
		"slice": func(tape *autodiff.Tape, in in) results {
			x := in("x", 2, 2, 5)
			return results{autodiff.Slice(tape, autodiff.Columns{Var: x, From: 1}, 3), autodiff.Slice(tape, autodiff.Columns{Var: x, From: 3}, 2)}
		},
		"mean rows": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.MeanRows(tape, in("x", 7, 2), autodiff.Spans{Starts: []int32{0, 5, 3}, Lengths: []int32{4, 0, 3}})}
		},
		"reshape": func(tape *autodiff.Tape, in in) results {
			x := autodiff.Tanh(tape, in("x", 2, 6))
			return results{autodiff.Tanh(tape, x.Reshape(3, 4)), autodiff.Sigmoid(tape, x)}
		},
		"cross entropy": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.CrossEntropy(tape, in("logits", 3, 5), []int32{4, 0, 2}, 0)}
		},
		"cross entropy, smoothed": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.CrossEntropy(tape, in("logits", 3, 5), []int32{4, 0, 2}, 0.2)}
		},
		"add to": func(tape *autodiff.Tape, in in) results {
			x := in("x", 2, 3)
			y, z := autodiff.Scale(tape, x, 2), autodiff.Scale(tape, x, 3)
			autodiff.AddTo(tape, y, z)                                       // z's first gradient
			autodiff.AddTo(tape, y, x)                                       // not x's first
			autodiff.AddTo(tape, y, tape.Constant(make([]float32, 6), 2, 3)) // takes none
			return results{autodiff.Tanh(tape, y), z}
		},
		"activate in place": func(tape *autodiff.Tape, in in) results {
			x := in("x", 2, 3)
			y, z := autodiff.Scale(tape, x, 2), autodiff.Scale(tape, x, 3)
			autodiff.ActivateInPlace(tape, y, autodiff.TanhActivation)
			autodiff.ActivateInPlace(tape, z, autodiff.ReLUActivation)
			return results{y, z}
		},
		"linear cross entropy": func(tape *autodiff.Tape, in in) results {
			return results{autodiff.LinearCrossEntropy(tape, in("x", 3, 4), in("w", 5, 4), in("b", 5), []int32{4, 0, 2}, 0.2)}
		},
		"linear cross-entropy in blocks": func(tape *autodiff.Tape, in in) results {
			targets := make([]int32, 130)
			for i := range targets {
				targets[i] = int32(i % 3)
			}
			return results{autodiff.LinearCrossEntropy(tape, in("x", 130, 2), in("w", 3, 2), in("b", 3), targets, 0.2)}
		},
		"attention": func(tape *autodiff.Tape, in in) results {
			y, _ := autodiff.ScaledDotProduct(tape, autodiff.Columns{Var: in("q", 5, 6)}, autodiff.Columns{Var: in("k", 8, 6)},
				autodiff.Columns{Var: in("v", 8, 4)}, inTurn(3, 2), autodiff.Spans{Starts: []int32{1, 4}, Lengths: []int32{4, 2}}, autodiff.Heads{Num: 2, KeySize: 3, ValueSize: 2, Scale: 0.6})
			return results{y}
		},
		"causal attention of columns": func(tape *autodiff.Tape, in in) results {
			all := in("all", 7, 12)
			at := func(from int) autodiff.Columns { return autodiff.Columns{Var: all, From: from} }
			y, _ := autodiff.ScaledDotProduct(tape, at(0), at(4), at(8), inTurn(3, 4), inTurn(3, 4), autodiff.Heads{Num: 2, KeySize: 2, ValueSize: 2, Scale: 1, Causal: true})
			return results{y}
		},
		"attention to nothing": func(tape *autodiff.Tape, in in) results {
			y, _ := autodiff.ScaledDotProduct(tape, autodiff.Columns{Var: in("q", 2, 2)}, autodiff.Columns{Var: in("k", 2, 2)},
				autodiff.Columns{Var: in("v", 2, 2)}, inTurn(1, 1), inTurn(0, 2), autodiff.Heads{Num: 1, KeySize: 2, ValueSize: 2, Scale: 1})
			return results{y}
		},
		"constant operands": func(tape *autodiff.Tape, in in) results {
			x, c := in("x", 2, 2), tape.Constant([]float32{3, -1, 2, 0.5}, 2, 2)
			row, v := tape.Constant([]float32{1, 2}, 1, 2), tape.Constant([]float32{2, -1}, 2)
			heads := autodiff.Heads{Num: 1, KeySize: 2, ValueSize: 2, Scale: 1}
			columns := func(v *autodiff.Var) autodiff.Columns { return autodiff.Columns{Var: v} }
			attend := func(q, k, v *autodiff.Var) *autodiff.Var {
				y, _ := autodiff.ScaledDotProduct(tape, columns(q), columns(k), columns(v), inTurn(2), inTurn(2), heads)
				return y
			}
			two := inTurn(2)
			additive := func(q, k, v, values *autodiff.Var) *autodiff.Var {
				y, _ := autodiff.AdditiveAttention(tape, terms(tape, q), terms(tape, k), v, values, two, two)
				return y
			}
			return results{
				autodiff.Add(tape, x, c), autodiff.Mul(tape, c, x), autodiff.Concat(tape, c, x), autodiff.Concat(tape, x, c),
				autodiff.AddToRows(tape, c, in("a", 1, 2), two), autodiff.AddToRows(tape, x, row, two),
				autodiff.Linear(tape, c, in("w", 3, 2), in("b", 3)),
				autodiff.LayerNorm(tape, c, in("gain", 2), in("bias", 2), 1e-5),
				attend(x, c, c), attend(c, x, c), attend(c, c, x),
				additive(x, c, v, c), additive(c, x, v, c), additive(c, c, in("v", 2), c), additive(c, c, v, x),
			}
		},
		"constants alone": func(tape *autodiff.Tape, in in) results {
			c, two := tape.Constant([]float32{3, -1, 2, 0.5}, 2, 2), inTurn(2)
			return results{
				in("x", 2), // without which all gradients were zero
				autodiff.Scale(tape, c, 2), autodiff.Tanh(tape, c), autodiff.Dropout(tape, c, 0.5), autodiff.Rows(tape, c, []int32{1}),
				autodiff.MeanRows(tape, c, two), autodiff.CrossEntropy(tape, c, []int32{0, 1}, 0.1),
				autodiff.LinearCrossEntropy(tape, c, in("w", 3, 2), in("b", 3), []int32{0, 1}, 0.1),
				autodiff.AddToRows(tape, c, tape.Constant([]float32{1, 2}, 1, 2), two),
			}
		},
		"attention to no key": func(tape *autodiff.Tape, in in) results {
			columns := func(v *autodiff.Var, from int) autodiff.Columns { return autodiff.Columns{Var: v, From: from} }
			memory, queries, none := in("memory", 0, 8), inTurn(3, 2), inTurn(0, 0)
			y, _ := autodiff.ScaledDotProduct(tape, columns(in("q", 5, 4), 0), columns(memory, 0), columns(memory, 4),
				queries, none, autodiff.Heads{Num: 2, KeySize: 2, ValueSize: 2, Scale: 1})
			z, _ := autodiff.AdditiveAttention(tape, terms(tape, in("q", 5, 4)), terms(tape, in("keys", 0, 4)), in("v", 4), in("values", 0, 3), queries, none)
			return results{y, z, in("x", 2)} // x: without it all gradients were zero
		},
		"additive attention to itself": func(tape *autodiff.Tape, in in) results {
			x, spans := in("x", 5, 5), inTurn(2, 3)
			same := terms(tape, x)
			y, _ := autodiff.AdditiveAttention(tape, same, same.Reshape(5, 5), in("v", 5), x, spans, spans)
			return results{y}
		},
		"additive attention": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(3, 0, 2), autodiff.Spans{Starts: []int32{1, 0, 2}, Lengths: []int32{2, 1, 4}} // which overlap
			y, _ := autodiff.AdditiveAttention(tape, terms(tape, in("q", 5, 5)), terms(tape, in("k", 6, 5)), in("v", 5), in("values", 6, 3), queries, keys)
			return results{y}
		},
		"additive attention in blocks": func(tape *autodiff.Tape, in in) results {
			queries, keys := inTurn(35), inTurn(2)
			y, _ := autodiff.AdditiveAttention(tape, terms(tape, in("q", 35, 1)), terms(tape, in("k", 2, 1)), in("v", 1), in("values", 2, 1), queries, keys)
			return results{y}
		},
		"additive attention in a loop": func(tape *autodiff.Tape, in in) results {
			// Of three steps the last has fewer sequences; their keys lie in another order.
			h, k, v, values := autodiff.Tanh(tape, in("q", 3, 5)), terms(tape, in("k", 6, 5)), in("v", 5), autodiff.Tanh(tape, in("values", 6, 5))
			keys := autodiff.Spans{Starts: []int32{2, 6, 0}, Lengths: []int32{4, 0, 2}}
			var states results
			tape.EnterLoop()
			for _, n := range []int{3, 3, 1} {
				y, _ := autodiff.AdditiveAttention(tape, terms(tape, h.Part(0, n)), k, v, values, autodiff.SingleRows(tape, n), keys.First(n))
				h = autodiff.Tanh(tape, y)
				states = append(states, h)
			}
			tape.LeaveLoop()
			return append(states, values)
		},
		"attention to values that are the keys": func(tape *autodiff.Tape, in in) results {
			memory := autodiff.Columns{Var: in("memory", 7, 3)}
			y, _ := autodiff.ScaledDotProduct(tape, autodiff.Columns{Var: in("q", 9, 3)}, memory, memory, inTurn(5, 4), inTurn(3, 4), autodiff.Heads{Num: 1, KeySize: 3, ValueSize: 3, Scale: 0.6})
			return results{y}
		},
	}
	reached := map[string]bool{}
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			// bind declares the inputs of f in a set.
			bind := func(params *autodiff.Params) componenttest.Func {
				get := func(name string, dims ...int) *autodiff.Var {
					if v := params.Lookup(name); v != nil {
						return v
					}
					return params.New(name, componenttest.AwayFromZero, dims...)
				}
				tape := autodiff.NewTape(params.DType())
				tape.Reset(true, true)
				f(tape, get)
				for _, op := range autodiff.Ops(tape) {
					reached[op] = true
				}
				return func(tape *autodiff.Tape) []*autodiff.Var { return f(tape, get) }
			}
			params := autodiff.NewParams(autodiff.Float64, 3)
			componenttest.Grad(t, params, bind(params))
			componenttest.Native(t, bind)
		})
	}
	for _, op := range operations(t) {
		if !reached[op] {
			t.Errorf("no case records a %s", op)
		}
	}
}

// operations returns the types of this package's source that have a Backward.
func operations(t *testing.T) []string {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range backwardMethod.FindAllSubmatch(source, -1) {
			names = append(names, string(m[1]))
		}
	}
	if len(names) == 0 {
		t.Fatal("found no Backward method in the source")
	}
	return names
}

var backwardMethod = regexp.MustCompile(`(?m)^func \(op \*(\w+)\[F\]\) Backward\(\)`)
