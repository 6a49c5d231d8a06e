package standard_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"exp/components"
	"exp/components/autodiff"
	"exp/components/nn"
	"exp/components/optimizer"
	"exp/components/standard"
	"exp/components/transformer"
	"exp/registry"
)

// choose decodes a component's options as a file's are.
func choose[C, D any](k *registry.Kind[C, D], name string, options map[string]any) (registry.Build[C, D], error) {
	table := registry.NewTable(k.Name, registry.Origin{File: "case"})
	table.Set("type", registry.Value{Data: name})
	for _, key := range slices.Sorted(maps.Keys(options)) {
		value := options[key]
		if n, ok := value.(int); ok {
			value = int64(n)
		}
		table.Set(key, registry.Value{Data: value})
	}
	choice, err := k.Decode(table)
	return choice.Build, err
}

// given is an embedder of any tokens as one value.
type given struct{ v *autodiff.Var }

func (g given) Embed(*autodiff.Tape, components.Sequences) *autodiff.Var { return g.v }

func (c *reference) recurrent() error {
	options := map[string]any{
		"embedding_size": c.size("input_size"),
		"hidden_size":    c.size("hidden_size"),
		"num_layers":     c.size("layers"),
		"bidirectional":  c.flag("bidirectional"),
	}
	if err := c.activation(options); err != nil {
		return err
	}
	build, err := choose(&standard.Catalog().Encoders, c.text("cell"), options)
	if err != nil {
		return err
	}
	input, packed := c.input("input"), c.packed("input", "lengths")
	encoder, err := build(components.EncoderDeps{Params: c.params, Source: func(size int) (components.Embedder, error) {
		if size != input.Dim(2) {
			return nil, fmt.Errorf("an embedding of size %d was asked for, not %d", size, input.Dim(2))
		}
		return given{packed.pack(c.tape, input)}, nil
	}})
	if err != nil {
		return err
	}
	c.load(recurrentPlace)
	memory := encoder.Encode(c.tape, components.Sequences{Spans: packed.spans})
	output := packed.unpack(c.tape, memory.States)
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.compare("h_n", c.final(memory, func(s components.FinalState) *autodiff.Var { return s.Hidden }), c.tensor("h_n").Data, c.ofOutputs())
	if c.text("cell") == "lstm" {
		c.compare("c_n", c.final(memory, func(s components.FinalState) *autodiff.Var { return s.Cell }), c.tensor("c_n").Data, c.ofOutputs())
	}
	c.backward(output, recurrentPlace, map[string]*autodiff.Var{"input": input})
	return nil
}

// activation adds the nonlinearity of a cell, tanh where the case does not say,
// to its options.
func (c *reference) activation(options map[string]any) error {
	if _, said := c.Config["nonlinearity"]; !said {
		return nil
	}
	switch activation := c.text("nonlinearity"); {
	case c.text("cell") == "rnn":
		options["activation"] = activation
	case activation != "tanh":
		return fmt.Errorf("a %s has no nonlinearity %q", c.text("cell"), activation)
	}
	return nil
}

// rows is where the sequences of a tensor [B, T, D] lie in it, of the lengths
// that another tensor holds; "" for those of the whole length.
func (c *reference) rows(name, lengths string) autodiff.Spans {
	batch, steps := c.tensor(name).Shape[0], c.tensor(name).Shape[1]
	var s autodiff.Spans
	for b := range batch {
		s.Starts, s.Lengths = append(s.Starts, int32(b*steps)), append(s.Lengths, int32(steps))
	}
	if lengths != "" {
		s.Lengths = c.tensor(lengths).int32s()
	}
	return s
}

func flat(v *autodiff.Var) *autodiff.Var { return v.Reshape(v.Dim(0)*v.Dim(1), v.Dim(2)) }

// packed leads from a tensor [B, T, D] of sequences that are filled up to ones
// that are not, and back to zeros past the lengths.
type packed struct {
	batch, steps int
	index        []int32        // [Σ lengths]: rows of the tensor
	spans        autodiff.Spans // of the sequences that index lays one after the other
}

func (c *reference) packed(name, lengths string) packed {
	p := packed{batch: c.tensor(name).Shape[0], steps: c.tensor(name).Shape[1]}
	for b := range p.batch {
		start, length := c.rows(name, lengths).At(b)
		p.spans.Starts, p.spans.Lengths = append(p.spans.Starts, int32(len(p.index))), append(p.spans.Lengths, int32(length))
		for step := range length {
			p.index = append(p.index, int32(start+step))
		}
	}
	return p
}

func (p packed) pack(t *autodiff.Tape, v *autodiff.Var) *autodiff.Var {
	return autodiff.Rows(t, v, p.index)
}

func (p packed) unpack(t *autodiff.Tape, v *autodiff.Var) *autodiff.Var {
	y := t.Zero(p.batch, p.steps, v.Dim(1))
	autodiff.Scatter(t, y, v, p.index)
	return y
}

