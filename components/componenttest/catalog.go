package componenttest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

type (
	encoder   = variant[components.Encoder, components.EncoderDeps]
	decoder   = variant[components.Decoder, components.DecoderDeps]
	attention = variant[components.Attention, components.AttentionDeps]
	output    = variant[components.Output, components.OutputDeps]
)

// Catalog checks the schema of every component, and runs [Model] on
//
//   - every encoder with every decoder and every attention, at small sizes (and
//     says whether they can be built at their defaults);
//   - every other value of an option of an encoder, with every decoder, in turn
//     without attention and with one;
//   - every other value of an option of a decoder, with every encoder, likewise;
//   - every other value of an option of an attention, with every decoder;
//   - every switch of a decoder turned over, with every attention and every other
//     value of its options;
//   - every output but the default with every decoder, also with every switch turned
//     over, and every attention, and with every other value of an option of each;
//   - every front end, with every value of its options, with every encoder and
//     every decoder, with one attention.
//
// Where it is a matter of options or front ends, two partners in turn stand for all
// of them, unless whole asks for every one. With testing.Short the five before the
// last are left out. A pairing that cannot work must be refused with a fault that
// names an option, or a part.
func Catalog(t *testing.T, c *components.Catalog, whole bool) {
	t.Run("schema", func(t *testing.T) {
		schema(t, &c.FrontEnds)
		schema(t, &c.Encoders)
		schema(t, &c.Decoders)
		schema(t, &c.Attentions)
		schema(t, &c.Outputs)
		schema(t, &c.Optimizers)
		schema(t, &c.Schedules)
		schema(t, &c.Forcings)
		schema(t, &c.Tasks)
		schema(t, &c.Tokenizers)
		schema(t, &c.Metrics)
	})
	encoders, decoders, attentions := small(t, &c.Encoders), small(t, &c.Decoders), small(t, &c.Attentions)
	runTo := func(e encoder, d decoder, a attention, o output) {
		parts := components.Parts{Encoder: e.build, Decoder: d.build, Attention: a.build, Output: o.build}
		t.Run(strings.Trim(strings.Join([]string{e.name, d.name, a.name, o.name}, "/"), "/"), func(t *testing.T) {
			if _, err := components.Check(parts, vocabulary, vocabulary); err != nil {
				refused(t, err, e, d, a, o)
				return
			}
			modelSuite(t, parts, 4)
		})
	}
	run := func(e encoder, d decoder, a attention) { runTo(e, d, a, output{}) }
	for _, e := range encoders {
		for _, d := range decoders {
			for _, a := range attentions {
				run(e, d, a)
				_, small := components.Check(components.Parts{Encoder: e.build, Decoder: d.build, Attention: a.build}, vocabulary, vocabulary)
				_, large := components.Check(components.Parts{Encoder: e.defaults, Decoder: d.defaults, Attention: a.defaults}, 100, 100)
				if (small == nil) != (large == nil) {
					t.Errorf("%s, %s and %s fit at small sizes: %v; and at their defaults: %v", e.name, d.name, a.name, small, large)
				}
			}
		}
	}
	turn := partners{whole: whole}
	none := attentions[slices.IndexFunc(attentions, func(a attention) bool { return a.name == "none" })]
	isAligned := func(d decoder) bool {
		m, err := components.NewModel(components.Parts{Encoder: encoders[0].build, Decoder: d.build, Attention: none.build}, autodiff.Declare(), vocabulary, vocabulary)
		return err == nil && m.Aligned()
	}
	talking := slices.DeleteFunc(slices.Clone(decoders), isAligned) // which go with all encoders and attentions
	parts := components.Parts{Encoder: encoders[0].build, Decoder: talking[0].build, Attention: none.build}
	for _, f := range small(t, &c.FrontEnds) {
		for _, f := range append(f.others, f) {
			for _, e := range inTurn(&turn, encoders) {
				for _, d := range decoders {
					a := attentions[0]
					if isAligned(d) {
						a = none
					}
					parts := components.Parts{FrontEnd: f.build, Encoder: e.build, Decoder: d.build, Attention: a.build}
					_, err := components.Check(parts, frameSize, vocabulary)
					if misfits(err) {
						continue
					}
					if err != nil {
						t.Errorf("%s, %s and %s do not fit: %v", f.name, e.name, d.name, err)
						continue
					}
					t.Run(strings.Join([]string{f.name, e.name, d.name, a.name}, "/"), func(t *testing.T) { modelSuite(t, parts, 4) })
				}
			}
		}
	}
	dropouts(t, parts, encoders, func(p *components.Parts, b registry.Build[components.Encoder, components.EncoderDeps]) { p.Encoder = b })
	dropouts(t, parts, decoders, func(p *components.Parts, b registry.Build[components.Decoder, components.DecoderDeps]) { p.Decoder = b })
	dropouts(t, parts, attentions, func(p *components.Parts, b registry.Build[components.Attention, components.AttentionDeps]) {
		p.Attention = b
	})
	if testing.Short() {
		return
	}
	attends := false
	attended := func(d decoder) attention {
		attends = !attends
		if attends && !isAligned(d) {
			return attentions[0]
		}
		return none
	}
	for _, base := range encoders {
		for _, e := range base.others {
			for _, d := range inTurn(&turn, decoders) {
				run(e, d, attended(d))
			}
		}
	}
	for _, base := range decoders {
		for _, d := range base.others {
			for _, e := range inTurn(&turn, encoders) {
				run(e, d, attended(d))
			}
		}
	}
	for _, base := range attentions {
		for _, a := range base.others {
			for _, d := range inTurn(&turn, talking) {
				run(encoders[0], d, a)
			}
		}
	}
	for _, base := range decoders {
		for _, d := range base.others {
			if !d.isSwitch {
				continue
			}
			for _, a := range attentions {
				run(encoders[0], d, a)
				for _, other := range inTurn(&turn, a.others) {
					run(encoders[0], d, other)
				}
			}
		}
	}
	for _, o := range small(t, &c.Outputs) {
		if o.name == components.DefaultOutput {
			continue // which all of them had above
		}
		for _, base := range decoders {
			for _, d := range append(slices.Clone(base.others), base) {
				with := attentions
				if d.changed != "" {
					with = inTurn(&turn, attentions)
				}
				for _, a := range with {
					runTo(encoders[0], d, a, o)
				}
			}
			for _, a := range attentions {
				for _, other := range inTurn(&turn, a.others) {
					runTo(encoders[0], base, other, o)
				}
			}
			for _, other := range o.others {
				runTo(encoders[0], base, attentions[0], other)
			}
		}
	}
}

