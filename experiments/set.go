package experiments

import (
	"fmt"
	"slices"
	"strings"

	"exp/components"
	"exp/registry"
)

// setting is a value to be put at a path from the top, by an override, an axis
// or an ablation.
type setting struct {
	path  []string
	value registry.Value
}

// split returns the keys of a dotted path.
func split(path string) []string { return strings.Split(path, ".") }

// overlaps reports whether one path is the other's, or in its table.
func overlaps(a, b []string) bool {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// parseSet reads an override, "path=value", that the flag name gives.
func parseSet(name, text string) (setting, error) {
	flag := registry.Origin{File: name}
	fault := func(problem string) error {
		return &registry.Error{Origin: flag, Fault: registry.Fault{Problem: fmt.Sprintf("%q %s; an override is path=value, as train.steps=100", text, problem)}}
	}
	path, value, ok := strings.Cut(text, "=")
	if !ok {
		return setting{}, fault("has no =")
	}
	t, err := parse(flag, []byte(path+" = 0"))
	if err != nil {
		return setting{}, fault("does not begin with a path")
	}
	s := setting{value: registry.Value{Data: strings.TrimSpace(value), Origin: flag}}
	for t != nil {
		if len(t.Keys()) != 1 {
			return setting{}, fault("does not begin with a path")
		}
		key := t.Keys()[0]
		s.path = append(s.path, key)
		t = table(t, key)
	}
	if t, err := parse(flag, []byte("value = "+value)); err == nil && len(t.Keys()) == 1 {
		s.value, _ = t.Get("value")
	}
	return s, nil
}

// apply puts the value at its path in top. Where it is the type of a component,
// the options that the component has are kept, and an error names those that it
// lacks.
func (s setting) apply(c *components.Catalog, top *registry.Table) error {
	t := top
	last := len(s.path) - 1
	for i, key := range s.path[:last] {
		v, exists := t.Get(key)
		if !exists {
			t = addTable(t, key, s.value.Origin)
			continue
		}
		sub, ok := v.Data.(*registry.Table)
		if !ok {
			return s.fault(fmt.Sprintf("%s is %s, not a table", strings.Join(s.path[:i+1], "."), registry.DescribeValue(v)))
		}
		t = sub
	}
	key, v := s.path[last], s.value
	var err error
	if key == "type" {
		err = changeType(c, t, v)
	}
	if sub, ok := v.Data.(*registry.Table); ok {
		v.Data = sub.Clone(registry.Join(t.Path, key))
	}
	t.Set(key, v)
	return err
}

// changeType prepares t, the table of a component, for another type. It deletes
// the options that the new component lacks, and says which they are.
func changeType(c *components.Catalog, t *registry.Table, to registry.Value) error {
	name, _ := to.Data.(string)
	family := familyAt(c, t.Path)
	if old, _ := t.Get("type"); family == nil || old.Data == name {
		return nil
	}
	component, ok := family.Describe(name)
	if !ok {
		return nil
	}
	has := map[string]bool{"type": true}
	for _, o := range component.Options {
		has[o.Key] = true
	}
	var lacks []string
	for _, key := range slices.Clone(t.Keys()) {
		if !has[key] {
			v, _ := t.Get(key)
			lacks = append(lacks, fmt.Sprintf("%s (%s)", key, v.Origin))
			t.Delete(key)
		}
	}
	if lacks == nil {
		return nil
	}
	return &registry.Error{Origin: to.Origin, Fault: registry.Fault{Key: registry.Join(t.Path, "type"),
		Problem: fmt.Sprintf("%s %q has no %s; give the whole table, { type = %q, ... }, to leave options behind",
			family.FamilyName(), name, registry.List(lacks), name)}}
}

func (s setting) fault(problem string) error {
	return &registry.Error{Origin: s.value.Origin, Fault: registry.Fault{Key: strings.Join(s.path, "."), Problem: problem}}
}

// familyAt is the family of the component whose table is at path, in the
// configuration or in a variant of it; nil where there is none.
func familyAt(c *components.Catalog, path string) registry.Family {
	if variant, ok := strings.CutPrefix(path, "sweep.variants."); ok {
		_, path, _ = strings.Cut(variant, ".")
	}
	switch path {
	case "task":
		return &c.Tasks
	case "model.front_end":
		return &c.FrontEnds
	case "model.encoder":
		return &c.Encoders
	case "model.decoder":
		return &c.Decoders
	case "model.attention":
		return &c.Attentions
	case "model.output":
		return &c.Outputs
	case "train.optimizer":
		return &c.Optimizers
	case "train.schedule":
		return &c.Schedules
	}
	return nil
}
