// Package runner trains an experiment's trials on this machine's cores and
// records them in the store.
//
// [Prepare] loads the data and makes sure that every cell can be built, before
// anything is written. [Run] then trains what the store does not have: a
// finished trial is never trained twice, one that was interrupted or killed goes
// on from its checkpoint, and one that diverges, fails or panics is recorded as
// such while the others go on.
//
// Each worker trains one trial at a time on one core, and when no trial is left
// to begin it helps with those under way: a lone trial, or the last of a sweep, is
// computed on all of the workers' cores. A trial's numbers depend on its
// configuration and its seed alone, not on the workers.
package runner
