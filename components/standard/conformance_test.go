package standard_test

import (
	"errors"
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
)

func TestConformance(t *testing.T) { componenttest.Catalog(t, standard.Catalog()) }

// Input feeding with what else changes a step: layers above the lowest, and
// dropout between them.
func TestInputFeeding(t *testing.T) {
	c := standard.Catalog()
	encoder := componenttest.Build(t, &c.Encoders, "lstm", map[string]any{"embedding_size": 3, "hidden_size": 4})
	for _, cell := range []string{"rnn", "lstm", "gru"} {
		decoder := func(feeding bool) registry.Build[components.Decoder, components.DecoderDeps] {
			return componenttest.Build(t, &c.Decoders, cell, map[string]any{
				"embedding_size": 3, "hidden_size": 4, "num_layers": 2, "dropout": 0.3, "input_feeding": feeding,
			})
		}
		attention := func(name string) registry.Build[components.Attention, components.AttentionDeps] {
			return componenttest.Build(t, &c.Attentions, name, nil)
		}
		t.Run(cell, func(t *testing.T) {
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
			if gates := map[string]int{"rnn": 1, "lstm": 4, "gru": 3}[cell]; more-less != gates*4*4 {
				t.Errorf("feeding adds %d parameters, want %d", more-less, gates*4*4)
			}
			fed.Attention = attention("none")
			var fault registry.Fault
			if _, err := components.Check(fed, 10, 10); !errors.As(err, &fault) || fault.Key != "model.decoder.input_feeding" {
				t.Errorf("without attention the error is %v, want a fault of model.decoder.input_feeding", err)
			}
		})
	}
}
