// Package standard is the one place that names every component of the project.
package standard

import (
	"exp/components"
	"exp/components/attention"
	"exp/components/dense"
	"exp/components/frontend"
	"exp/components/metric"
	"exp/components/optimizer"
	"exp/components/recurrent"
	"exp/components/task"
	"exp/components/transformer"
)

// Catalog returns a new catalog with all of them.
func Catalog() *components.Catalog {
	c := components.NewCatalog()
	task.Register(c)
	frontend.Register(c)
	recurrent.Register(c)
	transformer.Register(c)
	dense.Register(c)
	attention.Register(c)
	components.RegisterOutputs(c)
	optimizer.Register(c)
	metric.Register(c)
	return c
}