// final brings the final states, a layer [B, directions H], to PyTorch's order,
// [layers directions, B, H].
func (c *reference) final(m components.Memory, part func(components.FinalState) *autodiff.Var) []float64 {
	hidden := c.size("hidden_size")
	var out []float64
	for _, state := range m.Final {
		v := part(state)
		all, width := values(v), v.Dim(1)
		for at := 0; at < width; at += hidden {
			for b := range v.Dim(0) {
				out = append(out, all[b*width+at:][:hidden]...)
			}
		}
	}
	return out
}

var layerParameter = regexp.MustCompile(`^layer(\d+)\.(reverse\.)?(\w+)$`)

func recurrentPlace(name string) place {
	m := layerParameter.FindStringSubmatch(name)
	if m == nil {
		return whole(name)
	}
	if m[2] != "" {
		return whole(m[3] + "_l" + m[1] + "_reverse")
	}
	return whole(m[3] + "_l" + m[1])
}

func (c *reference) attention() error {
	options := map[string]any{}
	if size := c.size("attention_size"); size > 0 {
		options["attention_size"] = size
	}
	build, err := choose(&standard.Catalog().Attentions, c.text("type"), options)
	if err != nil {
		return err
	}
	attention, err := build(components.AttentionDeps{Params: c.params, QuerySize: c.size("query_size"), MemorySize: c.size("memory_size")})
	if err != nil {
		return err
	}
	find := func(name string) place { return attentionPlace(c.text("type"), name) }
	c.load(find)
	query, memory := c.input("query"), c.input("memory")
	prepared := attention.Prepare(c.tape, components.Memory{States: flat(memory), Spans: c.rows("memory", "lengths")})
	output, weights := attention.Attend(c.tape, flat(query), c.rows("query", ""), &prepared)
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.compare("weights", values(weights), c.tensor("weights").Data, c.ofOutputs())
	c.backward(output, find, map[string]*autodiff.Var{"query": query, "memory": memory})
	return nil
}

func attentionPlace(kind, name string) place {
	switch {
	case kind == "general" && name == "key.weight":
		return whole("W")
	case name == "query.weight":
		return whole("Wq")
	case name == "key.weight":
		return whole("Wk")
	}
	return whole(name)
}

func (c *reference) multihead() error {
	query := c.input("query")
	size, heads := c.size("model_size"), c.size("heads")
	inputs := map[string]*autodiff.Var{"query": query}
	var output, weights *autodiff.Var
	if c.flag("cross") {
		if c.flag("causal") {
			return fmt.Errorf("attention to a memory is never causal")
		}
		build, err := choose(&standard.Catalog().Attentions, "multihead", map[string]any{"num_heads": heads})
		if err != nil {
			return err
		}
		attention, err := build(components.AttentionDeps{Params: c.params, QuerySize: size, MemorySize: size})
		if err != nil {
			return err
		}
		c.load(multiheadPlace)
		inputs["memory"] = c.input("memory")
		prepared := attention.Prepare(c.tape, components.Memory{States: flat(inputs["memory"]), Spans: c.rows("memory", "key_lengths")})
		output, weights = attention.Attend(c.tape, flat(query), c.rows("query", ""), &prepared)
	} else {
		self := nn.NewSelfAttention(c.params, "self", size, heads)
		c.load(multiheadPlace)
		output, weights = self.Forward(c.tape, flat(query), c.rows("query", ""), c.rows("query", "key_lengths"), c.flag("causal"))
	}
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.compare("weights", values(weights), c.tensor("weights").Data, c.ofOutputs())
	c.backward(output, multiheadPlace, inputs)
	return nil
}

// multiheadPlace: PyTorch stacks the projections of query, key and value.
func multiheadPlace(name string) place {
	part, kind, _ := strings.Cut(strings.TrimPrefix(name, "self."), ".")
	switch part {
	case "input":
		return whole("in_proj_" + kind)
	case "query":
		return place{"in_proj_" + kind, 0, 1}
	case "key_value":
		return place{"in_proj_" + kind, 1, 3}
	}
	return whole("out_proj." + kind)
}

func (c *reference) layerOptions() transformer.Options {
	return transformer.Options{
		ModelSize: c.size("model_size"), NumHeads: c.size("heads"), FFNSize: c.size("ffn_size"),
		Norm: transformer.Norm(c.text("norm")), Activation: transformer.Activation(c.text("activation")),
	}
}

func (c *reference) encoderLayer() error {
	layer := transformer.NewEncoderLayer(c.params, c.layerOptions())
	c.load(layerPlace)
	input, packed := c.input("input"), c.packed("input", "lengths")
	output := packed.unpack(c.tape, layer.Forward(c.tape, packed.pack(c.tape, input), packed.spans))
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.backward(output, layerPlace, map[string]*autodiff.Var{"input": input})
	return nil
}

