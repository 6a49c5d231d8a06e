package recurrent

import (
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
)

// Steps are joined two by two within each sequence, an odd last one with zeros.
func TestHalve(t *testing.T) {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	x := tape.Constant([]float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 6, 2)
	y, spans := halve(tape, x, autodiff.Spans{Starts: []int32{0, 3, 3, 4}, Lengths: []int32{3, 0, 1, 2}})
	if want := []float32{1, 2, 3, 4, 5, 6, 0, 0, 7, 8, 0, 0, 9, 10, 11, 12}; !slices.Equal(y.Float32s(), want) || y.Dim(1) != 4 {
		t.Errorf("got %v %v, want %v", y.Shape(), y.Float32s(), want)
	}
	if !slices.Equal(spans.Starts, []int32{0, 2, 2, 3}) || !slices.Equal(spans.Lengths, []int32{2, 0, 1, 1}) {
		t.Errorf("got spans %v", spans)
	}
}

// A pyramid is its layers by themselves, one on the halved result of the other.
func TestPyramid(t *testing.T) {
	params := autodiff.NewParams(autodiff.Float32, 1)
	o := defaultPyramid()
	o.EmbeddingSize, o.HiddenSize, o.NumPyramidLayers = 3, 4, 2
	embedding := components.Embedding{Table: nn.NewEmbedding(params, "embedding", 9, 3)}
	encoder, err := NewPyramid(o, components.EncoderDeps{Params: params, Source: func(int) (components.Embedder, error) { return embedding, nil }})
	if err != nil {
		t.Fatal(err)
	}
	var source components.Sequences
	source.Add(4, 5, 6, 7, 8)
	source.Add(6)
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	got := encoder.Encode(tape, source)

	x, spans := embedding.Embed(tape, source), source.Spans
	for i, s := range encoder.(*pyramid).stack {
		if i > 0 {
			x, spans = halve(tape, x, spans)
		}
		x, _ = s.forward(tape, x, pack(tape, spans), state{})
	}
	if !slices.Equal(got.States.Float32s(), x.Float32s()) || !slices.Equal(got.Spans.Lengths, []int32{2, 1}) || got.States.Dim(1) != 8 {
		t.Errorf("got %v of lengths %v, want %v", got.States.Float32s(), got.Spans.Lengths, x.Float32s())
	}
	if n := encoder.(*pyramid).Length(5); n != 2 {
		t.Errorf("5 steps become %d, want 2", n)
	}
}
