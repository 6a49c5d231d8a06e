package standard_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/optimizer"
	"exp/components/standard"
)

const benchVocabulary = 1000

// newUpdate returns a whole training step, with Adam, of a model of vocabularies
// of 1000.
func newUpdate(t testing.TB, parts components.Parts) func([]components.Pair) {
	t.Helper()
	_, update := newTraining(t, parts)
	return update
}

// newTraining is newUpdate with the parameters that it moves.
func newTraining(t testing.TB, parts components.Parts) (*autodiff.Params, func([]components.Pair)) {
	t.Helper()
	params := autodiff.NewParams(autodiff.Float32, 1)
	model, err := components.NewModel(parts, params, benchVocabulary, benchVocabulary)
	if err != nil {
		t.Fatal(err)
	}
	numbers := make([]int32, benchVocabulary)
	for id := range numbers {
		numbers[id] = int32(id)
		if id%10 == 9 { // every tenth word is one that the target vocabulary lacks
			numbers[id] += benchVocabulary
		}
	}
	model.Number(numbers)
	adam, err := componenttest.Build(t, &standard.Catalog().Optimizers, "adam", nil)(components.OptimizerDeps{Params: params})
	if err != nil {
		t.Fatal(err)
	}
	var batch components.Batch
	tape := autodiff.NewTape(autodiff.Float32)
	updates := 0
	return params, func(pairs []components.Pair) {
		model.Fill(&batch, pairs)
		tape.Reset(true, true)
		params.ZeroGrad(tape)
		loss, _ := model.Loss(tape, &batch, 0)
		tape.Backward(loss)
		updates++
		adam.Step(updates, adam.LearningRate(), optimizer.ClipScale(optimizer.GradNorm(params), 1))
		params.Changed()
	}
}

// draw returns a pair of random tokens, of a source and, with its end, a target
// of these lengths.
func draw(rng *rand.Rand, source, target int) components.Pair {
	tokens := make([]int32, source+target-1)
	for i := range tokens {
		tokens[i] = components.NumSpecial + rng.Int32N(benchVocabulary-components.NumSpecial)
	}
	return components.Pair{Source: tokens[:source], Target: tokens[source:]}
}

// lstmGeneral and transformerParts are models of one width.
func lstmGeneral(t testing.TB, hidden int) components.Parts {
	c, size := standard.Catalog(), map[string]any{"embedding_size": hidden, "hidden_size": hidden}
	return components.Parts{
		Encoder:   componenttest.Build(t, &c.Encoders, "lstm", size),
		Decoder:   componenttest.Build(t, &c.Decoders, "lstm", size),
		Attention: componenttest.Build(t, &c.Attentions, "general", nil),
	}
}

func transformerParts(t testing.TB, size int) components.Parts {
	c, sizes := standard.Catalog(), map[string]any{"model_size": size, "ffn_size": 4 * size}
	return components.Parts{
		Encoder:   componenttest.Build(t, &c.Encoders, "transformer", sizes),
		Decoder:   componenttest.Build(t, &c.Decoders, "transformer", sizes),
		Attention: componenttest.Build(t, &c.Attentions, "multihead", nil),
	}
}

// sentences is the lengths of 64 pairs drawn from the 29,000 of Multi30k's
// training split (Elliott et al. 2016), English to German in words, the end of
// the target counted: means of 13.0 and 13.4, as all have.
var sentences = [][2]int{
	{12, 12}, {19, 20}, {10, 7}, {11, 11}, {15, 16}, {21, 20}, {13, 14}, {21, 17}, {7, 7}, {13, 14}, {9, 10}, {12, 15}, {13, 17}, {11, 12}, {10, 10}, {19, 17},
	{11, 12}, {14, 11}, {12, 13}, {11, 12}, {20, 22}, {11, 11}, {10, 11}, {10, 9}, {12, 12}, {15, 22}, {10, 11}, {10, 10}, {11, 11}, {16, 21}, {14, 10}, {7, 7},
	{8, 10}, {14, 12}, {12, 15}, {11, 10}, {11, 11}, {11, 13}, {8, 9}, {14, 12}, {20, 23}, {12, 11}, {20, 22}, {15, 14}, {18, 20}, {14, 16}, {12, 13}, {17, 15},
	{38, 34}, {9, 9}, {14, 14}, {9, 8}, {10, 10}, {9, 10}, {12, 11}, {15, 14}, {11, 10}, {14, 13}, {15, 11}, {9, 14}, {7, 8}, {10, 11}, {13, 16}, {12, 13},
}

