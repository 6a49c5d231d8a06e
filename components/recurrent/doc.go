// Package recurrent has the recurrent cells (Elman's RNN, LSTM, GRU), stacks of
// them, and the encoder and decoder that unroll a stack over a source and a
// target.
//
// A layer is one entry of the tape, with its backward written by hand: one
// product for the inputs of all steps, one small product a step on weights that
// were packed once an update, one product for each weight gradient. Inside it
// the batch is packed: rows sorted by length, step after step, only the steps
// that exist. So rows that have ended cost nothing, and the backward direction is
// the same code on rows read from their last step.
package recurrent
