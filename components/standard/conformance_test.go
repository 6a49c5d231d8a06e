package standard_test

import (
	"errors"
	"maps"
	"os"
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
)

func TestConformance(t *testing.T) {
	componenttest.Catalog(t, standard.Catalog(), os.Getenv("EXP_LONG") == "1")
}

// Input feeding with what else changes a step: layers above the lowest, and
// dropout between them.
func TestInputFeeding(t *testing.T) {
	c := standard.Catalog()
	encoder := componenttest.Build(t, &c.Encoders, "lstm", map[string]any{"embedding_size": 3, "hidden_size": 4})
	for _, test := range []struct {
		cell, name string
		gates      int
		options    map[string]any
	}{
		{"rnn", "rnn", 1, nil},
		{"lstm", "lstm", 4, nil},
		{"gru", "gru", 3, nil},
		{"rnn", "rnn, norms and masks", 1, map[string]any{"layer_norm": true, "recurrent_dropout": 0.3, "variational_dropout": 0.2}},
		{"lstm", "lstm, norms and masks", 4, map[string]any{"layer_norm": true, "recurrent_dropout": 0.3, "variational_dropout": 0.2}},
		{"gru", "gru, norms and masks", 3, map[string]any{"layer_norm": true, "recurrent_dropout": 0.3, "variational_dropout": 0.2}},
		{"gru", "gru, reset before", 3, map[string]any{"reset": "before"}},
	} {
		decoder := func(feeding bool) registry.Build[components.Decoder, components.DecoderDeps] {
			options := map[string]any{"embedding_size": 3, "hidden_size": 4, "num_layers": 2, "dropout": 0.3, "input_feeding": feeding}
			maps.Copy(options, test.options)
			return componenttest.Build(t, &c.Decoders, test.cell, options)
		}
		attention := func(name string) registry.Build[components.Attention, components.AttentionDeps] {
			return componenttest.Build(t, &c.Attentions, name, nil)
		}
		t.Run(test.name, func(t *testing.T) {
			fed := components.Parts{Encoder: encoder, Decoder: decoder(true), Attention: attention("additive")}
			componenttest.Model(t, fed)
			plain := fed
			plain.Decoder = decoder(false)
			more, err := components.Check(fed, 10, 10)
			if err != nil {
				t.Fatal(err)
			}
			less, err := components.Check(plain, 10, 10)
			if err != nil {
				t.Fatal(err)
			}
			if more-less != test.gates*4*4 {
				t.Errorf("feeding adds %d parameters, want %d", more-less, test.gates*4*4)
			}
			fed.Attention = attention("none")
			var fault registry.Fault
			if _, err := components.Check(fed, 10, 10); !errors.As(err, &fault) || fault.Key != "model.decoder.input_feeding" {
				t.Errorf("without attention the error is %v, want a fault of model.decoder.input_feeding", err)
			}
		})
	}
}
