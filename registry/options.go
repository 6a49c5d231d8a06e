package registry

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// Options is the options of a component: a struct of int, float64, bool, string,
// []int, []string, map[string]string and [ListOf] fields, and of enums, which are strings
// with UnmarshalText and a method Values() []string that lists what is allowed. Each
// field has a toml tag, its key, and a doc tag. Of the fields with the same oneof
// tag a table may state one, and the defaults of the others are then zero. The
// tag content:"file" says that a string is a path to a file that is read, or a list
// of strings paths, whose content matters and whose name does not.
// Fields of an embedded struct are fields. A method Version() int numbers what
// the component computes, from 1, and is raised when that changes, a changed
// default too.
type Options interface {
	// Validate returns a [Fault] for every value that is not allowed, joined.
	Validate() error
	// Doc describes the component.
	Doc() string
}

// OneOf sets an enum to text, which must be one of its values: what its
// UnmarshalText does.
func OneOf[E interface {
	~string
	Values() []string
}](e *E, text []byte) error {
	values := (*e).Values()
	if !slices.Contains(values, string(text)) {
		last := len(values) - 1
		return fmt.Errorf("must be %s or %s, is %q", strings.Join(values[:last], ", "), values[last], text)
	}
	*e = E(text)
	return nil
}

// Option is one option of a component.
type Option struct {
	Key     string
	Type    string   // as TOML calls it
	Allowed []string // the values of an enum
	Default any      // string, int64, float64, bool, []string, map[string]string or, of a list, []Component
	Value   any      // what the table says, or the default
	Family  Family   // of the elements of a list, nil of anything else
	Doc     string
	OneOf   string // the group of which a table may state one
	IsFile  bool   // the value is a path to a file that is read
}

// IsDefault reports whether the value is the default.
func (o Option) IsDefault() bool { return Format(o.Value) == Format(o.Default) }

// Version is the number of what options lead to: what their method Version
// returns, 1 without one.
func Version(o Options) int {
	if v, ok := o.(interface{ Version() int }); ok {
		return v.Version()
	}
	return 1
}

// DecodeOptions reads a table of options that names no component: the defaults
// with what t states in their place, and every option with its value. The keys
// in others are the caller's to read. Errors are [Error]s.
func DecodeOptions[O Options](t *Table, defaults O, others ...string) (O, []Option, error) {
	return decode(t, defaults, "["+t.Path+"]", others...)
}

// Describe returns the options of a table that says nothing.
func Describe[O Options](defaults O) []Option {
	options, _ := schema(defaults)
	return options
}

// decode reads t into the options of a component that errors call owner. The
// keys in others are left to the caller.
func decode[O Options](t *Table, defaults O, owner string, others ...string) (O, []Option, error) {
	options, fields := schema(defaults)
	result := reflect.New(reflect.TypeOf(defaults)).Elem()
	result.Set(reflect.ValueOf(defaults))

	var faults []error
	stated := map[string]string{} // group to the key that states it
	for _, key := range t.Keys() {
		i := slices.IndexFunc(options, func(o Option) bool { return o.Key == key })
		if i < 0 && slices.Contains(others, key) {
			continue
		}
		if i < 0 {
			faults = append(faults, Fault{Key: key, Problem: unknownOption(owner, key, options, others)})
			continue
		}
		if group := options[i].OneOf; group != "" {
			if other, twice := stated[group]; twice {
				faults = append(faults, Fault{Key: key, Problem: fmt.Sprintf("is given beside %s; give one of them", other)})
				continue
			}
			stated[group] = key
			for j, o := range options {
				if o.OneOf == group {
					result.FieldByIndex(fields[j]).SetZero()
				}
			}
		}
		v, _ := t.Get(key)
		if l, ok := result.FieldByIndex(fields[i]).Interface().(list); ok {
			elements, err := l.decode(Join(t.Path, key), v)
			if err != nil {
				faults = append(faults, err)
				continue
			}
			result.FieldByIndex(fields[i]).Set(reflect.ValueOf(elements))
			continue
		}
		if err := assign(result.FieldByIndex(fields[i]), options[i], v); err != nil {
			faults = append(faults, Fault{Key: key, Problem: err.Error()})
		}
	}
	decoded := result.Interface().(O)
	if faults == nil {
		faults = append(faults, decoded.Validate())
	}
	for i, field := range fields {
		options[i].Value = plainField(result.FieldByIndex(field))
	}
	return decoded, options, At(t, errors.Join(faults...))
}

func unknownOption(owner, key string, options []Option, others []string) string {
	var keys []string
	for _, o := range options {
		keys = append(keys, o.Key)
	}
	for _, other := range others {
		if other != "type" { // which every component has
			keys = append(keys, other)
		}
	}
	return fmt.Sprintf("%s has no such option; %s", owner, Suggest(key, keys))
}

