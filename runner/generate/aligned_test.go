package generate

import (
	"math"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Of an aligned decoder, greedy decoding and beam search both find the best class of
// each step, which is what the teacher-forced pass says whatever the target is.
func TestAligned(t *testing.T) {
	c := standard.Catalog()
	m, err := components.NewModel(components.Parts{
		Encoder:   componenttest.Build(t, &c.Encoders, "gru", map[string]any{"embedding_size": 3, "hidden_size": 4}),
		Decoder:   componenttest.Build(t, &c.Decoders, "dense", nil),
		Attention: componenttest.Build(t, &c.Attentions, "none", nil),
	}, autodiff.NewParams(autodiff.Float32, 3), 9, 9)
	if err != nil {
		t.Fatal(err)
	}
	var b components.Batch
	m.Fill(&b, []components.Pair{{Source: []int32{4, 5, 6}, Target: []int32{4, 4, 4}}, {}, {Source: []int32{8, 7}, Target: []int32{8, 8}}})
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(false, false)
	logits := m.Logits(tape, &b)
	const classes = 9 - int(components.NumSpecial)
	if logits.Dim(0) != 5 || logits.Dim(1) != classes {
		t.Fatalf("logits are %v, want 5 steps of %d classes", logits.Shape(), classes)
	}
	want, scores := make([][]int32, 3), make([]float64, 3)
	values, at := slices.Clone(logits.Float32s()), 0
	for row, length := range b.Source.Lengths {
		for range length {
			step := values[at*classes : (at+1)*classes]
			best, total := 0, 0.0
			for i, x := range step {
				total += math.Exp(float64(x))
				if x > step[best] {
					best = i
				}
			}
			want[row] = append(want[row], components.NumSpecial+int32(best))
			scores[row] += float64(step[best]) - math.Log(total)
			at++
		}
	}
	greedy, beams := Greedy(m, tape, b.Source, 1), Decode(m, tape, b.Source, options(1, 4))
	for row := range want {
		if !slices.Equal(greedy[row], want[row]) || len(beams[row]) != 1 || !slices.Equal(beams[row][0].Tokens, want[row]) {
			t.Errorf("row %d: greedy says %v, the beam %v, want %v", row, greedy[row], beams[row], want[row])
		}
		if got := beams[row][0].Score; math.Abs(got-scores[row]) > 1e-5 {
			t.Errorf("row %d: the score is %v, want %v", row, got, scores[row])
		}
	}
}
