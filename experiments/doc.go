// Package experiments turns a TOML file into the cells of an experiment.
//
// [Load] reads the file, with what it extends and what is set over it, and
// returns an [Experiment]. Its sweep spans [Axis]es; every point of their product
// is a [Cell], a configuration with nothing left to decide but the seed, and a
// cell with a seed is a [Trial]. The TOML files beside this package are the
// gallery: [Gallery] names them.
//
// # A configuration
//
//	[task]                   where pairs come from
//	[model.front_end]        makes vectors of frames, where sources are real-valued; linear by default
//	[model.encoder]          reads the source
//	[model.decoder]          says the target
//	[model.attention]        of the decoder to the source; the decoder's own by default, or none
//	[model.output]           of the decoder's states to the target's tokens; softmax by default
//	[model.embeddings]       the tables of token vectors: shared, tied, scaled, frozen, loaded from a file
//	[train]                  how long, in what batches
//	[train.optimizer]        adam by default
//	[train.schedule]         of the learning rate, constant by default
//	[train.teacher_forcing]  always by default, or scheduled sampling
//	[evaluate]               when, and which metrics
//	[evaluate.breakdown]     by what lengths every metric is computed apart as well
//	[evaluate.diagnostics]   what is looked at within the model: gradients, saturation, attention
//
// A table with a type names a component, and its other keys are that component's
// options. Metrics are a list: a metric without options is its name, else a table.
// Names are matched exactly. A key that means nothing, a value of the wrong type
// or out of range, and parts that do not fit are errors: [Load] returns all of
// them, each with its file and line. Models are checked with shapes only, for
// vocabularies of 16 tokens; what depends on the data is checked with the data.
//
// Paths of data files are as the program sees them, not the file; those of a task
// that begin with $EXP_DATA_DIR/ are in the folder that this variable of the
// environment names, and which folder that is changes nothing. Around the
// configuration there are name (by default the file's), description, extends,
// [sweep] and [[figures]].
//
// # Extending
//
// extends names another file, relative to the one that says it. The two are
// merged key by key, and the one that extends wins:
//
//   - A table given as such, by a header or in braces, replaces the inherited
//     one if it has a type. Without a type its keys are merged.
//   - A dotted key changes that key. If it is a type, the options that are stated
//     stay, and the file is refused if the new component lacks one of them:
//     nothing falls back to a default in silence.
//   - Lists, those of figures too, are replaced. name and description are not
//     inherited: they say which file it is.
//
// # Sweeping
//
// [sweep] says seeds, a number of them from 1 or a list, and the axes. The axes of
// [sweep.grid] are paths with the values that they take; a value may be a whole
// component in braces:
//
//	[sweep.grid]
//	"train.optimizer.lr" = [3e-4, 1e-3]
//	"model.attention"    = [{ type = "none" }, { type = "additive", attention_size = 64 }]
//
// [sweep.variants] names alternatives that change several tables of model, train
// and evaluate together. They are merged as a file that extends is, and make the
// first axis, "variant". The file's own model is trained where a variant is empty:
//
//	[sweep.variants.lstm]
//	[sweep.variants.transformer]
//	model.encoder = { type = "transformer" }
//	model.decoder = { type = "transformer" }
//
// In their place, [sweep.ablate] compares the file's own model, the baseline, with
// changes of one thing each, a path with its value as in a grid:
//
//	[sweep.ablate]
//	baseline = "full"
//	[sweep.ablate.no_attention]
//	"model.attention" = { type = "none" }
//	[sweep.ablate.narrow]
//	model.encoder.hidden_size = 32
//
// A path may be quoted or not; it is the same. Two paths must not change the same
// thing, nor two points of the sweep lead to the same cell.
//
// What [Options] sets is applied to every cell, over its variant. To set what an
// axis varies, set the axis: sweep.grid.train.optimizer.lr=[1e-3].
//
// # Identity
//
// The ID of a cell hashes what can change its results: the task with the content
// of the files that it reads, the model, training, and when and in what batches it
// is evaluated; each component with its version. Options that are as they are by
// default are left out, and so are metrics, names and figures. The file's layout,
// and the place of the cell in it, are no part of it: the same cell in two files
// has one ID. A trial's ID adds the seed.
package experiments
