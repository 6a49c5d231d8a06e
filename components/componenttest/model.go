package componenttest

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// vocabulary is the size of both vocabularies of the models under test, frameSize
// that of the frames of those that read frames.
const (
	vocabulary = 11
	frameSize  = 4 // as some of the encoders' embeddings
)

// numbers is the numbers of the source's tokens in the target, which lacks 9 and
// 10: see [components.Data.Numbers].
func numbers() []int32 { return []int32{0, 1, 2, 3, 4, 5, 8, 7, 6, vocabulary + 9, vocabulary + 10} }

// pairs returns pairs of several lengths, an empty source and an empty target
// among them. Two targets have a token that their vocabulary lacks, and one the
// source, too.
func pairs() []components.Pair {
	return []components.Pair{
		{Source: []int32{4, 9, 6, 10, 9}, Target: []int32{5, vocabulary + 9, 4}},
		{Source: []int32{7}, Target: nil},
		{Source: []int32{5, 8, 5}, Target: []int32{9, 9, vocabulary + 9, 6}},
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
	s := newSubject(t, parts)
	t.Run("shapes", s.shapes)
	t.Run("longer", s.longer)
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
type subject struct {
	parts   components.Parts
	aligned bool
	repeats int // of each source, which an encoder then makes shorter
}

func newSubject(t testing.TB, parts components.Parts) subject {
	t.Helper()
	s := subject{parts: parts, repeats: 1}
	m, err := components.NewModel(parts, autodiff.Declare(), s.sourceSize(), vocabulary)
	if err != nil {
		t.Fatalf("the parts do not fit: %v", err)
	}
	s.aligned = m.Aligned()
	if _, ok := m.Encoder.(components.Shortening); ok {
		const many = 64
		s.repeats = many / m.MemorySteps(many)
	}
	return s
}

// sourceSize is that of the vocabulary, or of a frame.
func (s subject) sourceSize() int {
	if s.parts.FrontEnd != nil {
		return frameSize
	}
	return vocabulary
}

// pairs is what the model can read of pairs of tokens: with a front end each
// source token is two frames, and to an aligned decoder the target is as long as
// the source. Sources that are made shorter are as much longer.
func (s subject) pairs(pairs ...components.Pair) []components.Pair {
	out := make([]components.Pair, len(pairs))
	for i, p := range pairs {
		p.Source = slices.Repeat(p.Source, s.repeats)
		out[i] = p
		if s.aligned {
			out[i].Target = nil
			for at, token := range p.Source {
				out[i].Target = append(out[i].Target, components.NumSpecial+(token+int32(at))%(vocabulary-components.NumSpecial))
			}
		}
		if s.parts.FrontEnd != nil {
			out[i].Source, out[i].Frames.Size = nil, frameSize
			for _, token := range p.Source {
				for k := range 2 * frameSize {
					out[i].Frames.Values = append(out[i].Frames.Values, float32(math.Sin(float64(k+1)*float64(token))))
				}
			}
			if s.aligned {
				out[i].Target = append(out[i].Target, out[i].Target...)
			}
		}
	}
	return out
}

func (s subject) fill(b *components.Batch, pairs []components.Pair) {
	if s.aligned {
		b.FillAligned(pairs)
	} else {
		b.Fill(pairs)
	}
}

func (s subject) batch(pairs ...components.Pair) *components.Batch {
	b := &components.Batch{}
	s.fill(b, s.pairs(pairs...))
	return b
}

// build makes the model at a point where nothing is zero by initialisation.
func (s subject) build(t testing.TB, params *autodiff.Params) *components.Model {
	t.Helper()
	m, err := components.NewModel(s.parts, params, s.sourceSize(), vocabulary)
	if err != nil {
		t.Fatalf("the parts do not fit: %v", err)
	}
	m.Number(numbers())
	if e, ok := m.Encoder.(components.Splitting); ok {
		e.SetSeparator(8) // in the midst of a source, and at an end
	}
	move(t, rand.New(rand.NewPCG(5, 6)), params)
	return m
}

// move adds a random number to every parameter.
func move(t testing.TB, rng *rand.Rand, params *autodiff.Params) {
	t.Helper()
	for _, p := range params.All() {
		values := p.Float32s()
		for i := range values {
			values[i] += float32(0.2 * rng.NormFloat64())
		}
		if err := params.Set(p, values); err != nil {
			t.Fatal(err)
		}
	}
}

func (s subject) native(t testing.TB) *components.Model {
	t.Helper()
	return s.build(t, autodiff.NewParams(autodiff.Float32, 1))
}

// results is everything that a model computes of a batch, dropout included.
func (s subject) results(t testing.TB, params *autodiff.Params) Func {
	m := s.build(t, params)
	batch := s.batch(pairs()...)
	return func(tape *autodiff.Tape) []*autodiff.Var {
		tape.Seed(7)
		memory := m.Encode(tape, batch.Source)
		results := []*autodiff.Var{memory.States}
		for _, final := range memory.Final {
			results = append(results, final.Hidden)
			if final.Cell != nil {
				results = append(results, final.Cell)
			}
		}
		decoded, x := m.Decode(tape, memory, batch)
		if decoded.Loss != nil {
			results = append(results, decoded.Loss)
		}
		if !m.Output.Points() {
			return append(results, m.Output.Logits(tape, decoded, x))
		}
		plain, _ := m.Loss(tape, batch, 0)
		smoothed, _ := m.Loss(tape, batch, 0.2)
		return append(results, decoded.States, plain, smoothed)
	}
}

// outputs is what a model makes of a batch, copied.
type outputs struct {
	memory, hidden, cell [][]float32   // a row of the batch, its steps or all layers
	states, logits       [][][]float32 // [row][step]
	weights              [][][]float32 // [row][step]: of every head, the keys
}

// outputs runs the model on its own tape. Not recording, in evaluation.
func (s subject) outputs(m *components.Model, b *components.Batch) outputs {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.KeepWeights()
	tape.Reset(false, false)
	memory := m.Encode(tape, b.Source)
	decoded, x := m.Decode(tape, memory, b)
	logits := m.Output.Logits(tape, decoded, x)

	var o outputs
	for row := range b.Source.Batch() {
		o.memory = append(o.memory, slices.Concat(steps(memory.States, memory.Spans, row)...))
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
		o.states = append(o.states, steps(decoded.States, b.TargetIn.Spans, row))
		o.logits = append(o.logits, trimmed(steps(logits, b.TargetIn.Spans, row)))
		if decoded.Weights != nil {
			o.weights = append(o.weights, weightsOf(decoded.Weights, row, length, memory.Spans.Lengths[row]))
		}
	}
	return o
}

// trimmed is logits without the columns, at the end, that only other rows have.
func trimmed(logits [][]float32) [][]float32 {
	for i, l := range logits {
		for math.IsInf(float64(l[len(l)-1]), -1) {
			l = l[:len(l)-1]
		}
		logits[i] = l
	}
	return logits
}

// steps returns the steps of a sequence in v [Σ lengths, D].
func steps(v *autodiff.Var, spans autodiff.Spans, row int) [][]float32 {
	start, length := spans.At(row)
	var out [][]float32
	for step := range length {
		out = append(out, rowOf(v, start+step))
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

// A longer pair, wherever it is in the batch, changes nothing of the others.
func (s subject) longer(t *testing.T) {
	m, long := s.native(t), components.Pair{Source: []int32{8, 4, 7, 10, 5, 9, 6}, Target: []int32{6, 4, 10, 5, 7, 9}}
	want := s.outputs(m, s.batch(pairs()...))
	for at := range len(pairs()) + 1 {
		got := s.outputs(m, s.batch(slices.Insert(pairs(), at, long)...))
		for row := range pairs() {
			moved := row
			if row >= at {
				moved++
			}
			sameRow(t, got, moved, want, row)
		}
	}
}

// A row alone gives what it gives in a batch.
func (s subject) alone(t *testing.T) {
	m := s.native(t)
	want := s.outputs(m, s.batch(pairs()...))
	for row := range pairs() {
		got := s.outputs(m, s.batch(pairs()[row]))
		sameRow(t, got, 0, want, row)
	}
}

// Targets after a step do not move its logits; those at the step do.
func (s subject) future(t *testing.T) {
	if s.aligned {
		return // it reads no target
	}
	m, batch := s.native(t), s.batch(pairs()...)
	want := s.outputs(m, batch)
	for step := 1; step < batch.TargetIn.Longest(); step++ {
		other := s.batch(pairs()...)
		for row, length := range other.TargetIn.Lengths {
			for later := step; later < int(length); later++ {
				at := int(other.TargetIn.Starts[row]) + later
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
	m, batch := s.native(t), s.batch(pairs()...)
	want := s.outputs(m, batch)
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.KeepWeights()
	tape.Reset(false, false)
	memory, decoding := m.Encode(tape, batch.Source), m.Start(tape, batch.Source)
	keys := memory.Spans.Lengths
	in := batch.TargetIn
	var tokens components.Sequences
	for step := range in.Longest() {
		tokens.Clear()
		for row := range in.Batch() {
			tokens.Add(token(in, row, step))
		}
		decoded := decoding.Step(tape, tokens)
		logits := m.Output.Logits(tape, decoded, decoding.Extended)
		for row, length := range in.Lengths {
			if step >= int(length) {
				continue
			}
			same(t, "logits", trimmed([][]float32{rowOf(logits, row)})[0], want.logits[row][step])
			same(t, "states", rowOf(decoded.States, row), want.states[row][step])
			if (decoded.Weights != nil) != (want.weights != nil) {
				t.Fatal("only one of the passes returns weights")
			}
			if decoded.Weights != nil {
				same(t, "weights", weightsOf(decoded.Weights, row, 1, keys[row])[0], want.weights[row][step])
			}
		}
	}
}

// token is what a sequence has at a step, and past its end any token.
func token(s components.Sequences, row, step int) int32 {
	start, length := s.At(row)
	if step >= length {
		return components.Eos
	}
	return s.Tokens[start+step]
}

// A row that was selected goes on as it would have without.
func (s subject) selecting(t *testing.T) {
	m, batch := s.native(t), s.batch(pairs()...)
	in := batch.TargetIn
	// walk steps through the targets, selecting before each step what selections
	// names, and returns of every step the state and the weights of each row.
	walk := func(selections [][]int32) (rows [][]int32, states, weights [][][]float32) {
		tape := autodiff.NewTape(autodiff.Float32)
		tape.Poison()
		tape.KeepWeights()
		tape.Reset(false, false)
		memory, decoding := m.Encode(tape, batch.Source), m.Start(tape, batch.Source)
		keys := memory.Spans.Lengths
		now := make([]int32, in.Batch()) // the row of the batch that each row is
		for row := range now {
			now[row] = int32(row)
		}
		for step, selected := range selections {
			if selected != nil {
				var next []int32
				for _, row := range selected {
					next = append(next, now[row])
				}
				decoding.Select(tape, selected)
				now = next
			}
			var tokens components.Sequences
			for _, row := range now {
				tokens.Add(token(in, int(row), step))
			}
			decoded := decoding.Step(tape, tokens)
			logits := m.Output.Logits(tape, decoded, decoding.Extended)
			var said, seen [][]float32
			for i, row := range now {
				said = append(said, slices.Concat(rowOf(decoded.States, i), rowOf(logits, i)))
				if decoded.Weights != nil {
					seen = append(seen, weightsOf(decoded.Weights, i, 1, keys[row])[0])
				}
			}
			rows, states, weights = append(rows, now), append(states, said), append(weights, seen)
		}
		return rows, states, weights
	}
	_, wantStates, wantWeights := walk(make([][]int32, in.Longest()))
	selections := [][]int32{{3, 0, 2, 0, 0}, {1, 0, 4}, nil, {2, 2, 1, 0}, {3}}
	rows, states, weights := walk(selections[:min(len(selections), in.Longest())])
	for step := range rows {
		for i, row := range rows[step] {
			same(t, "states and logits", states[step][i], wantStates[step][row])
			if weights[step] != nil {
				same(t, "weights", weights[step][i], wantWeights[step][row])
			}
		}
	}
}

// Weights are at least zero, sum to one over the valid keys, and are zero past
// them.
func (s subject) weights(t *testing.T) {
	m, batch := s.native(t), s.batch(pairs()...)
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.KeepWeights()
	tape.Reset(false, false)
	memory := m.Encode(tape, batch.Source)
	decoded, _ := m.Decode(tape, memory, batch)
	v := decoded.Weights
	plain := autodiff.NewTape(autodiff.Float32)
	plain.Reset(false, false)
	if decoded, _ := m.Decode(plain, m.Encode(plain, batch.Source), batch); decoded.Weights != nil && !m.Output.Points() {
		t.Error("weights that the tape does not keep")
	}
	if v == nil {
		return
	}
	if v.Dim(0) != batch.Source.Batch() || v.Dim(2) != batch.TargetIn.Longest() || v.Dim(3) != memory.Spans.Longest() {
		t.Fatalf("weights are %v, want [%d, heads, %d, %d]", v.Shape(), batch.Source.Batch(), batch.TargetIn.Longest(), memory.Spans.Longest())
	}
	S := v.Dim(3)
	for row, keys := range memory.Spans.Lengths {
		for step, all := range weightsOf(v, row, int32(v.Dim(2)), int32(S)) {
			if step >= int(batch.TargetIn.Lengths[row]) {
				keys = 0 // of a query that is not there
			}
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
