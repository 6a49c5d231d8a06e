package main

import (
	"exp/components/standard"
	"exp/experiments"
	"exp/plots"
	"exp/registry"
)

// load reads an experiment and builds its figures. Every fault is one of the
// configuration.
func load(path string, set []string) (*experiments.Experiment, []plots.Figure, error) {
	kind := plots.NewKind()
	e, err := experiments.Load(path, experiments.Options{
		Catalog: standard.Catalog(),
		Figure: func(t *registry.Table) error {
			_, err := kind.Decode(t)
			return err
		},
		Set: set,
	})
	if err != nil {
		return nil, nil, usage(err, "")
	}
	figures, err := buildFigures(e)
	if err != nil {
		return nil, nil, usage(err, "")
	}
	return e, figures, nil
}
