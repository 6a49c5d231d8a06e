package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"exp/tracking"
)

func newList(p *places) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "list [EXPERIMENT]",
		Short: "List the experiments of the database, or the trials of one",
		Example: `  exp list
  exp list quickstart
  exp list quickstart --json`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: p.completeExperiments,
		RunE: func(c *cobra.Command, args []string) error {
			reader, err := tracking.OpenReadOnly(p.database())
			if err != nil {
				return failed(err)
			}
			defer reader.Close()
			if len(args) == 1 {
				return listTrials(c.Context(), reader, args[0], asJSON, c.OutOrStdout())
			}
			return listExperiments(c.Context(), reader, asJSON, c.OutOrStdout())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func listExperiments(ctx context.Context, r *tracking.Reader, asJSON bool, w io.Writer) error {
	rows, err := r.Experiments(ctx)
	if err != nil {
		return failed(err)
	}
	type entry struct {
		Name   string                  `json:"name"`
		Path   string                  `json:"path"`
		Cells  int                     `json:"cells"`
		Trials map[tracking.Status]int `json:"trials"`
	}
	entries := []entry{}
	t := newTable("experiment", "cells", "trials", "", "file")
	alignNumbers(t, 2, 3)
	for _, e := range rows {
		entries = append(entries, entry{e.Name, e.Path, e.Cells, e.Trials})
		total := 0
		for _, n := range e.Trials {
			total += n
		}
		t.AppendRow([]any{e.Name, e.Cells, total, countStatuses(e.Trials), e.Path})
	}
	if asJSON {
		return writeJSON(w, entries)
	}
	fmt.Fprintln(w, t.Render())
	return nil
}

// countStatuses says how many trials are in which state.
func countStatuses(trials map[tracking.Status]int) string {
	var parts []string
	for _, s := range []tracking.Status{tracking.Finished, tracking.Running, tracking.Diverged, tracking.Failed, tracking.Interrupted, tracking.Lost, tracking.Pending} {
		if n := trials[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return strings.Join(parts, ", ")
}

// trialEntry is a trial as it is listed.
type trialEntry struct {
	Trial   string          `json:"trial"`
	Variant string          `json:"variant,omitempty"`
	Axes    axes            `json:"axes"`
	Seed    int64           `json:"seed"`
	Status  tracking.Status `json:"status"`
	Steps   int             `json:"steps"`
	Seconds float64         `json:"seconds,omitempty"` // of the last run
	Message string          `json:"message,omitempty"`
}

// axes is written as one JSON object.
type axes []tracking.Axis

// MarshalJSON keeps the order of the axes.
func (a axes) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, axis := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		key := e.Encode(axis.Key)
		b.WriteByte(':')
		if err := errors.Join(key, e.Encode(axis.Value)); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (a axes) String() string {
	var parts []string
	for _, axis := range a {
		parts = append(parts, axis.Value)
	}
	return strings.Join(parts, " ")
}

func listTrials(ctx context.Context, r *tracking.Reader, experiment string, asJSON bool, w io.Writer) error {
	rows, err := r.Trials(ctx, experiment)
	if err != nil {
		return failed(err)
	}
	entries := []trialEntry{}
	t := newTable("trial", "cell", "seed", "status", "steps", "time", "")
	alignNumbers(t, 5, 6)
	for _, row := range rows {
		e := trialEntry{row.Trial, row.Variant, axes(row.Axes), row.Seed, row.Status, row.Steps, 0, row.Message}
		duration := ""
		if !row.Finished.IsZero() {
			e.Seconds = row.Finished.Sub(row.Started).Seconds()
			duration = formatDuration(row.Finished.Sub(row.Started).Round(100 * time.Millisecond))
		}
		entries = append(entries, e)
		t.AppendRow([]any{short(row.Trial), e.Axes, row.Seed, row.Status, formatCount(row.Steps), duration, row.Message})
	}
	if asJSON {
		return writeJSON(w, entries)
	}
	fmt.Fprintln(w, t.Render())
	return nil
}

// completeExperiments offers the names in the database.
func (p *places) completeExperiments(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	reader, err := tracking.OpenReadOnly(p.database())
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer reader.Close()
	rows, err := reader.Experiments(c.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, e := range rows {
		names = append(names, e.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
