package train

import (
	"context"
	"os"
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
)

// learnable is a component of the registry at a size at which learning is quick.
func learnable[C, D any](t *testing.T, k *registry.Kind[C, D], name string) registry.Build[C, D] {
	sizes := map[string]any{"embedding_size": 24, "hidden_size": 32, "model_size": 32, "num_heads": 4, "ffn_size": 64, "attention_size": 32, "num_layers": 1, "separator": "e"}
	component, _ := k.Describe(name)
	options := map[string]any{}
	for _, o := range component.Options {
		if size, ok := sizes[o.Key]; ok {
			options[o.Key] = size
		}
	}
	return componenttest.Build(t, k, name, options)
}

// Every encoder with every decoder learns sixteen pairs of the copy task by heart,
// with the next attention in turn that they go with, and with EXP_LONG=1 with each.
func TestLearning(t *testing.T) {
	if testing.Short() {
		t.Skip("trains many models")
	}
	const steps = 400
	catalog := standard.Catalog()
	turn, attentions := 0, catalog.Attentions.Names()
	learn := func(t *testing.T, c Config, ordered bool) {
		c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 5e-3})
		c.Training = components.Training{Steps: steps, BatchSize: 8, ClipNorm: 1}
		c.Evaluation.Every = steps
		c.Data.Valid = c.Data.Train
		sink := newMemory()
		if err := Run(context.Background(), c, sink); err != nil {
			t.Fatal(err)
		}
		first, last := sink.value(t, 1, "train", "loss"), sink.value(t, steps, "valid", "loss")
		match := sink.value(t, steps, "valid", "exact_match")
		t.Logf("loss from %.3f to %.4f, %.0f %% of the targets are said right", first, last, 100*match)
		if ordered && (match != 1 || last > 0.05) || last > 0.1 {
			t.Errorf("the loss went from %.3f to %.3f, and %.0f %% of the targets are said right; want all", first, last, 100*match)
		}
	}
	for _, encoder := range catalog.Encoders.Names() {
		for _, decoder := range catalog.Decoders.Names() {
			learned := 0
			for range attentions {
				if learned == 1 && os.Getenv("EXP_LONG") != "1" {
					break
				}
				attention := attentions[turn%len(attentions)]
				turn++
				c := config(t)
				c.Parts = components.Parts{
					Encoder:   learnable(t, &catalog.Encoders, encoder),
					Decoder:   learnable(t, &catalog.Decoders, decoder),
					Attention: learnable(t, &catalog.Attentions, attention),
				}
				if _, err := Check(c); err != nil {
					continue // the suite of all pairings says whether it should be so
				}
				learned++
				t.Run(encoder+"/"+decoder+"/"+attention, func(t *testing.T) {
					learn(t, c, encoder != "mean") // to which two of the sources are one
				})
			}
		}
	}
}

// With a pointer, targets are learned most of whose words the target vocabulary
// lacks; without one they cannot be said.
func TestLearningToCopy(t *testing.T) {
	if testing.Short() {
		t.Skip("trains three models")
	}
	const steps = 300
	recurrent := map[string]any{"embedding_size": 24, "hidden_size": 32}
	transformer := map[string]any{"model_size": 32, "num_heads": 4, "num_layers": 1, "ffn_size": 64, "positions": "rotary"}
	coverage := map[string]any{"coverage": true}
	for _, test := range []struct {
		name, attention, output string
		options                 map[string]any
		copies                  bool
	}{
		{"lstm", "additive", "pointer_generator", recurrent, true},
		{"transformer", "multihead", "pointer_generator", transformer, true},
		{"lstm", "additive", "softmax", recurrent, false},
	} {
		t.Run(test.name+"/"+test.attention+"/"+test.output, func(t *testing.T) {
			catalog, c := standard.Catalog(), config(t)
			c.Parts = components.Parts{
				Encoder:   componenttest.Build(t, &catalog.Encoders, test.name, test.options),
				Decoder:   componenttest.Build(t, &catalog.Decoders, test.name, test.options),
				Attention: componenttest.Build(t, &catalog.Attentions, test.attention, coverage),
				Output:    componenttest.Build(t, &catalog.Outputs, test.output, nil),
			}
			c.Optimizer = componenttest.Build(t, &catalog.Optimizers, "adam", map[string]any{"lr": 5e-3})
			c.Training = components.Training{Steps: steps, BatchSize: 8, ClipNorm: 1}
			c.Evaluation.Every = steps
			c.Data.Target = components.NewVocabulary([]string{"b"})
			var pairs components.Pairs
			for _, p := range copies(16, 0) {
				var target []int32
				for _, token := range p.Source {
					target = append(target, c.Data.TargetID(c.Data.Source.Token(token)))
				}
				pairs = append(pairs, components.Pair{Source: p.Source, Target: target})
			}
			c.Data.Train, c.Data.Valid = pairs, pairs
			sink := newMemory()
			if err := Run(context.Background(), c, sink); err != nil {
				t.Fatal(err)
			}
			match, accuracy := sink.value(t, steps, "valid", "exact_match"), sink.value(t, steps, "valid", "token_accuracy")
			if (match == 1) != test.copies {
				t.Errorf("%.0f %% of the targets are said right; all were to be: %v", 100*match, test.copies)
			}
			if accuracy != 1 { // of the softmax, which is right to say that a word is unknown
				t.Errorf("%.0f %% of the tokens are said right; want all", 100*accuracy)
			}
		})
	}
}