// partners chooses with what a variant is tried.
type partners struct {
	whole bool // with all
	next  int
}

// inTurn returns all, or two of them, the next two of those before.
func inTurn[V any](p *partners, all []V) []V {
	if p.whole || len(all) <= 2 {
		return all
	}
	p.next += 2
	return []V{all[(p.next-2)%len(all)], all[(p.next-1)%len(all)]}
}

// refused fails unless the parts do not fit for what they are (of two that cannot go
// together the error names one), or for an option of the encoder or the decoder that
// the error names, and that has another value than its default, or for an output
// that needs an attention where there is none.
func refused(t *testing.T, err error, e encoder, d decoder, a attention, o output) {
	t.Helper()
	if misfits(err) {
		return
	}
	var fault registry.Fault
	named := errors.As(err, &fault)
	key, _, _ := strings.Cut(fault.Key, "[") // of an element of a list
	switch {
	case named && e.changed != "" && key == "model.encoder."+e.changed:
	case named && d.changed != "" && key == "model.decoder."+d.changed:
	case named && a.name == "none" && o.name != "" && fault.Key == "model.output.type":
	default:
		t.Errorf("the parts do not fit: %v", err)
	}
}

// misfits says whether parts do not fit for what they are, whatever their options.
func misfits(err error) bool {
	var fault registry.Fault
	return errors.As(err, &fault) && slices.Contains([]string{"model.front_end.type", "model.encoder.type", "model.decoder.type", "model.attention.type"}, fault.Key)
}

