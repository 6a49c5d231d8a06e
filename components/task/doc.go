// Package task has where pairs of source and target come from, and what cuts text
// into tokens.
//
// Generated tasks draw from the seed of the task, not of the trial: [Synthetic]
// is most of them, and [Scan] and [Labels] are the others. [Text] reads pairs of
// text from files: the tasks parallel and dialogue. [Recordings] makes frames of WAV
// files: the task speech.
//
// A [components.Tokenizer] learns its tokens from the training that is kept, and
// nothing else. The tokens of pairs of text lie in temporary files, whatever the
// size of the text, and 16 bytes a pair in memory say where. Frames are in memory.
//
// What is wrong with a file is an error that names file and line. What is odd, and
// what is left out or cut, is counted in the notes of [components.Data].
package task
