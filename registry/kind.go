package registry

import (
	"fmt"
	"slices"
)

// Kind is one family of interchangeable components. C is the contract that they
// meet. D is what only its caller knows when one is built: sizes from its
// neighbours, the parameter set. The zero value is an empty family without a
// name.
type Kind[C, D any] struct {
	Name    string // in the singular, as errors say it: "encoder"
	entries map[string]entry[C, D]
}

type entry[C, D any] struct {
	component Component
	decode    func(t *Table) (Choice[C, D], error)
}

// Build makes a component whose options are decoded and valid.
type Build[C, D any] func(D) (C, error)

// Choice is a component with its options, ready to be built.
type Choice[C, D any] struct {
	Component
	Decoded Options // the struct that [Add] was given, with what the table states
	Build   Build[C, D]
}

// Component is what there is to know of a component.
type Component struct {
	Name    string
	Version int // of what it computes
	Doc     string
	Options []Option // in the order of their fields
}

// Family is a [Kind] whatever its contract, for those who list what there is.
type Family interface {
	FamilyName() string
	// Names returns the components' names in alphabetical order.
	Names() []string
	// Describe returns a component with its defaults.
	Describe(name string) (Component, bool)
}

// Add enters a component. defaults is also the schema. Add panics where the name
// is taken, or the schema is not as [Options] says.
func Add[O Options, C, D any](k *Kind[C, D], name string, defaults O, build func(O, D) (C, error)) {
	if _, taken := k.entries[name]; taken {
		panic(fmt.Sprintf("registry: %s %q is added twice", k.Name, name))
	}
	if k.entries == nil {
		k.entries = map[string]entry[C, D]{}
	}
	component := Component{Name: name, Version: Version(defaults), Doc: defaults.Doc(), Options: Describe(defaults)}
	k.entries[name] = entry[C, D]{component, func(t *Table) (Choice[C, D], error) {
		o, options, err := decode(t, defaults, fmt.Sprintf("%s %q", k.Name, name), "type")
		choice := Choice[C, D]{Component: component, Decoded: o, Build: func(d D) (C, error) { return build(o, d) }}
		choice.Options = options
		return choice, err
	}}
}

// FamilyName returns k.Name.
func (k *Kind[C, D]) FamilyName() string { return k.Name }

// Names returns the components' names in alphabetical order.
func (k *Kind[C, D]) Names() []string { return sortedKeys(k.entries) }

// Describe returns a component with its defaults.
func (k *Kind[C, D]) Describe(name string) (Component, bool) {
	e, ok := k.entries[name]
	component := e.component
	component.Options = slices.Clone(component.Options)
	return component, ok
}

// Decode reads a table whose type names the component. Errors are [Error]s, all
// that there are.
func (k *Kind[C, D]) Decode(t *Table) (Choice[C, D], error) {
	v, ok := t.Get("type")
	if !ok {
		return Choice[C, D]{}, At(t, Fault{Problem: fmt.Sprintf("needs a type; %s", k.choose(""))})
	}
	name, ok := v.Data.(string)
	if !ok {
		return Choice[C, D]{}, At(t, Fault{Key: "type", Problem: fmt.Sprintf("must be a string, is %s; %s", DescribeValue(v), k.choose(""))})
	}
	e, ok := k.entries[name]
	if !ok {
		return Choice[C, D]{}, At(t, Fault{Key: "type", Problem: fmt.Sprintf("there is no %s %q; %s", k.Name, name, k.choose(name))})
	}
	return e.decode(t)
}

// choose says which names could have been meant.
func (k *Kind[C, D]) choose(name string) string {
	names := k.Names()
	if near := Nearest(name, names); name != "" && near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return fmt.Sprintf("%ss are %s", k.Name, List(names))
}
