package train

import (
	"testing"

	"exp/components"
	"exp/components/componenttest"
	"exp/components/standard"
)

// The card of two Elman networks is what one counts by hand.
func TestCard(t *testing.T) {
	const e, f, h, g, v = 3, 5, 6, 7, 9 // embedding and hidden size of the encoder, then of the decoder; vocabulary
	c, catalog := config(t), standard.Catalog()
	c.Parts.Encoder = componenttest.Build(t, &catalog.Encoders, "rnn", map[string]any{"embedding_size": e, "hidden_size": h})
	c.Parts.Decoder = componenttest.Build(t, &catalog.Decoders, "rnn", map[string]any{"embedding_size": f, "hidden_size": g})
	c.Parts.Attention = componenttest.Build(t, &catalog.Attentions, "none", nil)
	c.Training.BatchTokens, c.Training.BatchSize = 0, 4
	card, err := NewCard(c)
	if err != nil {
		t.Fatal(err)
	}

	// Of 16 pairs of 2, 3 and 4 tokens, sorted, the last four are the largest.
	const pairs, source, target = 4, 16, 20
	if card.Pairs != pairs || card.SourceSteps != source || card.TargetSteps != target {
		t.Fatalf("the batch is %d pairs of %d and %d steps, want %d of %d and %d", card.Pairs, card.SourceSteps, card.TargetSteps, pairs, source, target)
	}
	recurrent := (source-pairs)*h*h + target*g*g // the encoder's first step starts from zero
	forward := source*e*h + target*f*g + recurrent + pairs*h*g + target*g*v
	if card.Forward != int64(forward) {
		t.Errorf("forward %d multiply-adds, want %d", card.Forward, forward)
	}
	if want := int64(2 * forward); card.Backward != want { // each product has two of its size behind it
		t.Errorf("backward %d multiply-adds, want %d", card.Backward, want)
	}
	embeddings := v*e + v*f
	rest := e*h + h*h + 2*h + f*g + g*g + 2*g + h*g + g + g*v + v
	if card.Parameters != embeddings+rest || card.Embeddings != embeddings {
		t.Errorf("%d parameters, %d of embeddings, want %d and %d", card.Parameters, card.Embeddings, embeddings+rest, embeddings)
	}
	if card.Bridge != "project" || card.Source != v || card.Target != v || card.Activations < 4*(source*h+target*g) {
		t.Errorf("the card is %+v", card)
	}

	for bridge, other := range map[string]components.Parts{
		"copy": {Encoder: componenttest.Build(t, &catalog.Encoders, "gru", map[string]any{"hidden_size": g}), Decoder: c.Parts.Decoder, Attention: c.Parts.Attention},
		"mean": {Encoder: componenttest.Build(t, &catalog.Encoders, "transformer", nil), Decoder: c.Parts.Decoder, Attention: c.Parts.Attention},
		"":     {Encoder: c.Parts.Encoder, Decoder: componenttest.Build(t, &catalog.Decoders, "transformer", nil), Attention: componenttest.Build(t, &catalog.Attentions, "multihead", nil)},
	} {
		c.Parts = other
		if card, err = NewCard(c); err != nil || card.Bridge != bridge {
			t.Errorf("the bridge is %q, want %q; %v", card.Bridge, bridge, err)
		}
	}
}
