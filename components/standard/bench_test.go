package standard_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/optimizer"
	"exp/components/standard"
)

// A training step of an LSTM with additive attention and input feeding: 64
// pairs of 20 tokens, vocabularies of 1000, one hidden size for all, Adam.
func BenchmarkInputFeeding(b *testing.B) {
	const pairs, length, vocabulary = 64, 20, 1000
	c := standard.Catalog()
	for _, hidden := range []int{64, 128, 256, 512} {
		b.Run(fmt.Sprint(hidden), func(b *testing.B) {
			size := map[string]any{"embedding_size": hidden, "hidden_size": hidden}
			params := autodiff.NewParams(autodiff.Float32, 1)
			parts := components.Parts{
				Encoder:   componenttest.Build(b, &c.Encoders, "lstm", size),
				Decoder:   componenttest.Build(b, &c.Decoders, "lstm", map[string]any{"embedding_size": hidden, "hidden_size": hidden, "input_feeding": true}),
				Attention: componenttest.Build(b, &c.Attentions, "additive", map[string]any{"attention_size": hidden}),
			}
			model, err := components.NewModel(parts, params, vocabulary, vocabulary)
			if err != nil {
				b.Fatal(err)
			}
			adam, err := componenttest.Build(b, &c.Optimizers, "adam", nil)(components.OptimizerDeps{Params: params})
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			draw := func(n int) []int32 {
				tokens := make([]int32, n)
				for i := range tokens {
					tokens[i] = components.NumSpecial + rng.Int32N(vocabulary-components.NumSpecial)
				}
				return tokens
			}
			var examples []components.Pair
			for range pairs {
				examples = append(examples, components.Pair{Source: draw(length), Target: draw(length - 1)})
			}
			var batch components.Batch
			tape := autodiff.NewTape(autodiff.Float32)
			updates := 0
			update := func() {
				batch.Fill(examples)
				tape.Reset(true, true)
				params.ZeroGrad()
				loss, _ := model.Loss(tape, &batch, 0)
				tape.Backward(loss)
				updates++
				adam.Step(updates, adam.LearningRate(), optimizer.ClipScale(optimizer.GradNorm(params), 1))
				params.Changed()
			}
			for range 3 {
				update()
			}
			for b.Loop() {
				update()
			}
			b.ReportMetric(float64(b.N*pairs*length)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}
