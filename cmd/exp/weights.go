package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"exp/runner"
	"exp/runner/checkpoint"
	"exp/runner/train"
	"exp/tracking"
)

func newWeights(p *places) *cobra.Command {
	c := &cobra.Command{
		Use:   "weights",
		Short: "Write the parameters of a trained model to a file",
		Long: `weights export writes the parameters of a trial, as its checkpoint has them, to a
safetensors file; train.init_from = "FILE" begins a training with them, to the bit.
A file from elsewhere does as well, if it has every parameter under its name, in
its shape, in F32, and nothing else: a file that does not is refused, with the
names of all that is wrong.

The names are the modules that exp show prints, joined by dots, as in
encoder.layer0.weight_ih. Weights of linear maps are [out, in]. The gates of a
recurrent layer lie one above the other, i f g o of an LSTM and r z n of a GRU, as in
PyTorch; a layer's other direction is under reverse. Self-attention's input is the
query's, the key's and the value's map one above the other.`,
		Example: `  exp weights export 3f9c21 trained.safetensors
  exp run experiments/quickstart.toml --set 'train.init_from="trained.safetensors"'`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(&cobra.Command{
		Use:   "export TRIAL FILE",
		Short: "Write the parameters of a trial to a safetensors file",
		Args:  cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			reader, err := tracking.OpenReadOnly(p.database())
			if err != nil {
				return failed(err)
			}
			defer reader.Close()
			t, err := findTrial(c.Context(), reader, args[0])
			if err != nil {
				return err
			}
			path := runner.CheckpointOf(p.checkpoints(), t.id)
			f, step, damaged, err := train.Weights(path)
			if errors.Is(err, fs.ErrNotExist) {
				return failed(fmt.Errorf("trial %s has no checkpoint %s", short(t.id), path))
			}
			if err != nil {
				return failed(err)
			}
			warnOf(c.ErrOrStderr(), t.id, damaged)
			f.Info = map[string]string{"trial": t.id, "step": step}
			if err := checkpoint.Write(args[1], f); err != nil {
				return failed(err)
			}
			n := 0
			for _, tensor := range f.Tensors {
				n += len(tensor.Values)
			}
			fmt.Fprintf(c.OutOrStdout(), "%s: %d tensors of %s parameters, of trial %s after step %s\n", args[1], len(f.Tensors), formatCount(n), short(t.id), step)
			return nil
		},
	})
	return c
}

// warnOf says of a trial's weights that they are not those of its newest checkpoint.
func warnOf(w io.Writer, trial string, damaged []error) {
	for _, err := range damaged {
		fmt.Fprintf(w, "exp: warning: trial %s: %v\n", short(trial), err)
	}
}
