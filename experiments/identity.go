package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"exp/components"
	"exp/registry"
)

// format is the version of the texts below. Raising it makes every trial of
// every experiment new.
const format = 1

// hash returns 32 hexadecimal digits of text.
func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// identity hashes everything that can change a number which training a trial of
// c leads to. It leaves out what is as it is by default, so that a new option
// changes nothing, and the metrics and their breakdown, which can be computed later, and
// diagnostics, which are of what is trained.
func (c *Cell) identity() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cell %d\ndata %s\n", format, c.Data)
	if c.FrontEnd.Name != "" {
		identify(&b, "model.front_end", c.FrontEnd.Component)
	}
	identify(&b, "model.encoder", c.Encoder.Component)
	identify(&b, "model.decoder", c.Decoder.Component)
	identify(&b, "model.attention", c.Attention.Component)
	if o := c.Output.Component; !asItWas(o, components.DefaultOutput) {
		identify(&b, "model.output", o)
	}
	if slices.ContainsFunc(c.embeddings, func(o registry.Option) bool { return !o.IsDefault() }) { // as nobody could state them once
		fmt.Fprintf(&b, "vectors %s\n", c.vectors)
		identify(&b, "model.embeddings", registry.Component{Version: registry.Version(c.Parts.Embeddings), Options: withoutFiles(c.embeddings)})
	}
	if c.weights != "" {
		fmt.Fprintf(&b, "weights %s\n", c.weights)
	}
	identify(&b, "train", registry.Component{Version: registry.Version(components.DefaultTraining()), Options: withoutFiles(c.training)})
	identify(&b, "train.optimizer", c.Optimizer.Component)
	identify(&b, "train.schedule", c.Schedule.Component)
	if o := c.Forcing.Component; !asItWas(o, defaultForcing) {
		identify(&b, "train.teacher_forcing", o)
	}
	identify(&b, "evaluate", registry.Component{Version: registry.Version(components.DefaultEvaluation()), Options: c.evaluation})
	if m, ok := c.metric(c.Evaluation.BestBy); ok {
		identify(&b, "evaluate.best_by", m.component)
	}
	if m, ok := c.metric(c.follows); ok {
		identify(&b, "train.schedule.metric", m.component)
	}
	return hash(b.String())
}

// asItWas says that a component is the one that there was before there were others.
func asItWas(o registry.Component, name string) bool {
	return o.Name == name && o.Version == 1 &&
		!slices.ContainsFunc(o.Options, func(o registry.Option) bool { return !o.IsDefault() })
}

// dataIdentity hashes the task. content is what it says of the files that it
// reads, which then count by that and not by their names.
func (c *Cell) dataIdentity(content string) string {
	task := c.Task.Component
	if content != "" {
		task.Options = withoutFiles(task.Options)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "data %d\n%s\n", format, content)
	identify(&b, "task", task)
	return hash(b.String())
}

// withoutFiles leaves out the options that name files, which count by their content,
// those of the elements of lists too.
func withoutFiles(options []registry.Option) []registry.Option {
	kept := slices.DeleteFunc(slices.Clone(options), func(o registry.Option) bool { return o.IsFile })
	for i, o := range kept {
		if elements, ok := o.Value.([]registry.Component); ok {
			elements = slices.Clone(elements)
			for j := range elements {
				elements[j].Options = withoutFiles(elements[j].Options)
			}
			kept[i].Value = elements
		}
	}
	return kept
}

// identify writes a component's name and version, and the options that are not
// as they are by default, in alphabetical order; of a list, each element likewise.
func identify(b *strings.Builder, path string, c registry.Component) {
	fmt.Fprintf(b, "%s %s %d\n", path, c.Name, c.Version)
	options := slices.SortedFunc(slices.Values(c.Options), func(x, y registry.Option) int { return strings.Compare(x.Key, y.Key) })
	for _, o := range options {
		if elements, ok := o.Value.([]registry.Component); ok {
			for i, element := range elements {
				identify(b, fmt.Sprintf("%s.%s[%d]", path, o.Key, i), element)
			}
		} else if !o.IsDefault() {
			fmt.Fprintf(b, "%s.%s = %s\n", path, o.Key, registry.Format(o.Value))
		}
	}
}

// trialID is the identity of a cell with a seed.
func trialID(cell string, seed int64) string {
	return hash(fmt.Sprintf("trial %d\n%s\n%s\n", format, cell, strconv.FormatInt(seed, 10)))
}

// section is a table of a resolved configuration. Where it names no component,
// the component has no name.
type section struct {
	path string
	registry.Component
}

// sections returns the tables of the configuration, in the order in which they
// are written, the metrics left out.
func (c *Cell) sections() []section {
	sections := []section{{"task", c.Task.Component}}
	if c.FrontEnd.Name != "" {
		sections = append(sections, section{"model.front_end", c.FrontEnd.Component})
	}
	return append(sections, []section{
		{"model.encoder", c.Encoder.Component},
		{"model.decoder", c.Decoder.Component},
		{"model.attention", c.Attention.Component},
		{"model.output", c.Output.Component},
		{"model.embeddings", registry.Component{Options: c.embeddings}},
		{"train", registry.Component{Options: c.training}},
		{"train.optimizer", c.Optimizer.Component},
		{"train.schedule", c.Schedule.Component},
		{"train.teacher_forcing", c.Forcing.Component},
		{"evaluate", registry.Component{Options: c.evaluation}},
	}...)
}

