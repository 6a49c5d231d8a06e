package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"exp/components"
	"exp/components/standard"
	"exp/experiments"
	"exp/registry"
	"exp/tracking"
)

// named is what an argument names: the cells of a file, one of them, or a trial.
type named struct {
	experiment *experiments.Experiment // of a file
	whole      bool                    // all cells of the file
	trial      *found
	cells      []*experiments.Cell // of a trial, as it was recorded: without ID
}

// namesFile says whether an argument names a file, FILE or FILE:CELL, and takes
// it apart. Anything else is a trial.
func namesFile(argument string) (path, label string, ok bool) {
	if info, err := os.Stat(argument); err == nil && !info.IsDir() || strings.HasSuffix(argument, ".toml") {
		return argument, "", true
	}
	if at := strings.Index(argument, ".toml:"); at >= 0 {
		return argument[:at+len(".toml")], argument[at+len(".toml:"):], true
	}
	return "", "", false
}

// find returns what an argument names.
func (p *places) find(ctx context.Context, argument string) (*named, error) {
	path, label, isFile := namesFile(argument)
	if !isFile {
		reader, err := tracking.OpenReadOnly(p.database())
		if err != nil {
			return nil, usage(err, fmt.Sprintf("%q is no file, and so names a trial", argument))
		}
		defer reader.Close()
		t, err := findTrial(ctx, reader, argument)
		if err != nil {
			return nil, err
		}
		c, err := t.decode(t.config())
		if err != nil {
			return nil, err
		}
		return &named{trial: t, cells: []*experiments.Cell{c}}, nil
	}
	e, _, err := load(path, nil)
	if err != nil {
		return nil, err
	}
	n := &named{experiment: e, whole: path == argument}
	var labels []string
	for i := range e.Cells {
		c := &e.Cells[i]
		labels = append(labels, c.Label())
		if n.whole || c.Label() == label {
			n.cells = append(n.cells, c)
		}
	}
	if n.cells == nil {
		return nil, usage(fmt.Errorf("%s: has no cell %q; %s", path, label, registry.Suggest(label, labels)), "exp plan FILE lists the cells of a file")
	}
	return n, nil
}

// decode returns the cell of a trial as it was recorded.
func (t *found) decode(config string) (*experiments.Cell, error) {
	c, err := experiments.Recorded(standard.Catalog(), "trial "+short(t.id), config)
	if err != nil {
		return nil, usage(err, "the trial was recorded by another version of exp")
	}
	return c, nil
}

// id is the identity of the only cell.
func (n *named) id() string {
	if n.trial != nil {
		return n.trial.cell
	}
	return n.cells[0].ID
}

// dataContent is the hash of what the files hold that a cell's task reads: of a
// trial, those that it was trained on, "" where it was not.
func (n *named) dataContent(c *experiments.Cell) (string, error) {
	if n.trial != nil {
		return n.trial.data, nil
	}
	task, err := c.Task.Build(components.TaskDeps{})
	if err != nil {
		return "", err
	}
	return task.Identity()
}
