package componenttest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// vocabulary is the size of both vocabularies of the models under test.
const vocabulary = 11

// pairs returns pairs of several lengths, an empty source and an empty target
// among them.
func pairs() []components.Pair {
	return []components.Pair{
		{Source: []int32{4, 9, 6, 10}, Target: []int32{5, 8, 4}},
		{Source: []int32{7}, Target: nil},
		{Source: []int32{5, 8, 5}, Target: []int32{9, 9, 10, 6}},
		{Source: nil, Target: []int32{7, 5}},
	}
}

// Model holds the model that parts make to the contracts of package components.
// All comparisons between two ways to the same number are of bits: every
// element of a kernel's result depends on its own row alone.
func Model(t *testing.T, parts components.Parts) {
	modelSuite(t, parts, gradSamples)
}

func modelSuite(t *testing.T, parts components.Parts, samples int) {
	s := subject{parts}
	t.Run("shapes", s.shapes)
	t.Run("padding", s.padding)
	t.Run("alone", s.alone)
	t.Run("future", s.future)
	t.Run("stepping", s.stepping)
	t.Run("selecting", s.selecting)
	t.Run("weights", s.weights)
	t.Run("seed", s.seed)
	t.Run("poison", s.poison)
	t.Run("parameters", s.parameters)
	t.Run("gradients", func(t *testing.T) {
		params := autodiff.NewParams(autodiff.Float64, 1)
		if err := checkGrad(params, s.results(t, params), samples); err != nil {
			t.Error(err)
		}
		Native(t, func(p *autodiff.Params) Func { return s.results(t, p) })
	})
	t.Run("allocations", s.allocations)
}

// subject is a model under test.
type subject struct{ parts components.Parts }

