package standard_test

import (
	"fmt"
	"regexp"
	"strings"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/optimizer"
	"exp/components/standard"
)

// training trains a whole model as the loop of a trial does.
func (c *reference) training() error {
	model, err := c.model()
	if err != nil {
		return err
	}
	build, err := choose(&standard.Catalog().Optimizers, c.text("optimizer"), map[string]any{"lr": config[float64](c, "lr")})
	if err != nil {
		return err
	}
	o, err := build(components.OptimizerDeps{Params: c.params})
	if err != nil {
		return err
	}
	if got, want := c.params.Count(), c.Values.Parameters; got != want {
		c.t.Errorf("%d parameters, want %d", got, want)
	}
	c.load(c.modelPlace)
	const batches = 4
	if order := c.text("batch_order"); order != "step i uses batch i mod 4" {
		return fmt.Errorf("batch_order is %q", order)
	}
	var batch [batches]components.Batch
	for i := range batch {
		batch[i].Fill(c.pairs(i))
	}

	c.tape.Reset(false, false)
	c.compareLogits(model.Logits(c.tape, &batch[0]), &batch[0])
	losses := c.losses()
	if len(losses) != c.size("steps") {
		c.t.Errorf("%d losses for %d steps", len(losses), c.size("steps"))
	}
	smoothing, limit := config[float64](c, "label_smoothing"), c.optional("clip_global_norm")
	for step, want := range losses {
		c.tape.Reset(true, true)
		c.params.ZeroGrad(c.tape)
		loss, _ := model.Loss(c.tape, &batch[step%batches], smoothing)
		c.tape.Backward(loss)
		norm := optimizer.GradNorm(c.params)
		c.compare(fmt.Sprintf("loss of step %d", step), []float64{loss.Scalar()}, []float64{want}, tolerance{relative: 1e-5})
		c.compare(fmt.Sprintf("gradient norm of step %d", step), []float64{norm}, c.Values.GradNorm[step:step+1], tolerance{relative: 1e-4})
		o.Step(step+1, o.LearningRate(), optimizer.ClipScale(norm, limit))
		c.params.Changed()
	}
	return nil
}

func (c *reference) model() (*components.Model, error) {
	catalog := standard.Catalog()
	var parts components.Parts
	var encoder, decoder, attention map[string]any
	name, attentionName := "transformer", "multihead"
	switch family := c.text("family"); family {
	case "recurrent":
		decoder = map[string]any{"embedding_size": c.size("embedding_size"), "hidden_size": c.size("hidden_size"), "num_layers": c.size("layers")}
		encoder = map[string]any{"bidirectional": c.flag("bidirectional")}
		for key, value := range decoder {
			encoder[key] = value
		}
		if c.flag("input_feeding") {
			decoder["input_feeding"] = true
		}
		name, attentionName = c.text("cell"), c.text("attention")
		if attentionName == "additive" {
			attention = map[string]any{"attention_size": c.size("hidden_size")}
		}
	case "transformer":
		encoder = map[string]any{
			"model_size": c.size("model_size"), "num_heads": c.size("heads"), "ffn_size": c.size("ffn_size"),
			"num_layers": c.size("layers"), "norm": c.text("norm"), "activation": c.text("activation"),
		}
		decoder, attention = encoder, map[string]any{"num_heads": c.size("heads")}
	default:
		return nil, fmt.Errorf("family %q is unknown", family)
	}
	var err error
	if parts.Encoder, err = choose(&catalog.Encoders, name, encoder); err != nil {
		return nil, err
	}
	if parts.Decoder, err = choose(&catalog.Decoders, name, decoder); err != nil {
		return nil, err
	}
	if parts.Attention, err = choose(&catalog.Attentions, attentionName, attention); err != nil {
		return nil, err
	}
	vocabulary := c.size("vocab")
	return components.NewModel(parts, c.params, vocabulary, vocabulary)
}

// pairs returns the pairs of batch i. Its targets end with Eos, which Fill adds.
func (c *reference) pairs(i int) []components.Pair {
	name := func(part string) string { return fmt.Sprintf("batch%d.%s", i, part) }
	source, lengths := c.tensor(name("src")), c.tensor(name("src_lengths")).int32s()
	in, out := c.tensor(name("tgt_in")), c.tensor(name("tgt_out"))
	pairs := make([]components.Pair, len(lengths))
	steps := out.Shape[1]
	for b := range pairs {
		at := b * source.Shape[1]
		pairs[b].Source = source.int32s()[at : at+int(lengths[b])]
		read, said := in.int32s()[b*steps:(b+1)*steps], out.int32s()[b*steps:(b+1)*steps]
		length := 0
		for length < steps && said[length] != components.Pad {
			length++
		}
		if read[0] != components.Bos || said[length-1] != components.Eos {
			c.t.Fatalf("batch %d, row %d: reads %v, says %v", i, b, read, said)
		}
		pairs[b].Target = said[:length-1]
	}
	return pairs
}

// compareLogits compares at the steps of each target.
func (c *reference) compareLogits(logits *autodiff.Var, batch *components.Batch) {
	want := c.tensor("logits_step0")
	v, got := want.Shape[2], values(logits)
	if logits.Shape() != autodiff.NewShape(len(batch.TargetOut.Tokens), v) || want.Shape[0] != batch.TargetOut.Batch() || want.Shape[1] != batch.TargetOut.Longest() {
		c.t.Fatalf("logits are %v, of the longest targets want %v", logits.Shape(), want.Shape)
	}
	for b := range batch.TargetOut.Batch() {
		start, length := batch.TargetOut.At(b)
		from := b * want.Shape[1] * v
		c.compare(fmt.Sprintf("logits of row %d", b), got[start*v:(start+length)*v], want.Data[from:from+length*v], c.ofOutputs())
	}
}

var side = regexp.MustCompile(`^(encoder|decoder)\.(.*)$`)

// modelPlace is where a parameter of a whole model is.
func (c *reference) modelPlace(name string) place {
	for ours, theirs := range map[string]string{
		"source_embedding.": "src_embed.", "target_embedding.": "tgt_embed.", "output.": "out.",
		"encoder.norm.": "encoder_norm.", "decoder.norm.": "decoder_norm.",
		"decoder.bridge.": "bridge_h.", "decoder.bridge_cell.": "bridge_c.", "decoder.combine.": "combine.",
	} {
		if rest, ok := strings.CutPrefix(name, ours); ok {
			return whole(theirs + rest)
		}
	}
	if rest, ok := strings.CutPrefix(name, "decoder.attention."); ok {
		return whole("attn." + attentionPlace(c.text("attention"), rest).name)
	}
	m := side.FindStringSubmatch(name)
	if m == nil {
		c.t.Fatalf("parameter %s has no place", name)
	}
	p := recurrentPlace(m[2])
	if c.text("family") == "transformer" {
		layer, rest, _ := strings.Cut(strings.TrimPrefix(m[2], "layer"), ".")
		p = layerPlace(rest)
		p.name = layer + "." + p.name
	}
	p.name = m[1] + "." + p.name
	return p
}