// schema checks a family: every component has a description, and options that
// are documented, named in snake_case and valid as they stand.
func schema[C, D any](t *testing.T, k *registry.Kind[C, D]) {
	for _, name := range k.Names() {
		t.Run(k.Name+"/"+name, func(t *testing.T) {
			component, _ := k.Describe(name)
			if !strings.HasSuffix(component.Doc, ".") {
				t.Errorf("the description is no sentence: %q", component.Doc)
			}
			if !snakeCase(name) {
				t.Error("the name is not in snake_case")
			}
			for _, o := range component.Options {
				if !snakeCase(o.Key) || strings.TrimSpace(o.Doc) == "" {
					t.Errorf("option %q, documented as %q", o.Key, o.Doc)
				}
				if o.Allowed != nil && !slices.Contains(o.Allowed, o.Default.(string)) {
					t.Errorf("option %s: default %q is none of %q", o.Key, o.Default, o.Allowed)
				}
			}
			choice, err := k.Decode(table(k.Name, name, nil))
			if err != nil {
				t.Fatalf("the defaults are not valid: %v", err)
			}
			for _, o := range choice.Options {
				if !o.IsDefault() {
					t.Errorf("option %s: %v where nothing is stated; the default is %v", o.Key, o.Value, o.Default)
				}
			}
		})
	}
}

