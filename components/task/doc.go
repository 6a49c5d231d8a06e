// Package task has where pairs of source and target come from.
//
// Generated tasks draw from the seed of the task, not of the trial: [Synthetic]
// is most of them, and [Scan] and [Labels] are the others.
package task