// Resolved is the whole configuration as TOML, every default written out. A file
// with this text is an experiment of one cell, with the same ID.
func (c *Cell) Resolved() string {
	var b strings.Builder
	for i, s := range c.sections() {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(formatSection(s))
	}
	fmt.Fprintf(&b, "metrics = %s\n\n%s", c.formatMetrics(), formatSection(section{"evaluate.breakdown", registry.Component{Options: c.breakdown}}))
	if c.Diagnostics.Wanted() {
		fmt.Fprintf(&b, "\n%s", formatSection(section{"evaluate.diagnostics", registry.Component{Options: c.diagnostics}}))
	}
	return b.String()
}

// Options returns every option of the resolved configuration, its key the path
// from the top. The type of a table is an option too, of no default, and a list of
// components is the options of its elements.
func (c *Cell) Options() []registry.Option {
	var all []registry.Option
	for _, s := range c.sections() {
		all = appendOptions(all, s.path, s.Component)
	}
	names := make([]string, len(c.Metrics))
	for i, m := range c.Metrics {
		names[i] = m.Name
	}
	all = appendOptions(all, "evaluate.breakdown", registry.Component{Options: c.breakdown})
	all = appendOptions(all, "evaluate.diagnostics", registry.Component{Options: c.diagnostics})
	return append(all, registry.Option{Key: "evaluate.metrics", Type: "list of strings", Value: names, Default: defaultMetrics})
}

func appendOptions(all []registry.Option, path string, c registry.Component) []registry.Option {
	if c.Name != "" {
		all = append(all, registry.Option{Key: path + ".type", Type: "string", Value: c.Name, Default: ""})
	}
	for _, o := range statable(c.Options) {
		if elements, ok := o.Value.([]registry.Component); ok {
			for i, element := range elements {
				all = appendOptions(all, fmt.Sprintf("%s.%s[%d]", path, o.Key, i), element)
			}
			continue
		}
		o.Key = path + "." + o.Key
		all = append(all, o)
	}
	return all
}

func (c *Cell) formatMetrics() string {
	metrics := make([]string, len(c.Metrics))
	for i, m := range c.Metrics {
		metrics[i] = formatMetric(m.component)
	}
	return "[" + strings.Join(metrics, ", ") + "]"
}

// formatSection writes a table as TOML.
func formatSection(s section) string {
	if s.Name == "" {
		return fmt.Sprintf("[%s]\n", s.path) + formatOptions(s.Component.Options)
	}
	return formatComponent(s.path, s.Component)
}

// formatComponent writes a component as a TOML table.
func formatComponent(path string, c registry.Component) string {
	return fmt.Sprintf("[%s]\ntype = %s\n", path, registry.Format(c.Name)) + formatOptions(c.Options)
}

// formatMetric writes a metric as an element of a list.
func formatMetric(c registry.Component) string {
	if len(c.Options) == 0 {
		return registry.Format(c.Name)
	}
	return formatElement(c)
}

// formatElement writes a component as a table on one line.
func formatElement(c registry.Component) string {
	fields := []string{"type = " + registry.Format(c.Name)}
	for _, o := range statable(c.Options) {
		fields = append(fields, o.Key+" = "+formatValue(o.Value))
	}
	return "{ " + strings.Join(fields, ", ") + " }"
}

// formatOptions writes options as the lines of a TOML table.
func formatOptions(options []registry.Option) string {
	var b strings.Builder
	for _, o := range statable(options) {
		fmt.Fprintf(&b, "%s = %s\n", o.Key, formatValue(o.Value))
	}
	return b.String()
}

// formatValue writes the value of an option, of a list every option of every
// element.
func formatValue(v any) string {
	list, ok := v.([]registry.Component)
	if !ok {
		return registry.Format(v)
	}
	elements := make([]string, len(list))
	for i, c := range list {
		elements[i] = formatElement(c)
	}
	return "[" + strings.Join(elements, ", ") + "]"
}

// statable returns the options that a table may state together: of those that
// exclude each other, the one that is not zero, or the first.
func statable(options []registry.Option) []registry.Option {
	stated := map[string]string{} // group to the key that states it
	for _, o := range slices.Backward(options) {
		if current := stated[o.OneOf]; current == "" || !isZero(o.Value) || isZero(valueOf(options, current)) {
			stated[o.OneOf] = o.Key
		}
	}
	return slices.DeleteFunc(slices.Clone(options), func(o registry.Option) bool { return o.OneOf != "" && stated[o.OneOf] != o.Key })
}

func valueOf(options []registry.Option, key string) any {
	return options[slices.IndexFunc(options, func(o registry.Option) bool { return o.Key == key })].Value
}

func isZero(v any) bool {
	switch v := v.(type) {
	case int64:
		return v == 0
	case float64:
		return v == 0
	case bool:
		return !v
	case string:
		return v == ""
	case []int:
		return len(v) == 0
	case []string:
		return len(v) == 0
	}
	return false
}
