package registry

import (
	"errors"
	"fmt"
)

// ListOf is an option that is a list of tables, each of which names with type a
// component of a family and gives its options.
type ListOf[C, D any] struct {
	Kind    *Kind[C, D]
	Choices []Choice[C, D]
}

// NewListOf returns the list of the components that are named, at their defaults.
// It panics if there is none of that name.
func NewListOf[C, D any](k *Kind[C, D], names ...string) ListOf[C, D] {
	l := ListOf[C, D]{Kind: k}
	for _, name := range names {
		t := NewTable("", Origin{})
		t.Set("type", Value{Data: name})
		choice, err := k.Decode(t)
		if err != nil {
			panic("registry: " + err.Error())
		}
		l.Choices = append(l.Choices, choice)
	}
	return l
}

// list is a [List] of any family.
type list interface {
	family() Family
	components() []Component
	decode(path string, v Value) (elements any, err error)
}

func (l ListOf[C, D]) family() Family { return l.Kind }

func (l ListOf[C, D]) components() []Component {
	components := make([]Component, len(l.Choices))
	for i, c := range l.Choices {
		components[i] = c.Component
	}
	return components
}

// decode reads the value of an option at path.
func (l ListOf[C, D]) decode(path string, v Value) (any, error) {
	elements, ok := v.Data.([]Value)
	if !ok {
		return nil, &Error{v.Origin, Fault{path, fmt.Sprintf("must be a list of tables with a type, is %s", DescribeValue(v))}}
	}
	decoded := ListOf[C, D]{Kind: l.Kind}
	var errs []error
	for i, element := range elements {
		at := fmt.Sprintf("%s[%d]", path, i)
		t, ok := element.Data.(*Table)
		if !ok {
			errs = append(errs, &Error{element.Origin, Fault{at, "must be a table with a type, is " + DescribeValue(element)}})
			continue
		}
		choice, err := l.Kind.Decode(t.Clone(at))
		errs = append(errs, err)
		decoded.Choices = append(decoded.Choices, choice)
	}
	return decoded, errors.Join(errs...)
}
