package generate

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

// What is mixed in is drawn from what the model says after what it has read so far,
// mixed: a teacher-forced pass over the mixed batch says with what probability. At
// probability 1 the batch stays, at 0 nothing but its beginnings does, and lengths
// and what is to be said are the same in any case.
func TestMix(t *testing.T) {
	c := standard.Catalog()
	for _, name := range []string{"gru", "transformer"} {
		sizes := map[string]any{"embedding_size": 6, "hidden_size": 8}
		if name == "transformer" {
			sizes = map[string]any{"model_size": 8, "num_heads": 2, "ffn_size": 8}
		}
		m, err := components.NewModel(components.Parts{
			Encoder:   componenttest.Build(t, &c.Encoders, name, sizes),
			Decoder:   componenttest.Build(t, &c.Decoders, name, sizes),
			Attention: componenttest.Build(t, &c.Attentions, "dot", nil),
		}, autodiff.NewParams(autodiff.Float32, 3), 9, 9)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range m.Params.All() { // distributions far from even
			for i := range autodiff.Values[float32](v) {
				autodiff.Values[float32](v)[i] *= 3
			}
		}
		m.Params.Changed()
		tape := autodiff.NewTape(autodiff.Float32)
		var gold, b components.Batch
		pairs := []components.Pair{{Source: []int32{4, 5, 6}, Target: []int32{4, 5, 6, 7}}, {Source: []int32{8}, Target: nil}, {Source: []int32{8, 7}, Target: []int32{8, 7}}}
		m.Fill(&gold, pairs)
		rng := rand.New(rand.NewPCG(1, 2))
		const runs = 3000
		kept, drawn, expected := 0, 0, 0.0
		for run := range runs {
			probability := []float64{0, 0.3, 1}[run%3]
			m.Fill(&b, pairs)
			Mix(m, tape, &b, probability, rng)
			if !slices.Equal(b.TargetIn.Lengths, gold.TargetIn.Lengths) || !slices.Equal(b.TargetOut.Tokens, gold.TargetOut.Tokens) {
				t.Fatalf("mixed to %+v", b)
			}
			if probability == 1 && !slices.Equal(b.TargetIn.Tokens, gold.TargetIn.Tokens) {
				t.Fatalf("at probability 1 the decoder reads %v, want %v", b.TargetIn.Tokens, gold.TargetIn.Tokens)
			}
			tape.Reset(false, false)
			logits := m.Logits(tape, &b)
			for row := range b.TargetIn.Batch() {
				start, length := b.TargetIn.At(row)
				if b.TargetIn.Tokens[start] != components.Bos {
					t.Fatalf("row %d begins with %d", row, b.TargetIn.Tokens[start])
				}
				for i := start; i < start+length-1 && probability < 1; i++ {
					// How often a token is the gold one: kept, or drawn as any.
					p := math.Exp(float64(logits.Float32s()[i*9+int(gold.TargetIn.Tokens[i+1])]))
					total := 0.0
					for _, l := range logits.Float32s()[i*9 : (i+1)*9] {
						total += math.Exp(float64(l))
					}
					expected += probability + (1-probability)*p/total
					drawn++
					if b.TargetIn.Tokens[i+1] == gold.TargetIn.Tokens[i+1] {
						kept++
					}
				}
			}
		}
		if got, want := float64(kept)/float64(drawn), expected/float64(drawn); math.Abs(got-want) > 4/math.Sqrt(float64(drawn))*0.5 {
			t.Errorf("%s: %.4f of %d tokens are the target's, want %.4f", name, got, drawn, want)
		}
	}
}

func TestDraw(t *testing.T) {
	logits := []float32{float32(math.Log(0.2)), float32(math.Inf(-1)), float32(math.Log(0.5)), float32(math.Log(0.3))}
	for u, want := range map[float64]int{0: 0, 0.19: 0, 0.21: 2, 0.69: 2, 0.71: 3, 1 - 1e-16: 3} {
		if got := draw(logits, u); got != want {
			t.Errorf("draw at %v is %d, want %d", u, got, want)
		}
	}
}
