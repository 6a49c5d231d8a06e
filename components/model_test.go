package components_test

import (
	"errors"
	"math"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/componenttest"
	"exp/components/standard"
	"exp/registry"
)

func parts(t *testing.T, attention string, options map[string]any) components.Parts {
	c := standard.Catalog()
	sizes := map[string]any{"embedding_size": 3, "hidden_size": 4}
	return components.Parts{
		Encoder:   componenttest.Build(t, &c.Encoders, "lstm", sizes),
		Decoder:   componenttest.Build(t, &c.Decoders, "gru", sizes),
		Attention: componenttest.Build(t, &c.Attentions, attention, options),
	}
}

// The loss is the mean of the token losses, and these are what the logits say.
func TestLossesAgree(t *testing.T) {
	const v = 9
	m, err := components.NewModel(parts(t, "dot", nil), autodiff.NewParams(autodiff.Float64, 1), v, v)
	if err != nil {
		t.Fatal(err)
	}
	var batch components.Batch
	batch.Fill([]components.Pair{{Source: []int32{4, 5}, Target: []int32{6}}, {Source: []int32{7}, Target: []int32{8, 4, 5}}})
	tape := autodiff.NewTape(autodiff.Float64)
	tape.Reset(false, false)
	loss, targets := m.Loss(tape, &batch, 0)
	losses, flat, again := m.TokenLosses(tape, &batch)
	if len(targets) != 6 || len(losses) != 6 || len(again) != 6 || flat.Dim(0) != 6 {
		t.Fatalf("%d targets, %d losses, logits %v; want 6", len(targets), len(losses), flat.Shape())
	}
	logits := autodiff.Values[float64](m.Logits(tape, &batch))
	const smoothing = 0.2
	smooth, _ := m.Loss(tape, &batch, smoothing)
	sum, spread := 0.0, 0.0
	for i, target := range batch.TargetOut.Tokens {
		total := 0.0
		for _, x := range logits[i*v : (i+1)*v] {
			total += math.Exp(x)
		}
		want := math.Log(total) - logits[i*v+int(target)]
		if math.Abs(losses[i]-want) > 1e-12 {
			t.Errorf("token %d: the loss is %v, want %v", i, losses[i], want)
		}
		sum += want
		for _, x := range logits[i*v : (i+1)*v] {
			spread += (math.Log(total) - x) / v
		}
	}
	if got, want := loss.Scalar(), sum/6; math.Abs(got-want) > 1e-12 {
		t.Errorf("the mean loss is %v, want %v", got, want)
	}
	if got, want := smooth.Scalar(), ((1-smoothing)*sum+smoothing*spread)/6; math.Abs(got-want) > 1e-12 {
		t.Errorf("the smoothed loss is %v, want %v", got, want)
	}
}

// Training also makes the coverage loss smaller, a target token; evaluation knows
// nothing of it.
func TestCoverageLoss(t *testing.T) {
	losses := func(weight float64) (training, evaluation float64) {
		m, err := components.NewModel(parts(t, "additive", map[string]any{"coverage": true, "coverage_loss": weight}), autodiff.NewParams(autodiff.Float64, 1), 9, 9)
		if err != nil {
			t.Fatal(err)
		}
		var batch components.Batch
		batch.Fill([]components.Pair{{Source: []int32{4, 5}, Target: []int32{6}}, {Source: []int32{7}, Target: []int32{8, 4, 5}}})
		tape := autodiff.NewTape(autodiff.Float64)
		tape.Reset(false, false)
		loss, _ := m.Loss(tape, &batch, 0)
		tokens, _, _ := m.TokenLosses(tape, &batch)
		for _, l := range tokens {
			evaluation += l / float64(len(tokens))
		}
		return loss.Scalar(), evaluation
	}
	without, evaluated := losses(0)
	with, same := losses(0.5)
	// One key has the whole weight at each of four steps: three of them cost 0.5 each.
	// Two keys share it at two steps: the second costs at most 0.5, and not nothing.
	if added := 6 * (with - without); !(added > 3*0.5 && added <= 3*0.5+0.5+1e-9) {
		t.Errorf("coverage adds %v nats to the loss", added)
	}
	if math.Abs(without-evaluated) > 1e-12 || same != evaluated {
		t.Errorf("losses of training %v, of evaluation %v and %v", without, evaluated, same)
	}
}

// A fault of the attention is told under its own table, not the decoder's.
func TestPartsThatDoNotFit(t *testing.T) {
	_, err := components.Check(parts(t, "multihead", map[string]any{"num_heads": 3}), 9, 9)
	var fault registry.Fault
	if !errors.As(err, &fault) || fault.Key != "model.attention.num_heads" {
		t.Errorf("error is %v, want one of model.attention.num_heads", err)
	}
}

// An embedding vector more is a parameter row more, and nothing else.
func TestCheckCounts(t *testing.T) {
	count := func(source, target int) int {
		n, err := components.Check(parts(t, "none", nil), source, target)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	base := count(9, 9)
	if got := count(10, 9) - base; got != 3 {
		t.Errorf("a source token more is %d parameters, want its embedding's 3", got)
	}
	if got := count(9, 10) - base; got != 3+4+1 {
		t.Errorf("a target token more is %d parameters, want 3 of its embedding, 4 and a bias of the output", got)
	}
}

// An encoder that knows a token by its text is told its number, and where there
// is none the option is named.
func TestReadSource(t *testing.T) {
	p := parts(t, "none", nil)
	p.Encoder = componenttest.Build(t, &standard.Catalog().Encoders, "hred", map[string]any{"separator": "#", "hidden_size": 2, "context_size": 2})
	m, err := components.NewModel(p, autodiff.NewParams(autodiff.Float32, 1), 9, 9)
	if err != nil {
		t.Fatal(err)
	}
	var fault registry.Fault
	if err := m.ReadSource(components.NewVocabulary([]string{"a", "b"})); !errors.As(err, &fault) || fault.Key != "model.encoder.separator" {
		t.Errorf("error is %v, want a fault of model.encoder.separator", err)
	}
	if err := m.ReadSource(components.NewVocabulary([]string{"a", "#", "b"})); err != nil {
		t.Fatal(err)
	}
	var source components.Sequences
	source.Add(4, 5, 6) // a # b
	tape := autodiff.NewTape(autodiff.Float32)
	if got := m.Encoder.Encode(tape, source).States.Dim(0); got != 2 {
		t.Errorf("the memory has %d states, want one for each of 2 utterances", got)
	}
}

// An output that points needs a memory of tokens.
func TestPointsAtTokens(t *testing.T) {
	c, p := standard.Catalog(), parts(t, "additive", nil)
	p.Output = componenttest.Build(t, &c.Outputs, "pointer_generator", nil)
	if _, err := components.Check(p, 9, 9); err != nil {
		t.Fatal(err)
	}
	p.Encoder = componenttest.Build(t, &c.Encoders, "hred", nil)
	var fault registry.Fault
	if _, err := components.Check(p, 9, 9); !errors.As(err, &fault) || fault.Key != "model.output.type" {
		t.Errorf("error is %v, want a fault of model.output.type", err)
	}
}