// batches returns sentences as one batch in drawn order and, sorted, as four of
// 64 pairs each, that have one quarter of them four times.
func batches(sorted bool) [][]components.Pair {
	lengths := slices.Clone(sentences)
	if sorted {
		slices.SortStableFunc(lengths, func(a, b [2]int) int { return cmp.Or(cmp.Compare(a[0], b[0]), cmp.Compare(a[1], b[1])) })
	}
	rng := rand.New(rand.NewPCG(1, 2))
	all := make([][]components.Pair, 1)
	if sorted {
		all = make([][]components.Pair, 4)
	}
	for at := range all {
		for i := range len(lengths) {
			l := lengths[at*len(lengths)/4+i%(len(lengths)/4)]
			if !sorted {
				l = lengths[i]
			}
			all[at] = append(all[at], draw(rng, l[0], l[1]))
		}
	}
	return all
}

// Training steps on sentences of mixed length, and on batches of nearly one.
func BenchmarkSentences(b *testing.B) {
	for _, model := range []struct {
		name  string
		parts func(testing.TB, int) components.Parts
	}{{"lstm", lstmGeneral}, {"transformer", transformerParts}} {
		for _, size := range []int{128, 256} {
			for _, sorted := range []bool{false, true} {
				b.Run(fmt.Sprintf("%s/%d/sorted=%v", model.name, size, sorted), func(b *testing.B) {
					update, all := newUpdate(b, model.parts(b, size)), batches(sorted)
					tokens := 0
					for _, pairs := range all {
						update(pairs)
					}
					for step := 0; b.Loop(); step++ {
						pairs := all[step%len(all)]
						update(pairs)
						for _, p := range pairs {
							tokens += len(p.Target) + 1
						}
					}
					b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
				})
			}
		}
	}
}

