package train

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"exp/components"
)

// DivergedError is a number that is not finite.
type DivergedError struct {
	Step     int
	Loss     float64
	GradNorm float64
	Where    string // it came from, as [autodiff.Tape.Watched] says it
	Batch    string // the file with the batch that it came from, "" where none is kept
}

func (e *DivergedError) Error() string {
	text := fmt.Sprintf("diverged at step %d: loss %v, gradient norm %v", e.Step, e.Loss, e.GradNorm)
	if e.Where != "" {
		text += "; the first number that is not finite is from " + e.Where
	}
	if e.Batch != "" {
		text += "; its batch is in " + e.Batch
	}
	return text
}

// maxSkipped is how many updates in a row may be skipped: the weights are as they
// were, and so soon every batch is one that leads nowhere.
const maxSkipped = 100

// maxKept is how many batches of skipped updates are kept.
const maxKept = 10

// notFinite is what follows a loss or a gradient that is not finite: an error, or
// the update is skipped and the weights stay. Weights that are not finite do not get
// better.
func (t *trial) notFinite(loss, norm float64) error {
	if v := t.model.Params.FirstNotFinite(); v != nil {
		return t.overflowed(&DivergedError{Step: t.step, Loss: loss, GradNorm: norm, Where: fmt.Sprintf("the update of %s in step %d", v.Name(), t.step-1)})
	}
	t.skipped++
	t.inARow++
	skips := t.Training.NonFinite == components.Skip && t.inARow <= maxSkipped
	if skips {
		if err := t.sink.Metric(t.step, "train", "skipped", float64(t.skipped)); err != nil || t.skipped > maxKept {
			return err
		}
	}
	t.batches-- // the pass once more, as it was
	t.tape.Watch(t.model.Params)
	t.pass(t.prefetch.current)
	t.batches++
	diverged := &DivergedError{Step: t.step, Loss: loss, GradNorm: norm, Where: t.tape.Watched()}
	path, err := t.keepBatch(diverged)
	diverged.Batch = path
	if skips {
		t.sink.Warn(errors.Join(fmt.Errorf("skipped, not %w", diverged), err))
		return nil
	}
	return errors.Join(diverged, err)
}

// overflowed is the error of an update that made weights infinite, whose batch is
// kept already.
func (t *trial) overflowed(diverged *DivergedError) error {
	diverged.Batch = t.overflowBatch
	return errors.Join(diverged, t.overflowErr)
}

// batchFile is where the batch of a step is kept.
func (t *trial) batchFile(step int) string {
	return fmt.Sprintf("%s.step%d.batch.txt", strings.TrimSuffix(t.Checkpoint, filepath.Ext(t.Checkpoint)), step)
}

// keepBatch writes the current batch to a file beside the checkpoint, for people to
// read: the step and the seed, and of each pair the source and the target.
func (t *trial) keepBatch(e *DivergedError) (path string, err error) {
	if t.Checkpoint == "" {
		return "", nil
	}
	path = t.batchFile(e.Step)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("the batch is not kept: %w", err)
	}
	file, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("the batch is not kept: %w", err)
	}
	w := bufio.NewWriter(file)
	t.writeBatch(w, e)
	if err := errors.Join(w.Flush(), file.Close()); err != nil {
		return "", fmt.Errorf("the batch is not kept: %w", err)
	}
	return path, nil
}

func (t *trial) writeBatch(w *bufio.Writer, e *DivergedError) {
	b := t.prefetch.current
	fmt.Fprintf(w, "step %d, seed %d, batch %d of the training: loss %v, gradient norm %v\n", e.Step, t.Seed, t.batches, e.Loss, e.GradNorm)
	if e.Where != "" {
		fmt.Fprintf(w, "the first number that is not finite is from %s\n", e.Where)
	}
	aligned := t.model.Aligned()
	target := func(s components.Sequences, row int) string {
		from, n := s.At(row)
		var words []string
		for _, id := range s.Tokens[from : from+n] {
			if aligned {
				id += components.NumSpecial // a class
			}
			words = append(words, t.Data.TargetToken(id))
		}
		return strings.Join(words, " ")
	}
	for row := range b.TargetOut.Batch() {
		fmt.Fprintf(w, "\npair %d\n", row+1)
		from, n := b.Source.At(row)
		if t.Data.Source != nil {
			var words []string
			for _, id := range b.Source.Tokens[from : from+n] {
				words = append(words, t.Data.Source.Token(id))
			}
			fmt.Fprintf(w, "source  %s\n", strings.Join(words, " "))
		} else {
			t.writeFrames(w, b.Source.Frames, from, n)
		}
		fmt.Fprintf(w, "target  %s\n", target(b.TargetOut, row))
		if t.forcing != nil && !aligned { // which may have put other tokens there
			fmt.Fprintf(w, "read    %s\n", target(b.TargetIn, row))
		}
	}
}

// writeFrames writes the frames of a source, a line each.
func (t *trial) writeFrames(w *bufio.Writer, f components.Frames, from, n int) {
	fmt.Fprintf(w, "source  %d frames of %d numbers", n, f.Size)
	values := f.Values[from*f.Size : (from+n)*f.Size]
	for i, x := range values {
		if !finite(float64(x)) {
			fmt.Fprintf(w, "; the first that is not finite is number %d of frame %d", i%f.Size+1, i/f.Size+1)
			break
		}
	}
	fmt.Fprintln(w)
	for frame := range n {
		fmt.Fprintf(w, "        %s\n", strings.Trim(fmt.Sprint(values[frame*f.Size:(frame+1)*f.Size]), "[]"))
	}
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
