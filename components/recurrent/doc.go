// Package recurrent has the recurrent cells (Elman's RNN, LSTM, GRU), stacks of
// them, and the encoders and decoders that unroll a stack over a source and a
// target; [HREDOptions], an encoder of two levels; [PyramidOptions], one of ever shorter
// ones; and [MeanOptions], one of none.
//
// A cell is its first state and a step, which decoders with input feeding take one
// by one. Over whole sequences a layer is one entry of the tape, with its backward
// written by hand: one product for the inputs of all steps, one small product a
// step on weights that were packed once an update, one product for each weight
// gradient. Inside it the batch is packed: rows sorted by length, step after step,
// only the steps that exist. So rows that have ended cost nothing, and the backward
// direction is the same code on rows read from their last step.
//
// A [Layer] is a cell with its size, directions, residual connection and dropouts;
// an encoder or a decoder is a list of them, alike by options of its own, or each
// as the option layers says. A bridge leads from an encoder's memory to the first
// state of a decoder.
package recurrent
