// Package runner trains an experiment's trials on this machine's cores and
// records them in the store.
//
// [Prepare] loads the data and makes sure that every cell can be built, before
// anything is written. [Run] then trains what the store does not have: a
// finished trial is never trained twice, one that was interrupted or killed goes
// on from its checkpoint, and one that diverges, fails or panics is recorded as
// such while the others go on.
//
// Each worker trains one trial at a time on one core. A trial's numbers depend on
// its configuration and its seed alone, not on the workers.
package runner
