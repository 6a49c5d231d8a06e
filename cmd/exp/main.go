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
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"exp/registry"
)

// Exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130
)

// processors is how many goroutines may compute at a time.
var processors = runtime.GOMAXPROCS(0)

func main() {
	// Unless a processor is idle, Go takes that of a thread whose call into C lasts
	// for more than 20 µs, as most of ours do, and the thread has to ask for another
	// at its end: a few percent of a step. So there is one more, always idle.
	runtime.GOMAXPROCS(processors + 1)
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

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
		if text, near, ok := strings.Cut(err.Error(), "\n\nDid you mean this?\n"); ok {
			err = fmt.Errorf("%s; did you mean %q?", text, strings.Fields(near)[0])
		}
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
	root.SetFlagErrorFunc(flagError)
	places := &places{}
	places.register(root)
	root.AddCommand(newRun(places), newPlan(places), newBench(), newData(), newCheck(), newVerifyResume(), newList(places), newShow(places), newDiff(places), newWeights(places), newPredict(places), newPlot(places), newComponents(), newVersion())
	return root
}

// flagError says of a flag that cannot be read what it could be.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		var names []string
		c.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("%w; %s", err, registry.Suggest(unknown.GetSpecifiedName(), names))
	case errors.As(err, &invalid):
		f := invalid.GetFlag()
		example := "a whole number, as 2"
		switch f.Value.Type() {
		case "duration":
			example = "a time, as 90s or 5m"
		case "float64":
			example = "a number, as 2.5"
		case "bool":
			example = "true or false"
		}
		return fmt.Errorf("--%s: must be %s, is %q", f.Name, example, invalid.GetValue())
	}
	return err
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
	said := map[string]bool{} // of a full disk every trial says the same
	for _, err := range registry.Split(f.err) {
		if text := strings.TrimSpace(err.Error()); !said[text] {
			said[text] = true
			fmt.Fprintf(w, "exp: error: %s\n", text)
		}
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
