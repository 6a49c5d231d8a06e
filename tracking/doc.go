// Package tracking is the store: experiments, trials, runs and metrics in one
// SQLite file.
//
// [Open] opens it for writing, [OpenReadOnly] for reading; a [Store] is a
// [Reader] too. [Store.Register] enters an experiment's cells and trials,
// [Store.Begin] claims a trial, the [Run] takes what training says, [Store.End]
// ends it. [Reader.Trials], [Reader.FinalMetrics] and [Reader.Curves] give back
// what tables and figures are made of.
//
// Identity is content. A cell's id and a trial's id say what they are, not which
// file named them, so a trial belongs to any number of experiments and is trained
// once. Registering an experiment again changes what belongs to it and deletes
// nothing else.
//
// A trial has at most one live run, whatever the number of processes. A run gives
// a sign of life every 5 seconds; after 30 seconds without one, or at once if its
// process was on this machine and is no more, it is lost, and the trial may be begun
// again. Finished and diverged trials never are.
//
// Nothing is lost and nothing doubled by a crash at any moment. A run appends to a
// spool, a file of its own in the directory spool beside the database, of checksummed
// records; the store ingests them in transactions that also set down how far they got.
// After [Run.Sync] records survive a loss of power. Without it those of the last
// second may be lost with the process, as is the training since its last checkpoint.
//
// Metrics are the same for every run of a trial, so those at steps after the
// checkpoint that a run resumes from ([Run.Resume]) are void, and a trial that was
// killed and resumed has the same rows as one that was not. What differs from run to
// run is a measurement, and kept apart. NaN and infinities are kept as what they are.
//
// # SQL
//
// Views are public, to any program that reads SQLite; tables, named in the singular,
// are the store's own. Times are ISO 8601 in UTC, axes a JSON object from axis to value,
// and position the order of the experiment's file:
//
//	trials         experiment, position, variant, axes, seed, cell, trial, parameters, status, steps, run,
//	               started, finished, message
//	final_metrics  experiment, position, variant, axes, seed, trial, split, metric, step, value, kind
//	curves         experiment, position, variant, axes, seed, trial, split, metric, step, value, kind
//	metrics        trial, split, metric, step, value, kind
//	measurements   trial, run, name, step, value
//	readings       trial, split, step, at: each reading of the test split
//	runs           run, trial, status, message, stack, started, finished, host, pid, config, code_version, dirty,
//	               data_hash, go_version, platform, cpu, kernel, workers, command
//
// A trial's status is pending, running, finished, diverged, failed, interrupted or
// lost. Value is NULL where it is not a number; kind is finite, nan, +inf or -inf.
// final_metrics has, for finished trials, each metric at the last step at which it was
// evaluated:
//
//	SELECT axes ->> '$."train.optimizer.lr"' AS lr, count(*), avg(value)
//	FROM final_metrics
//	WHERE experiment = 'scan-length' AND split = 'test' AND metric = 'exact_match'
//	GROUP BY lr;
package tracking