// schema reads the options and their field indices off a struct of defaults. It
// panics where the struct is not as [Options] says.
func schema(defaults Options) (options []Option, fields [][]int) {
	v := reflect.ValueOf(defaults)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if f.Anonymous {
			continue
		}
		key, doc := f.Tag.Get("toml"), f.Tag.Get("doc")
		if key == "" || doc == "" || key != strings.ToLower(key) || !bare(key) {
			panic(fmt.Sprintf("registry: %s.%s needs a toml tag in snake_case and a doc tag", v.Type(), f.Name))
		}
		field := v.FieldByIndex(f.Index)
		options = append(options, Option{
			Key: key, Type: typeName(field), Family: familyOf(field), Allowed: allowed(field), Doc: doc, OneOf: f.Tag.Get("oneof"),
			IsFile:  f.Tag.Get("content") == "file",
			Default: plainField(field), Value: plainField(field),
		})
		fields = append(fields, f.Index)
	}
	return options, fields
}

func typeName(field reflect.Value) string {
	if family := familyOf(field); family != nil {
		return "list of " + family.FamilyName() + "s"
	}
	switch t := field.Type(); {
	case t.Kind() == reflect.Int:
		return "integer"
	case t.Kind() == reflect.Float64:
		return "float"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.String:
		return "string"
	case t == reflect.TypeFor[[]int]():
		return "list of integers"
	case t == reflect.TypeFor[[]string]():
		return "list of strings"
	case t == reflect.TypeFor[map[string]string]():
		return "table"
	}
	panic(fmt.Sprintf("registry: a %s is no option", field.Type()))
}

// familyOf is the family of a list's elements, nil of any other field.
func familyOf(field reflect.Value) Family {
	if l, ok := field.Interface().(list); ok {
		return l.family()
	}
	return nil
}

// allowed returns the values of an enum, nil for any other field.
func allowed(field reflect.Value) []string {
	if enum, ok := field.Interface().(interface{ Values() []string }); ok {
		return enum.Values()
	}
	return nil
}

// plainField is a field as Option.Default and Option.Value hold it.
func plainField(field reflect.Value) any {
	switch field.Kind() {
	case reflect.Int:
		return field.Int()
	case reflect.String:
		return field.String()
	}
	if l, ok := field.Interface().(list); ok {
		return l.components()
	}
	return field.Interface()
}

// assign gives a field the value v, or says why it cannot have it.
func assign(field reflect.Value, o Option, v Value) error {
	plain := v.Plain()
	if o.Type == "table" {
		table, ok := plain.(map[string]any)
		if !ok {
			return wrongType(o, v)
		}
		labels := map[string]string{}
		for key, element := range table {
			labels[key] = Label(element)
		}
		field.Set(reflect.ValueOf(labels))
		return nil
	}
	if !fits(o.Type, plain) {
		return wrongType(o, v)
	}
	if x, ok := plain.(float64); ok && (math.IsNaN(x) || math.IsInf(x, 0)) {
		return fmt.Errorf("must be finite, is %s", Format(x))
	}
	if o.Allowed != nil && !slices.Contains(o.Allowed, plain.(string)) {
		problem := fmt.Sprintf("must be %s, is %q", alternatives(o.Allowed), plain)
		if near := Nearest(plain.(string), o.Allowed); near != "" {
			problem += fmt.Sprintf("; did you mean %q?", near)
		}
		return errors.New(problem)
	}
	if field.Kind() == reflect.Slice {
		field.SetZero() // never the memory of the defaults
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(map[string]any{"value": plain}); err != nil {
		return err
	}
	holder := reflect.New(reflect.StructOf([]reflect.StructField{{Name: "Value", Type: field.Type(), Tag: `toml:"value"`}}))
	if _, err := toml.Decode(text.String(), holder.Interface()); err != nil {
		return err
	}
	field.Set(holder.Elem().Field(0))
	return nil
}

func fits(typ string, plain any) bool {
	switch x := plain.(type) {
	case int64:
		return typ == "integer" || typ == "float"
	case float64:
		return typ == "float"
	case bool:
		return typ == "boolean"
	case string:
		return typ == "string"
	case []any:
		return typ == "list of strings" && all[string](x) || typ == "list of integers" && all[int64](x)
	}
	return false
}

// all reports whether every element is an E.
func all[E any](list []any) bool {
	return !slices.ContainsFunc(list, func(e any) bool { _, ok := e.(E); return !ok })
}

func wrongType(o Option, v Value) error {
	return fmt.Errorf("must be %s, is %s", article(o.Type), DescribeValue(v))
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// alternatives writes names as a choice.
func alternatives(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// DescribeValue says what a value is, for an error: `the string "12"`.
func DescribeValue(v Value) string {
	switch data := v.Data.(type) {
	case string:
		if len(data) > 40 {
			data = data[:40] + "..."
		}
		return "the string " + quote(data)
	case int64:
		return "the integer " + Format(data)
	case float64:
		return "the float " + Format(data)
	case bool:
		return "the boolean " + Format(data)
	case time.Time:
		return "a date"
	case []Value:
		if len(data) == 0 {
			return "an empty list"
		}
		if fits("list of strings", v.Plain()) {
			return "a list of strings"
		}
		return "a list"
	}
	return "a table"
}
