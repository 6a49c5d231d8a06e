package standard_test

import (
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Memory grows with the length and not with its square: of twice the length a
// training step, and decoding step by step, take at most twice the memory, but
// for the chunks in which the tape takes it.
func TestMemoryGrowsWithLength(t *testing.T) {
	const (
		length     = 1024 // the scores of one head are 4 MiB, and 16 MiB of twice the length
		vocabulary = 11
		chunk      = 4 << 20
	)
	c := standard.Catalog()
	for _, side := range []string{"rnn", "lstm", "gru", "transformer"} {
		for _, attention := range c.Attentions.Names() {
			for _, fed := range []bool{false, true} {
				options := map[string]any{"embedding_size": 4, "hidden_size": 4}
				if side == "transformer" {
					options = map[string]any{"model_size": 4, "num_heads": 2, "ffn_size": 4, "num_layers": 1}
				}
				name := side + "/" + attention
				parts := components.Parts{Encoder: componenttest.Build(t, &c.Encoders, side, options)}
				if fed {
					if side == "transformer" || attention == "none" {
						continue
					}
					name += "/fed"
					options = map[string]any{"embedding_size": 4, "hidden_size": 4, "input_feeding": true}
				}
				parts.Decoder = componenttest.Build(t, &c.Decoders, side, options)
				var attentionOptions map[string]any
				if attention == "additive" {
					attentionOptions = map[string]any{"attention_size": 4}
				}
				parts.Attention = componenttest.Build(t, &c.Attentions, attention, attentionOptions)
				t.Run(name, func(t *testing.T) {
					m, err := components.NewModel(parts, autodiff.NewParams(autodiff.Float32, 1), vocabulary, vocabulary)
					if err != nil {
						t.Fatal(err)
					}
					for what, memory := range map[string]func(*components.Model, int) int{"training": trainingMemory, "decoding": decodingMemory} {
						once, twice := memory(m, length), memory(m, 2*length)
						if twice > 2*once+chunk {
							t.Errorf("%s takes %.1f MB at length %d and %.1f MB at %d", what, float64(once)/1e6, length, float64(twice)/1e6, 2*length)
						}
					}
				})
			}
		}
	}
}

// longBatch is one pair of so many tokens.
func longBatch(length int) *components.Batch {
	tokens := make([]int32, length)
	for i := range tokens {
		tokens[i] = components.NumSpecial + int32(i%5)
	}
	b := &components.Batch{}
	b.Fill([]components.Pair{{Source: tokens, Target: tokens[1:]}})
	return b
}

func trainingMemory(m *components.Model, length int) int {
	tape := autodiff.NewTape(autodiff.Float32)
	tape.Reset(true, true)
	loss, _ := m.Loss(tape, longBatch(length), 0)
	tape.Backward(loss)
	return tape.Mem()
}

func decodingMemory(m *components.Model, length int) int {
	tape, source := autodiff.NewTape(autodiff.Float32), longBatch(length).Source
	tape.Reset(false, false)
	decoding := m.Start(tape, source)
	var tokens components.Sequences
	tokens.Add(components.Bos)
	for range length {
		decoding.Next(tape, tokens)
	}
	return tape.Mem()
}
