package componenttest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
)

// The parts are as large as they say, and as they say before they have memory.
func (s subject) shapes(t *testing.T) {
	m, batch := s.native(t), s.batch(pairs()...)
	declared, err := components.NewModel(s.parts, autodiff.Declare(), s.sourceSize(), vocabulary)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := shapesOf(declared.Params), shapesOf(m.Params); !slices.Equal(got, want) {
		t.Errorf("parameters declared as\n%q, built as\n%q", got, want)
	}
	if count, err := components.Check(s.parts, s.sourceSize(), vocabulary); err != nil || count != m.Params.Count() {
		t.Errorf("Check says %d parameters, %v; there are %d", count, err, m.Params.Count())
	}

	tape := autodiff.NewTape(autodiff.Float32)
	tape.Poison()
	tape.Reset(false, false)
	memory := m.Encode(tape, batch.Source)
	shape := func(what string, v *autodiff.Var, dims ...int) {
		if v.Shape() != autodiff.NewShape(dims...) {
			t.Errorf("%s is %v, want %v", what, v.Shape(), autodiff.NewShape(dims...))
		}
	}
	b, steps := batch.Source.Batch(), 0
	_, splits := m.Encoder.(components.Splitting) // what of a source it makes a step of depends on its tokens
	for row, length := range memory.Spans.Lengths {
		steps += int(length)
		if want := m.MemorySteps(int(batch.Source.Lengths[row])); !splits && int(length) != want {
			t.Errorf("row %d: the memory has %d steps, and the model says %d", row, length, want)
		}
	}
	shape("the memory", memory.States, steps, m.Encoder.MemorySize())
	final := m.Encoder.Final()
	if len(memory.Final) != final.Layers {
		t.Errorf("%d final states, want %d", len(memory.Final), final.Layers)
	}
	for _, state := range memory.Final {
		shape("the final hidden state", state.Hidden, b, final.Size)
		if (state.Cell != nil) != final.Cell {
			t.Errorf("a final cell state is there: %v, want %v", state.Cell != nil, final.Cell)
		}
		if state.Cell != nil {
			shape("the final cell state", state.Cell, b, final.Size)
		}
	}
	decoded, _ := m.Decode(tape, memory, batch)
	shape("the result", decoded.States, len(batch.TargetIn.Tokens), m.Decoder.OutputSize())
}

func shapesOf(params *autodiff.Params) []string {
	var out []string
	for _, p := range params.All() {
		out = append(out, p.Name()+" "+p.Shape().String())
	}
	return out
}

// train computes the gradients of a training step, and returns the loss.
func train(m *components.Model, tape *autodiff.Tape, b *components.Batch, seed uint64) float32 {
	tape.Reset(true, true)
	tape.Seed(seed)
	m.Params.ZeroGrad(tape)
	loss, _ := m.Loss(tape, b, 0.1)
	tape.Backward(loss)
	return float32(loss.Scalar())
}

func sameTraining(t testing.TB, got, want *components.Model, gotLoss, wantLoss float32) {
	t.Helper()
	same(t, "loss", []float32{gotLoss}, []float32{wantLoss})
	for i, p := range want.Params.All() {
		q := got.Params.All()[i]
		same(t, "parameter "+p.Name(), q.Float32s(), p.Float32s())
		same(t, "gradient of "+p.Name(), q.GradFloat32s(), p.GradFloat32s())
	}
}

// The same seed gives the same bits.
func (s subject) seed(t *testing.T) {
	batch := s.batch(pairs()...)
	first, second := s.native(t), s.native(t)
	a := train(first, autodiff.NewTape(autodiff.Float32), batch, 3)
	b := train(second, autodiff.NewTape(autodiff.Float32), batch, 3)
	sameTraining(t, second, first, b, a)
}

// What the memory of a tape held before changes nothing.
func (s subject) poison(t *testing.T) {
	clean, poisoned := s.native(t), s.native(t)
	tape, poison := autodiff.NewTape(autodiff.Float32), autodiff.NewTape(autodiff.Float32)
	poison.Poison()
	for seed, batch := range []*components.Batch{s.batch(pairs()...), s.batch(pairs()[1:3]...), s.batch(pairs()...)} {
		a, b := train(clean, tape, batch, uint64(seed)), train(poisoned, poison, batch, uint64(seed))
		sameTraining(t, poisoned, clean, b, a)
	}
}

// Every parameter is reached by the loss, at one of three points: at a point that
// is drawn, all of a few units of max(0, ·) may be zero.
func (s subject) parameters(t *testing.T) {
	m := s.build(t, autodiff.NewParams(autodiff.Float64, 1))
	all, tape, rng := m.Params.All(), autodiff.NewTape(autodiff.Float64), rand.New(rand.NewPCG(7, 8))
	largest, sizes := 0.0, make([]float64, len(all))
	for range 3 {
		train(m, tape, s.batch(pairs()...), 3)
		for i, p := range all {
			sizes[i] = max(sizes[i], norm(autodiff.Grad[float64](p)))
			largest = max(largest, sizes[i])
		}
		move(t, rng, m.Params)
	}
	for i, p := range all {
		if !(sizes[i] > 1e-9*largest) {
			t.Errorf("the gradient of %s is %g at most; the largest of all is %g", p.Name(), sizes[i], largest)
		}
	}
}

// A steady training step allocates nothing.
func (s subject) allocations(t *testing.T) {
	m, tape, batch := s.native(t), autodiff.NewTape(autodiff.Float32), &components.Batch{}
	long, short := s.pairs(pairs()...), s.pairs(pairs()[1:3]...)
	step := func() {
		s.fill(batch, long)
		train(m, tape, batch, 3)
		s.fill(batch, short)
		train(m, tape, batch, 4)
		m.Params.Changed()
	}
	step()
	NoAllocs(t, step)
}

// NoAllocs fails if f, which has run often enough to be steady, allocates.
func NoAllocs(t testing.TB, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(5, f); got != 0 && !raceEnabled {
		t.Errorf("allocates %v times a run", got)
	}
}

// Dropout holds a model with dropout to what one without it says: it is active
// in training only, drawn from the tape's seed, and adds no parameter.
func Dropout(t *testing.T, with, without components.Parts) {
	s, other := newSubject(t, with), newSubject(t, without)
	batch := s.batch(pairs()...)
	m, plain := s.native(t), other.native(t)
	got, want := s.outputs(m, batch), other.outputs(plain, batch)
	for row := range batch.Source.Batch() {
		sameRow(t, got, row, want, row)
	}
	tape := autodiff.NewTape(autodiff.Float32)
	first, again, another := train(m, tape, batch, 3), train(m, tape, batch, 3), train(m, tape, batch, 4)
	if first != again {
		t.Errorf("one seed gives a loss of %v, then %v", first, again)
	}
	if first == another {
		t.Error("another seed gives the same loss")
	}
	without3, without4 := train(plain, tape, batch, 3), train(plain, tape, batch, 4)
	if first == without3 {
		t.Error("the loss in training is that without dropout")
	}
	if without3 != without4 {
		t.Error("without dropout, another seed gives another loss")
	}
}