func snakeCase(s string) bool {
	return s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func table(kind, name string, options map[string]any) *registry.Table {
	t := registry.NewTable(kind, registry.Origin{})
	t.Set("type", registry.Value{Data: name})
	for _, key := range slices.Sorted(maps.Keys(options)) {
		value := options[key]
		switch v := value.(type) {
		case int:
			value = int64(v)
		case []*registry.Table:
			var elements []registry.Value
			for _, element := range v {
				elements = append(elements, registry.Value{Data: element})
			}
			value = elements
		}
		t.Set(key, registry.Value{Data: value})
	}
	return t
}

// variant is a component with some of its options.
type variant[C, D any] struct {
	name     string
	build    registry.Build[C, D]
	defaults registry.Build[C, D]
	others   []variant[C, D] // with one other option each
	changed  string          // the one other option, in one of others
	isSwitch bool            // the one other option is a boolean
	dropouts []int           // those of others that drop
}

// small returns every component of a family at small sizes.
func small[C, D any](t *testing.T, k *registry.Kind[C, D]) []variant[C, D] {
	var all []variant[C, D]
	for _, name := range k.Names() {
		component, _ := k.Describe(name)
		base := smallBase(component)
		v := variant[C, D]{name: name, build: Build(t, k, name, base), defaults: Build(t, k, name, nil)}
		for _, o := range component.Options {
			for _, value := range otherValues(o, base[o.Key]) {
				options := maps.Clone(base)
				options[o.Key] = value
				for _, on := range component.Options { // coverage_loss is tried with coverage
					if on.Type == "boolean" && strings.HasPrefix(o.Key, on.Key+"_") {
						options[on.Key] = true
					}
				}
				other := variant[C, D]{name: fmt.Sprintf("%s(%s=%s)", name, o.Key, label(value)), build: Build(t, k, name, options), changed: o.Key, isSwitch: o.Type == "boolean"}
				v.others = append(v.others, other)
				if drops(o) {
					v.dropouts = append(v.dropouts, len(v.others)-1)
				}
			}
		}
		all = append(all, v)
	}
	return all
}

// smallBase is the options of a component at small sizes: of a list, each of its
// elements.
func smallBase(c registry.Component) map[string]any {
	base := map[string]any{}
	for _, o := range c.Options {
		if sizes := smallSizes(o); sizes != nil {
			base[o.Key] = sizes[0]
		}
		if o.Key == "bidirectional" {
			base[o.Key] = false // for what looks at the last step alone, half of a layer is for nothing
		}
		if elements, ok := o.Default.([]registry.Component); ok {
			var tables []*registry.Table
			for _, element := range elements {
				tables = append(tables, table(o.Key, element.Name, smallBase(element)))
			}
			base[o.Key] = tables
		}
	}
	return base
}

// label names a value of an option.
func label(value any) string {
	tables, ok := value.([]*registry.Table)
	if !ok {
		return fmt.Sprint(value)
	}
	var names []string
	for _, t := range tables {
		names = append(names, registry.Format(registry.Value{Data: t}.Plain()))
	}
	return strings.Join(names, ",")
}

// Build decodes the options of a component as those of a file are, and returns
// what builds it.
func Build[C, D any](t testing.TB, k *registry.Kind[C, D], name string, options map[string]any) registry.Build[C, D] {
	t.Helper()
	choice, err := k.Decode(table(k.Name, name, options))
	if err != nil {
		t.Fatal(err)
	}
	return choice.Build
}

// smallSizes returns the two values that an integer option is tried with, by
// its name; nil leaves the default.
func smallSizes(o registry.Option) []int {
	switch {
	case o.Type != "integer":
		return nil
	case o.Key == "num_layers", o.Key == "num_pyramid_layers", o.Key == "stride":
		return []int{1, 2}
	case o.Key == "channels":
		return []int{3, 5}
	case o.Key == "num_heads":
		return []int{2, 4}
	case o.Key == "hidden_size", o.Key == "model_size": // what heads share
		return []int{4, 8}
	case strings.HasSuffix(o.Key, "_size"):
		return []int{3, 5}
	case o.Key == "max_length":
		return []int{12, 13}
	case o.Key == "max_distance": // which the test's sequences go beyond
		return []int{2, 1}
	}
	return nil
}

// otherValues returns values of an option that change what is computed.
func otherValues(o registry.Option, base any) []any {
	var values []any
	switch {
	case o.Allowed != nil:
		for _, name := range o.Allowed {
			if name != o.Default {
				values = append(values, name)
			}
		}
	case o.Type == "boolean":
		small, given := base.(bool)
		values = append(values, given && !small || !given && !o.Default.(bool))
	case drops(o):
		values = append(values, 0.4)
	case o.Type == "float":
		values = append(values, o.Default.(float64)/2)
	case o.Family != nil:
		return otherLists(o, base.([]*registry.Table))
	case base != nil:
		values = append(values, smallSizes(o)[1])
	}
	return values
}

// otherLists returns lists of two elements: the first of the base, below one of
// every other value of every option of every component of the family.
func otherLists(o registry.Option, base []*registry.Table) (values []any) {
	for _, name := range o.Family.Names() {
		element, _ := o.Family.Describe(name)
		small := smallBase(element)
		add := func(options map[string]any) {
			values = append(values, []*registry.Table{base[0], table(o.Key, name, options)})
		}
		add(small)
		for _, option := range element.Options {
			for _, value := range otherValues(option, small[option.Key]) {
				options := maps.Clone(small)
				options[option.Key] = value
				add(options)
			}
		}
	}
	return values
}

// drops says that an option is a probability of dropout.
func drops(o registry.Option) bool { return o.Type == "float" && strings.HasSuffix(o.Key, "dropout") }

// dropouts runs [Dropout] on every component that has it, in the place of its
// family in parts.
func dropouts[C, D any](t *testing.T, parts components.Parts, all []variant[C, D], put func(*components.Parts, registry.Build[C, D])) {
	for _, v := range all {
		for _, i := range v.dropouts {
			t.Run("dropout/"+v.others[i].name, func(t *testing.T) {
				with, without := parts, parts
				put(&with, v.others[i].build)
				put(&without, v.build)
				Dropout(t, with, without)
			})
		}
	}
}