// build makes the model at a point where nothing is zero by initialisation.
func (s subject) build(t testing.TB, params *autodiff.Params) *components.Model {
	t.Helper()
	m, err := components.NewModel(s.parts, params, vocabulary, vocabulary)
	if err != nil {
		t.Fatalf("the parts do not fit: %v", err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, p := range params.All() {
		values := p.Float32s()
		for i := range values {
			values[i] += float32(0.2 * rng.NormFloat64())
		}
		if err := params.Set(p, values); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func (s subject) native(t testing.TB) *components.Model {
	t.Helper()
	return s.build(t, autodiff.NewParams(autodiff.Float32, 1))
}

// results is everything that a model computes of a batch, dropout included.
func (s subject) results(t testing.TB, params *autodiff.Params) Func {
	m := s.build(t, params)
	batch := batchOf(pairs())
	return func(tape *autodiff.Tape) []*autodiff.Var {
		tape.Seed(7)
		memory := m.Encoder.Encode(tape, batch.Source)
		decoded := m.Decoder.Decode(tape, memory, batch.TargetIn)
		results := []*autodiff.Var{memory.States, m.Output.Forward(tape, decoded.States)}
		for _, final := range memory.Final {
			results = append(results, final.Hidden)
			if final.Cell != nil {
				results = append(results, final.Cell)
			}
		}
		return results
	}
}

func batchOf(pairs []components.Pair) *components.Batch {
	b := &components.Batch{}
	b.Fill(pairs)
	return b
}

// outputs is what a model makes of a batch, copied.
type outputs struct {
	memory, hidden, cell [][]float32   // a row of the batch, its valid steps or all layers
	states, logits       [][][]float32 // [row][valid step]
	weights              [][][]float32 // [row][valid step]: of every head, the valid keys
}

// outputs runs the model on its own tape. Not recording, in evaluation.
func (s subject) outputs(m *components.Model, b *components.Batch) outputs {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	memory := m.Encoder.Encode(tape, b.Source)
	decoded := m.Decoder.Decode(tape, memory, b.TargetIn)
	logits := m.Output.Forward(tape, decoded.States)

	var o outputs
	for row, length := range b.Source.Lengths {
		o.memory = append(o.memory, slices.Concat(steps(memory.States, row, length)...))
		var hidden, cell []float32
		for _, final := range memory.Final {
			hidden = append(hidden, rowOf(final.Hidden, row)...)
			if final.Cell != nil {
				cell = append(cell, rowOf(final.Cell, row)...)
			}
		}
		o.hidden, o.cell = append(o.hidden, hidden), append(o.cell, cell)
	}
	for row, length := range b.TargetIn.Lengths {
		o.states = append(o.states, steps(decoded.States, row, length))
		o.logits = append(o.logits, steps(logits, row, length))
		if decoded.Weights != nil {
			o.weights = append(o.weights, weightsOf(decoded.Weights, row, length, b.Source.Lengths[row]))
		}
	}
	return o
}

// steps returns the first length steps of row of v [B, T, D].
func steps(v *autodiff.Var, row int, length int32) [][]float32 {
	d, all := v.Dim(2), v.Float32s()
	var out [][]float32
	for step := range int(length) {
		at := (row*v.Dim(1) + step) * d
		out = append(out, all[at:at+d])
	}
	return out
}

func rowOf(v *autodiff.Var, row int) []float32 {
	d := v.Dim(1)
	return v.Float32s()[row*d : (row+1)*d]
}

// weightsOf returns, of row of weights [B, N, T, S], for each of the first
// length steps the first keys weights of every head.
func weightsOf(v *autodiff.Var, row int, length, keys int32) [][]float32 {
	heads, T, S, all := v.Dim(1), v.Dim(2), v.Dim(3), v.Float32s()
	out := make([][]float32, length)
	for step := range out {
		for n := range heads {
			at := ((row*heads+n)*T + step) * S
			out[step] = append(out[step], all[at:at+int(keys)]...)
		}
	}
	return out
}

// same fails where two vectors differ in a bit, or one has a NaN.
func same(t testing.TB, what string, got, want []float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d elements, want %d", what, len(got), len(want))
		return
	}
	for i, w := range want {
		if got[i] != w {
			t.Errorf("%s: element %d is %v, want %v", what, i, got[i], w)
			return
		}
	}
}

// sameSteps is same over the steps that both have.
func sameSteps(t testing.TB, what string, got, want [][]float32) {
	t.Helper()
	for i := range min(len(got), len(want)) {
		same(t, what, got[i], want[i])
	}
}

// sameRow compares what two batches make of one pair.
func sameRow(t testing.TB, got outputs, i int, want outputs, j int) {
	t.Helper()
	same(t, "memory", got.memory[i], want.memory[j])
	same(t, "final hidden state", got.hidden[i], want.hidden[j])
	same(t, "final cell state", got.cell[i], want.cell[j])
	sameSteps(t, "states", got.states[i], want.states[j])
	sameSteps(t, "logits", got.logits[i], want.logits[j])
	if got.weights != nil {
		sameSteps(t, "weights", got.weights[i], want.weights[j])
	}
}

// Padding, on either side, changes no valid output.
func (s subject) padding(t *testing.T) {
	m, batch := s.native(t), batchOf(pairs())
	padded := &components.Batch{Source: pad(batch.Source, 3), TargetIn: pad(batch.TargetIn, 2)}
	want, got := s.outputs(m, batch), s.outputs(m, padded)
	for row := range batch.Source.Batch {
		sameRow(t, got, row, want, row)
	}
}

func pad(s components.Sequences, by int) components.Sequences {
	wide := components.Sequences{Lengths: s.Lengths, Batch: s.Batch, Steps: s.Steps + by}
	for row := range s.Batch {
		wide.Tokens = append(wide.Tokens, s.Tokens[row*s.Steps:(row+1)*s.Steps]...)
		wide.Tokens = append(wide.Tokens, make([]int32, by)...)
	}
	return wide
}

// A row alone gives what it gives in a batch.
func (s subject) alone(t *testing.T) {
	m := s.native(t)
	want := s.outputs(m, batchOf(pairs()))
	for row := range pairs() {
		got := s.outputs(m, batchOf(pairs()[row:row+1]))
		sameRow(t, got, 0, want, row)
	}
}

// Targets after a step do not move its logits; those at the step do.
func (s subject) future(t *testing.T) {
	m, batch := s.native(t), batchOf(pairs())
	want := s.outputs(m, batch)
	for step := 1; step < batch.TargetIn.Steps; step++ {
		other := batchOf(pairs())
		for row, length := range other.TargetIn.Lengths {
			for later := step; later < int(length); later++ {
				at := row*other.TargetIn.Steps + later
				other.TargetIn.Tokens[at] = components.NumSpecial + (other.TargetIn.Tokens[at]-components.NumSpecial+1)%(vocabulary-components.NumSpecial)
			}
		}
		got := s.outputs(m, other)
		for row, length := range batch.TargetIn.Lengths {
			before := min(step, int(length))
			sameSteps(t, "logits before the change", got.logits[row][:before], want.logits[row][:before])
			if step < int(length) && slices.Equal(got.logits[row][step], want.logits[row][step]) {
				t.Errorf("row %d: another target token %d does not move the logits of that step", row, step)
			}
		}
	}
}

// Start and Step give what the teacher-forced pass gives.
func (s subject) stepping(t *testing.T) {
	m, batch := s.native(t), batchOf(pairs())
	want := s.outputs(m, batch)
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	state := m.Decoder.Start(tape, m.Encoder.Encode(tape, batch.Source))
	in := batch.TargetIn
	tokens := components.Sequences{Tokens: make([]int32, in.Batch), Lengths: make([]int32, in.Batch), Batch: in.Batch, Steps: 1}
	for step := range in.Steps {
		for row := range in.Batch {
			tokens.Tokens[row], tokens.Lengths[row] = in.Tokens[row*in.Steps+step], 1
		}
		decoded := m.Decoder.Step(tape, state, tokens)
		for row, length := range in.Lengths {
			if step >= int(length) {
				continue
			}
			same(t, "states", steps(decoded.States, row, 1)[0], want.states[row][step])
			if (decoded.Weights != nil) != (want.weights != nil) {
				t.Fatal("only one of the passes returns weights")
			}
			if decoded.Weights != nil {
				same(t, "weights", weightsOf(decoded.Weights, row, 1, batch.Source.Lengths[row])[0], want.weights[row][step])
			}
		}
	}
}

// A row that was selected goes on as it would have without.
func (s subject) selecting(t *testing.T) {
	m, batch := s.native(t), batchOf(pairs())
	in := batch.TargetIn
	// walk steps through the targets, selecting before each step what selections
	// names, and returns of every step the state and the weights of each row.
	walk := func(selections [][]int32) (rows [][]int32, states, weights [][][]float32) {
		tape := autodiff.NewTape(autodiff.Float32)
		tape.Poison()
		tape.Reset(false, false)
		state := m.Decoder.Start(tape, m.Encoder.Encode(tape, batch.Source))
		now := make([]int32, in.Batch) // the row of the batch that each row is
		for row := range now {
			now[row] = int32(row)
		}
		for step, selected := range selections {
			if selected != nil {
				var next []int32
				for _, row := range selected {
					next = append(next, now[row])
				}
				m.Decoder.Select(tape, state, selected)
				now = next
			}
			tokens := components.Sequences{Batch: len(now), Steps: 1}
			for _, row := range now {
				tokens.Tokens, tokens.Lengths = append(tokens.Tokens, in.Tokens[int(row)*in.Steps+step]), append(tokens.Lengths, 1)
			}
			decoded := m.Decoder.Step(tape, state, tokens)
			var said, seen [][]float32
			for i, row := range now {
				said = append(said, steps(decoded.States, i, 1)[0])
				if decoded.Weights != nil {
					seen = append(seen, weightsOf(decoded.Weights, i, 1, batch.Source.Lengths[row])[0])
				}
			}
			rows, states, weights = append(rows, now), append(states, said), append(weights, seen)
		}
		return rows, states, weights
	}
	_, wantStates, wantWeights := walk(make([][]int32, in.Steps))
	rows, states, weights := walk([][]int32{{3, 0, 2, 0, 0}, {1, 0, 4}, nil, {2, 2, 1, 0}, {3}})
	for step := range rows {
		for i, row := range rows[step] {
			same(t, "states", states[step][i], wantStates[step][row])
			if weights[step] != nil {
				same(t, "weights", weights[step][i], wantWeights[step][row])
			}
		}
	}
}

// Weights are at least zero, sum to one over the valid keys, and are zero past
// them.
func (s subject) weights(t *testing.T) {
	m, batch := s.native(t), batchOf(pairs())
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	v := m.Decoder.Decode(tape, m.Encoder.Encode(tape, batch.Source), batch.TargetIn).Weights
	if v == nil {
		return
	}
	if v.Dim(0) != batch.Source.Batch || v.Dim(2) != batch.TargetIn.Steps || v.Dim(3) != batch.Source.Steps {
		t.Fatalf("weights are %v, want [%d, heads, %d, %d]", v.Shape(), batch.Source.Batch, batch.TargetIn.Steps, batch.Source.Steps)
	}
	S := v.Dim(3)
	for row, keys := range batch.Source.Lengths {
		for _, all := range weightsOf(v, row, batch.TargetIn.Lengths[row], int32(S)) {
			for len(all) > 0 {
				sum := 0.0
				for key, w := range all[:S] {
					sum += float64(w)
					if !(w >= 0) || key >= int(keys) && w != 0 {
						t.Errorf("row %d of %d keys: weight %d is %v", row, keys, key, w)
					}
				}
				if want := float64(min(keys, 1)); !(math.Abs(sum-want) <= 1e-6) {
					t.Errorf("row %d of %d keys: the weights sum to %v, want %v", row, keys, sum, want)
				}
				all = all[S:]
			}
		}
	}
}
