// Package autodiff is reverse-mode differentiation over coarse operations.
//
// A [Tape] records what a training step does: every operation computes its
// result at once, and leaves an [Op] behind that knows how to push gradients
// from its result to its inputs. [Tape.Backward] runs these in reverse. A whole
// LSTM layer is one entry, and so is a linear map with its bias, an attention,
// a softmax with its cross-entropy: forward and backward stand side by side in
// one file each. The small operations (Add, Mul, Tanh, Concat, ...) are for
// authors of new components, who then write no backward at all.
//
// A [Var] is a value on the tape, with its gradient. Parameters are Vars that
// outlive the tape; [Params] names, initialises and keeps them. At the borders
// (parameters, inputs, outputs, checkpoints) [Var.Dense] shows the same memory
// as a gorgonia tensor; inside the operations work on the slices.
//
// A tape has one element type. Component code is the same for both: float32
// runs the kernels, float64 runs their plain-loop twins and exists for gradient
// checks.
//
// Memory comes from the tape's arena and the entries from its slabs; both are
// taken back as a whole by [Tape.Reset], so a steady training step allocates
// nothing. It follows that a Var of a tape must not be used after the tape's
// Reset.
//
// Axis letters, here and in all packages of components: B batch, S source
// length, T target length (or any time), H hidden size, E embedding size, D
// model size, N heads, K head size, V vocabulary size.
package autodiff
