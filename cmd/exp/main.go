// Command exp trains the grid of models that a TOML file declares, records every
// metric in a SQLite file, and renders the figures and tables of the paper.
//
//	exp run experiments/quickstart.toml
//
// It exits with 0 when it is done, 1 when a trial failed or diverged or the
// machine did not let it finish, 2 when the command or the configuration is
// wrong, and 130 when it was interrupted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"exp/registry"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is the whole command, with its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	var failure *failure
	if !errors.As(err, &failure) { // from cobra: an argument or a flag
		failure = usage(err, "exp --help lists the commands, exp COMMAND --help their arguments and flags")
	}
	failure.print(stderr)
	return failure.code
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "exp",
		Short: "Train the grid of a TOML file and render its figures",
		Long: `exp trains the grid of sequence-to-sequence models that a TOML file declares,
records every metric in a SQLite file, and renders the figures and tables of the
paper. What it has trained once it does not train again; what was interrupted it
goes on with.`,
		Example: `  exp run experiments/quickstart.toml      train it, or what is missing of it
  exp plan experiments/quickstart.toml     say what would be trained, and for how long
  exp list                                 say what has been trained`,
		RunE:          func(c *cobra.Command, _ []string) error { return c.Help() },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	places := &places{}
	places.register(root)
	root.AddCommand(newRun(places), newPlan(places), newBench(), newList(places), newShow(places), newPlot(places), newComponents(), newVersion())
	return root
}

// failure is an error with the exit code it leads to.
type failure struct {
	code int
	err  error
	hint string // what to do about it, "" where err says that
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func (f *failure) print(w io.Writer) {
	for _, err := range registry.Split(f.err) {
		fmt.Fprintf(w, "exp: error: %s\n", strings.TrimSpace(err.Error()))
	}
	if f.hint != "" {
		fmt.Fprintf(w, "exp: hint: %s\n", f.hint)
	}
}

// usage is a fault of the command or of the configuration.
func usage(err error, hint string) *failure { return &failure{exitUsage, err, hint} }

// failed is a fault of the machine.
func failed(err error) *failure { return &failure{code: exitFailed, err: err} }

// places is where things are kept.
type places struct{ runs, figures string }

func (p *places) register(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.StringVar(&p.runs, "runs", environment("EXP_RUNS", "runs"), "folder of the database, spools and checkpoints; also EXP_RUNS")
	flags.StringVar(&p.figures, "figures", environment("EXP_FIGURES", "figures"), "folder of the figures, a folder an experiment; also EXP_FIGURES")
	for _, name := range []string{"runs", "figures"} {
		if err := root.MarkPersistentFlagDirname(name); err != nil {
			panic(err)
		}
	}
}

// environment is the value of a variable, or where it is empty a default.
func environment(name, value string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return value
}
