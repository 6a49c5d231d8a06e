package components

import (
	"slices"

	"exp/registry"
)

// Catalog is what a configuration can name.
type Catalog struct {
	FrontEnds  registry.Kind[FrontEnd, FrontEndDeps]
	Encoders   registry.Kind[Encoder, EncoderDeps]
	Decoders   registry.Kind[Decoder, DecoderDeps]
	Attentions registry.Kind[Attention, AttentionDeps]
	Outputs    registry.Kind[Output, OutputDeps]
	Optimizers registry.Kind[Optimizer, OptimizerDeps]
	Schedules  registry.Kind[Schedule, ScheduleDeps]
	Forcings   registry.Kind[Schedule, ScheduleDeps] // of the probability that a decoder reads the target's token and not its own
	Tasks      registry.Kind[Task, TaskDeps]
	Tokenizers registry.Kind[Tokenizer, TokenizerDeps] // of the option tokenizers of a task
	Metrics    registry.Kind[Metric, MetricDeps]
	Groups     registry.Family // of the option groups of [Training]
	Layers     registry.Family // of the option layers of an encoder or a decoder, whose package knows what they are; nil without one
}

// NewCatalog returns an empty catalog.
func NewCatalog() *Catalog {
	c := &Catalog{Groups: newGroups()}
	c.FrontEnds.Name = "front_end"
	c.Encoders.Name = "encoder"
	c.Decoders.Name = "decoder"
	c.Attentions.Name = "attention"
	c.Outputs.Name = "output"
	c.Optimizers.Name = "optimizer"
	c.Schedules.Name = "schedule"
	c.Forcings.Name = "teacher_forcing"
	c.Tasks.Name = "task"
	c.Tokenizers.Name = "tokenizer"
	c.Metrics.Name = "metric"
	return c
}

// Families returns the kinds of components, in the order in which they are
// shown.
func (c *Catalog) Families() []registry.Family {
	families := []registry.Family{&c.Tasks, &c.Tokenizers, &c.FrontEnds, &c.Encoders, &c.Decoders, &c.Attentions, &c.Outputs, &c.Optimizers, c.Groups, &c.Schedules, &c.Forcings, &c.Metrics}
	if c.Layers != nil {
		families = slices.Insert(families, 5, c.Layers)
	}
	return families
}
