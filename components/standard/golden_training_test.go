package standard_test

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

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
	o, err := c.newOptimizer(c.text("optimizer"))
	if err != nil {
		return err
	}
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
		for _, options := range []map[string]any{encoder, decoder} {
			if err := c.activation(options); err != nil {
				return nil, err
			}
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

// TestDescriptions builds what a reference case can describe beyond those of the
// folder, and finds in PyTorch's names every parameter with as many elements.
func TestDescriptions(t *testing.T) {
	const vocabulary, E, H = 14, 10, 12
	gates := map[string]int{"rnn": 1, "lstm": 4, "gru": 3}
	for cell, gates := range gates {
		for _, layers := range []int{1, 3} {
			for _, directions := range []int{1, 2} {
				for _, attention := range []string{"none", "dot", "scaled_dot", "general", "additive"} {
					for _, feeding := range []bool{false, true} {
						if attention == "none" && feeding || strings.HasSuffix(attention, "dot") && directions == 2 {
							continue // nothing to feed; and sizes differ, which PyTorch's product refuses
						}
						memory, read := directions*H, E
						want := map[string]int{
							"src_embed.weight": vocabulary * E, "tgt_embed.weight": vocabulary * E,
							"out.weight": vocabulary * H, "out.bias": vocabulary,
						}
						stack := func(name, suffix string, in, width int) {
							for k := range layers {
								layer := fmt.Sprintf("_l%d%s", k, suffix)
								want[name+".weight_ih"+layer], want[name+".bias_ih"+layer] = gates*H*in, gates*H
								want[name+".weight_hh"+layer], want[name+".bias_hh"+layer] = gates*H*H, gates*H
								in = width
							}
						}
						stack("encoder", "", E, memory)
						if directions == 2 {
							stack("encoder", "_reverse", E, memory)
							want["bridge_h.weight"], want["bridge_h.bias"] = H*memory, H
							if cell == "lstm" {
								want["bridge_c.weight"], want["bridge_c.bias"] = H*memory, H
							}
						}
						if feeding {
							read += H
						}
						stack("decoder", "", read, H)
						switch attention {
						case "general":
							want["attn.W"] = H * memory
						case "additive":
							want["attn.Wq"], want["attn.Wk"], want["attn.v"] = H*H, H*memory, H
						}
						if attention != "none" {
							want["combine.weight"] = H * (memory + H)
						}
						description := map[string]any{
							"family": "recurrent", "cell": cell, "attention": attention, "vocab": float64(vocabulary), "embedding_size": float64(E),
							"hidden_size": float64(H), "layers": float64(layers), "bidirectional": directions == 2, "input_feeding": feeding,
						}
						if cell == "rnn" {
							description["nonlinearity"] = "relu"
						}
						t.Run(fmt.Sprintf("%s/%d/%d/%s/%v", cell, layers, directions, attention, feeding), func(t *testing.T) {
							c := &reference{Config: description, t: t, params: autodiff.Declare(), used: map[string]bool{}}
							if _, err := c.model(); err != nil {
								t.Fatal(err)
							}
							got := map[string]int{}
							for _, p := range c.params.All() {
								got[c.modelPlace(p.Name()).name] = p.Size()
							}
							if !maps.Equal(got, want) {
								t.Errorf("parameters are %v, want %v", got, want)
							}
							for key := range description {
								if !c.used[key] {
									t.Errorf("%s was not used", key)
								}
							}
						})
					}
				}
			}
		}
	}
}
