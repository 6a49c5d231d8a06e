package train

import (
	"context"
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
)

// Each architecture learns sixteen pairs of the copy task by heart.
func TestLearning(t *testing.T) {
	if testing.Short() {
		t.Skip("trains seven models")
	}
	const steps = 300
	recurrent := map[string]any{"embedding_size": 24, "hidden_size": 32}
	transformer := map[string]any{"model_size": 32, "num_heads": 4, "num_layers": 1, "ffn_size": 64}
	for _, test := range []struct {
		name, attention string
		options         map[string]any
	}{
		{"rnn", "dot", recurrent},
		{"rnn", "none", recurrent},
		{"lstm", "additive", recurrent},
		{"lstm", "none", recurrent},
		{"gru", "general", recurrent},
		{"transformer", "multihead", transformer},
		{"transformer", "scaled_dot", transformer},
	} {
		t.Run(test.name+"/"+test.attention, func(t *testing.T) {
			catalog, c := standard.Catalog(), config(t)
			c.Parts = components.Parts{
				Encoder:   componenttest.Build(t, &catalog.Encoders, test.name, test.options),
				Decoder:   componenttest.Build(t, &catalog.Decoders, test.name, test.options),
				Attention: componenttest.Build(t, &catalog.Attentions, test.attention, nil),
			}
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 5e-3})
			c.Training = components.Training{Steps: steps, BatchSize: 8, ClipNorm: 1}
			c.Evaluation.Every = steps
			c.Data.Valid = c.Data.Train
			sink := newMemory()
			if err := Run(context.Background(), c, sink); err != nil {
				t.Fatal(err)
			}
			first, last := sink.value(t, 1, "train", "loss"), sink.value(t, steps, "valid", "loss")
			if match := sink.value(t, steps, "valid", "exact_match"); match != 1 || last > 0.05 {
				t.Errorf("the loss went from %.3f to %.3f, and %.0f %% of the targets are said right; want all", first, last, 100*match)
			}
			t.Logf("loss from %.3f to %.4f", first, last)
		})
	}
}
