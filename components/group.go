package components

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"exp/components/autodiff"
	"exp/registry"
)

// Group is parameters that are trained otherwise than the rest.
type Group struct {
	Parameters  string  // pattern of their names
	Frozen      bool    // not trained
	LR          float64 // multiplies the learning rate
	WeightDecay float64 // multiplies the optimizer's weight decay
}

// Groups is in order: a parameter belongs to the first whose pattern its name fits.
type Groups []Group

// Of is the group of the parameter of that name; that of all others changes nothing.
func (g Groups) Of(name string) Group {
	if i := g.index(name); i >= 0 {
		return g[i]
	}
	return Group{LR: 1, WeightDecay: 1}
}

// index is the number of the group of the parameter of that name, -1 without one.
func (g Groups) index(name string) int {
	return slices.IndexFunc(g, func(group Group) bool {
		fits, _ := path.Match(group.Parameters, name)
		return fits
	})
}

// Freeze freezes the parameters of the groups that are not trained. An error says
// which group has no parameter, or that nothing is left to train.
func (g Groups) Freeze(p *autodiff.Params) error {
	has := make([]bool, len(g))
	for _, v := range p.All() {
		if i := g.index(v.Name()); i >= 0 {
			has[i] = true
			if g[i].Frozen {
				v.Freeze()
			}
		}
	}
	var errs []error
	for i, group := range g {
		if !has[i] {
			errs = append(errs, registry.Fault{Key: fmt.Sprintf("groups[%d].parameters", i),
				Problem: fmt.Sprintf("%q fits no parameter that is not in a group before it; exp show TRIAL lists them", group.Parameters)})
		}
	}
	if len(g) > 0 && len(p.Trainable()) == 0 {
		errs = append(errs, registry.Fault{Key: "groups", Problem: "freeze every parameter"})
	}
	return errors.Join(errs...)
}

// GroupOptions is what every group has.
type GroupOptions struct {
	Parameters string `toml:"parameters" doc:"pattern of their names: * is any text, ? any character, [ab] one of them, as encoder.* or *.bias"`
}

// Validate says that the pattern is none.
func (o GroupOptions) Validate() error {
	if _, err := path.Match(o.Parameters, ""); err != nil || o.Parameters == "" {
		return registry.Fault{Key: "parameters", Problem: fmt.Sprintf("must be a pattern of names, is %q", o.Parameters)}
	}
	return nil
}

// FreezeOptions configures a group that is not trained.
type FreezeOptions struct{ GroupOptions }

// Doc describes the component.
func (FreezeOptions) Doc() string {
	return "Parameters that are not trained: they stay as they are at the start."
}

// ScaleOptions configures a group with another learning rate or weight decay.
type ScaleOptions struct {
	GroupOptions
	LR          float64 `toml:"lr" doc:"multiplies the learning rate"`
	WeightDecay float64 `toml:"weight_decay" doc:"multiplies the optimizer's weight decay"`
}

// Doc describes the component.
func (ScaleOptions) Doc() string {
	return "Parameters with a learning rate and a weight decay of their own, relative to those of the rest."
}

// Validate reports every value out of range.
func (o ScaleOptions) Validate() error {
	return errors.Join(o.GroupOptions.Validate(), registry.Positive("lr", o.LR), registry.AtLeast("weight_decay", o.WeightDecay, 0))
}

// newGroups returns the family of what the option groups of [Training] lists.
func newGroups() *registry.Kind[Group, struct{}] {
	k := &registry.Kind[Group, struct{}]{Name: "group"}
	all := GroupOptions{Parameters: "*"}
	registry.Add(k, "freeze", FreezeOptions{all}, func(o FreezeOptions, _ struct{}) (Group, error) {
		return Group{Parameters: o.Parameters, Frozen: true}, nil
	})
	registry.Add(k, "scale", ScaleOptions{all, 1, 1}, func(o ScaleOptions, _ struct{}) (Group, error) {
		return Group{Parameters: o.Parameters, LR: o.LR, WeightDecay: o.WeightDecay}, nil
	})
	return k
}