func (c *reference) decoderLayer() error {
	options := c.layerOptions()
	build, err := choose(&standard.Catalog().Attentions, "multihead", map[string]any{"num_heads": options.NumHeads})
	if err != nil {
		return err
	}
	attention, err := build(components.AttentionDeps{Params: c.params.Scope("attention"), QuerySize: options.ModelSize, MemorySize: options.ModelSize})
	if err != nil {
		return err
	}
	layer := transformer.NewDecoderLayer(c.params, options, attention)
	c.load(layerPlace)
	input, memory := c.input("input"), c.input("memory")
	prepared := layer.Prepare(c.tape, components.Memory{States: flat(memory), Spans: c.rows("memory", "lengths")})
	output, _, _ := layer.Forward(c.tape, flat(input), c.rows("input", ""), &prepared)
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.backward(output, layerPlace, map[string]*autodiff.Var{"input": input, "memory": memory})
	return nil
}

// layerPlace is where a parameter of a Transformer layer is.
func layerPlace(name string) place {
	for ours, theirs := range map[string]string{"self_attention.": "self_attn.", "attention.": "multihead_attn."} {
		if rest, ok := strings.CutPrefix(name, ours); ok {
			p := multiheadPlace(rest)
			p.name = theirs + p.name
			return p
		}
	}
	return whole(name)
}

func (c *reference) layerNorm() error {
	norm := nn.NewLayerNorm(c.params, "norm", c.size("size"))
	find := func(name string) place { return whole(strings.TrimPrefix(name, "norm.")) }
	c.load(find)
	input := c.input("input")
	output := autodiff.LayerNorm(c.tape, input, norm.Gain, norm.Bias, config[float64](c, "eps"))
	c.compare("output", values(output), c.tensor("output").Data, c.ofOutputs())
	c.backward(output, find, map[string]*autodiff.Var{"input": input})
	return nil
}

func (c *reference) crossEntropy() error {
	if c.text("reduction") != "mean over non-pad tokens" {
		return fmt.Errorf("reduction is %q", c.text("reduction"))
	}
	logits, targets := c.input("logits"), c.tensor("targets").int32s()
	pad := int32(c.size("pad_id"))
	var positions, wanted []int32
	for i, target := range targets {
		if target != pad {
			positions, wanted = append(positions, int32(i)), append(wanted, target)
		}
	}
	loss := autodiff.CrossEntropy(c.tape, autodiff.Rows(c.tape, logits, positions), wanted, config[float64](c, "label_smoothing"))
	c.tape.Backward(loss)
	c.compare("loss", values(loss), []float64{c.Values.Loss.(float64)}, c.ofOutputs())
	c.compare("gradient of logits", grads(logits), c.tensor("grad.logits").Data, c.ofGradients())
	return nil
}

// optimizer minimises 0.5 p'Ap - b'p.
func (c *reference) optimizer() error {
	start := c.tensor("start")
	p := c.params.New("p", nn.Zeros(), start.Shape...)
	if err := c.params.Set(p, start.float32s()); err != nil {
		return err
	}
	o, err := c.newOptimizer(c.text("type"))
	if err != nil {
		return err
	}
	limit := c.optional("clip_global_norm")
	matrix, b, path, n := c.tensor("A").Data, c.tensor("b").Data, c.tensor("path").Data, p.Size()
	for step, loss := range c.losses() {
		at, got := values(p), 0.0
		for i := range n {
			ap := 0.0
			for j := range n {
				ap += matrix[i*n+j] * at[j]
			}
			autodiff.Grad[float32](p)[i] = float32(ap - b[i])
			got += at[i] * (0.5*ap - b[i])
		}
		c.compare(fmt.Sprintf("loss of step %d", step), []float64{got}, []float64{loss}, c.ofOutputs())
		o.Step(step+1, o.LearningRate(), optimizer.ClipScale(optimizer.GradNorm(c.params), limit))
		c.compare(fmt.Sprintf("path after step %d", step), values(p), path[step*n:(step+1)*n], c.ofOutputs())
	}
	return nil
}

// newOptimizer builds an optimizer with those of its options that the case states.
func (c *reference) newOptimizer(name string) (components.Optimizer, error) {
	kind, options := &standard.Catalog().Optimizers, map[string]any{}
	component, _ := kind.Describe(name)
	for _, o := range component.Options {
		key := o.Key
		switch {
		case key == "epsilon":
			key = "eps" // as PyTorch calls it
		case c.Config["betas"] != nil && (key == "beta1" || key == "beta2"):
			c.used["betas"] = true
			options[key] = c.Config["betas"].([]any)[key[len(key)-1]-'1']
		}
		if value, ok := c.Config[key]; ok {
			options[o.Key], c.used[key] = value, true
		}
	}
	build, err := choose(kind, name, options)
	if err != nil {
		return nil, err
	}
	return build(components.OptimizerDeps{Params: c.params})
}

// optional returns a number of the configuration, 0 for null.
func (c *reference) optional(key string) float64 {
	if c.Config[key] == nil {
		c.used[key] = true
		return 0
	}
	return config[float64](c, key)
}

func (c *reference) losses() []float64 {
	var out []float64
	for _, loss := range c.Values.Loss.([]any) {
		out = append(out, loss.(float64))
	}
	return out
}
