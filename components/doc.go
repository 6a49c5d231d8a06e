// Package components is the contracts between the parts of a sequence-to-
// sequence model, and what surrounds it: [Encoder], [Decoder], [Attention],
// [Output], [Task], [Metric], [Optimizer], [Schedule]. A [Catalog] holds what can be
// named for each in a configuration; package standard fills one with everything
// the project ships. [Model] puts an encoder, a decoder, an attention and an output
// together.
//
// To add a component, write a constructor func(Options, Deps) (Contract, error)
// in a file of its package, and enter it with registry.Add where the package
// registers its others. Its options struct is its schema: defaults, checks and
// documentation.
//
// A batch is sequences one after the other, [Σ lengths, D], with
// [autodiff.Spans] that say where each lies: nothing fills the shorter ones up.
//
// Every contract holds these, and the tests check them for every registered
// component: the other sequences of the batch, longer or not, change no result; a
// decoder's result at step t does not depend on targets after t; stepping gives
// what the teacher-forced pass gives; the same seed gives the same bits.
package components