// A training step of an LSTM with additive attention and input feeding: 64
// pairs of 20 tokens, vocabularies of 1000, one hidden size for all, Adam.
func BenchmarkInputFeeding(b *testing.B) {
	const pairs, length = 64, 20
	c := standard.Catalog()
	for _, hidden := range []int{64, 128, 256, 512} {
		b.Run(fmt.Sprint(hidden), func(b *testing.B) {
			size := map[string]any{"embedding_size": hidden, "hidden_size": hidden}
			update := newUpdate(b, components.Parts{
				Encoder:   componenttest.Build(b, &c.Encoders, "lstm", size),
				Decoder:   componenttest.Build(b, &c.Decoders, "lstm", map[string]any{"embedding_size": hidden, "hidden_size": hidden, "input_feeding": true}),
				Attention: componenttest.Build(b, &c.Attentions, "additive", map[string]any{"attention_size": hidden}),
			})
			rng := rand.New(rand.NewPCG(1, 2))
			var examples []components.Pair
			for range pairs {
				examples = append(examples, draw(rng, length, length))
			}
			for range 3 {
				update(examples)
			}
			for b.Loop() {
				update(examples)
			}
			b.ReportMetric(float64(b.N*pairs*length)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

// Every encoder, decoder, attention and output at its defaults, in a model of which
// the other parts are an LSTM's: training steps on 64 pairs of 20 tokens, one utterance.
func BenchmarkComponents(b *testing.B) {
	const pairs, length = 64, 20
	c, base := standard.Catalog(), lstmGeneral(b, 128)
	rng := rand.New(rand.NewPCG(1, 2))
	var examples []components.Pair
	for range pairs {
		p := draw(rng, length, 1)
		p.Target = p.Source // the dense decoder wants it as long, the others do not mind
		examples = append(examples, p)
	}
	bench := func(name string, parts components.Parts) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			update := newUpdate(b, parts)
			for range 3 {
				update(examples)
			}
			for b.Loop() {
				update(examples)
			}
			b.ReportMetric(float64(b.N*pairs*length)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
	for _, name := range c.Encoders.Names() {
		parts := base
		parts.Encoder = componenttest.Build(b, &c.Encoders, name, nil)
		bench("encoder/"+name, parts)
	}
	for _, name := range c.Decoders.Names() {
		parts := base
		parts.Decoder = componenttest.Build(b, &c.Decoders, name, nil)
		if name == "dense" {
			parts.Attention = componenttest.Build(b, &c.Attentions, "none", nil)
		}
		bench("decoder/"+name, parts)
	}
	for _, name := range c.Attentions.Names() {
		parts := base
		parts.Attention = componenttest.Build(b, &c.Attentions, name, nil)
		bench("attention/"+name, parts)
	}
	for _, name := range c.Outputs.Names() {
		parts := base
		parts.Output = componenttest.Build(b, &c.Outputs, name, nil)
		bench("output/"+name, parts)
	}
}

// Every front end, forward and backward, on 16 sequences of 100 frames of 80 numbers.
func BenchmarkFrontEnds(b *testing.B) {
	const batch, length, frame = 16, 100, 80
	c := standard.Catalog()
	for _, name := range c.FrontEnds.Names() {
		b.Run(name, func(b *testing.B) {
			params := autodiff.NewParams(autodiff.Float32, 1)
			f, err := componenttest.Build(b, &c.FrontEnds, name, nil)(components.FrontEndDeps{Params: params, FrameSize: frame, Size: frame})
			if err != nil {
				b.Fatal(err)
			}
			var spans autodiff.Spans
			for i := range int32(batch) {
				spans.Starts, spans.Lengths = append(spans.Starts, i*length), append(spans.Lengths, length)
			}
			values, tape := make([]float32, batch*length*frame), autodiff.NewTape(autodiff.Float32)
			for i := range values {
				values[i] = float32(i%7) - 3
			}
			b.ReportAllocs()
			for b.Loop() {
				tape.Reset(true, true)
				params.ZeroGrad(tape)
				y, _ := f.Forward(tape, tape.Constant(values, batch*length, frame), spans)
				if !y.Constant() {
					copy(autodiff.Grad[float32](y), autodiff.Values[float32](y))
					tape.Unwind()
				}
			}
			b.ReportMetric(float64(b.N*batch*length)/b.Elapsed().Seconds(), "frames/s")
		})
	}
}

// What an option costs: training steps of models with one, each beside its plain
// form, on the sentences in drawn order.
func BenchmarkOptions(b *testing.B) {
	const size = 128
	c := standard.Catalog()
	transformer := func(positions, attention string, options map[string]any) components.Parts {
		sizes := map[string]any{"model_size": size, "ffn_size": 4 * size, "positions": positions}
		return components.Parts{
			Encoder:   componenttest.Build(b, &c.Encoders, "transformer", sizes),
			Decoder:   componenttest.Build(b, &c.Decoders, "transformer", sizes),
			Attention: componenttest.Build(b, &c.Attentions, attention, options),
		}
	}
	lstm := func(feeding bool, attention string, options map[string]any) components.Parts {
		sizes := map[string]any{"embedding_size": size, "hidden_size": size}
		fed := map[string]any{"embedding_size": size, "hidden_size": size, "input_feeding": feeding}
		return components.Parts{
			Encoder:   componenttest.Build(b, &c.Encoders, "lstm", sizes),
			Decoder:   componenttest.Build(b, &c.Decoders, "lstm", fed),
			Attention: componenttest.Build(b, &c.Attentions, attention, options),
		}
	}
	pointing := func(parts components.Parts) components.Parts {
		parts.Output = componenttest.Build(b, &c.Outputs, "pointer_generator", nil)
		return parts
	}
	coverage := map[string]any{"coverage": true}
	for _, model := range []struct {
		name  string
		parts components.Parts
	}{
		{"transformer", transformer("sinusoidal", "multihead", nil)},
		{"transformer/relative", transformer("relative", "multihead", nil)},
		{"transformer/rotary", transformer("rotary", "multihead", nil)},
		{"transformer/coverage", transformer("sinusoidal", "multihead", coverage)},
		{"transformer/pointer", pointing(transformer("sinusoidal", "multihead", nil))},
		{"lstm/general", lstm(false, "general", nil)},
		{"lstm/general/coverage", lstm(false, "general", coverage)},
		{"lstm/general/pointer", pointing(lstm(false, "general", nil))},
		{"lstm/additive", lstm(false, "additive", nil)},
		{"lstm/additive/coverage", lstm(false, "additive", coverage)},
		{"lstm/additive/pointer", pointing(lstm(false, "additive", nil))},
		{"lstm/feeding", lstm(true, "additive", nil)},
		{"lstm/feeding/coverage", lstm(true, "additive", coverage)},
		{"lstm/feeding/pointer", pointing(lstm(true, "additive", nil))},
	} {
		b.Run(model.name, func(b *testing.B) {
			update, pairs := newUpdate(b, model.parts), batches(false)[0]
			for range 3 {
				update(pairs)
			}
			for b.Loop() {
				update(pairs)
			}
		})
	}
}
