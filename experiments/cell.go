package experiments

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"exp/components"
	"exp/components/autodiff"
	"exp/registry"
)

// Cell is one point of a sweep: a resolved configuration without a seed.
type Cell struct {
	ID      string      // 32 hexadecimal digits, of what the configuration says and not of how it is written
	Variant string      // its value on the axis "variant", "" without one
	Axes    []AxisValue // in the order of the experiment's axes
	Data    string      // identity of the task's data: cells with the same share them

	Task      registry.Choice[components.Task, components.TaskDeps]
	FrontEnd  registry.Choice[components.FrontEnd, components.FrontEndDeps] // of frames; empty where the task's sources are tokens
	Encoder   registry.Choice[components.Encoder, components.EncoderDeps]
	Decoder   registry.Choice[components.Decoder, components.DecoderDeps]
	Attention registry.Choice[components.Attention, components.AttentionDeps]
	Output    registry.Choice[components.Output, components.OutputDeps]
	Optimizer registry.Choice[components.Optimizer, components.OptimizerDeps]
	Schedule  registry.Choice[components.Schedule, components.ScheduleDeps]
	Forcing   registry.Choice[components.Schedule, components.ScheduleDeps]
	Parts     components.Parts // the encoder, the decoder, the attention, the output and the embeddings
	Metrics   []Metric

	Training   components.Training
	Evaluation components.Evaluation
	Breakdown  components.Breakdown

	Diagnostics components.Diagnostics

	embeddings, training, evaluation, breakdown, diagnostics []registry.Option // as options

	frameSize int    // of the task's sources, 0 for tokens
	follows   string // metric that the schedule follows; "" where it follows none

	vectors, weights string // hash of the files of the embeddings, and of that which training starts from; "" without
}

// AxisValue is where a cell is on an axis.
type AxisValue struct{ Key, Label string }

// Label names the cell within its experiment: its axes' values, in their order,
// "" where there is no axis.
func (c *Cell) Label() string {
	labels := make([]string, len(c.Axes))
	for i, a := range c.Axes {
		labels[i] = a.Label
	}
	return strings.Join(labels, " ")
}

// Metric is a metric with the name under which its values are recorded: its
// type, and the options that are not as they are by default, as in
// "bleu(tokenize=char)".
type Metric struct {
	Name string
	components.Metric

	component registry.Component
}

// defaultMetrics is what is measured where the configuration does not say.
var defaultMetrics = []string{"loss", "token_accuracy", "exact_match"}

// checkSize is the size of both vocabularies when a model is checked: the real
// ones come with the data.
const checkSize = 16

// decoder decodes configurations of one catalog.
type decoder struct {
	catalog *components.Catalog
	checked map[string]checkedModel // by the text of the model
	content map[string]string       // of files, by the text of the options that name them
	noData  bool                    // leave the task's files alone: cells have no Data, and no ID
}

func newDecoder(c *components.Catalog) *decoder {
	return &decoder{catalog: c, checked: map[string]checkedModel{}, content: map[string]string{}}
}

// cell decodes the configuration in top, and checks that its parts can be built
// and fit. It may add to top what top leaves to the defaults. Where partial, what
// is missing is no error: the configuration is there for others to complete.
func (d *decoder) cell(top *registry.Table, partial bool) (*Cell, error) {
	c := &Cell{}
	var errs []error
	report := func(err error) bool {
		errs = append(errs, err)
		return err == nil
	}
	section := func(key string) *registry.Table {
		t, err := subtable(top, key)
		report(err)
		return t
	}
	required := func(parent *registry.Table, key string) bool {
		_, given := parent.Get(key)
		return given || !partial
	}
	var err error

	if required(top, "task") {
		c.Task, err = component(&d.catalog.Tasks, top, "task", byDefault{})
		if !report(err) || !report(d.readTask(c, table(top, "task"))) {
			c.Task.Build = nil // nothing else is judged by what it may be
		}
	}

	model := section("model")
	report(unknownKeys(model, "front_end", "encoder", "decoder", "attention", "output", "embeddings"))
	fits := true
	for _, key := range model.Keys() {
		fits = report(deleteOversized(table(model, key))) && fits
	}
	fits = report(d.frontEnd(c, model)) && fits
	if required(model, "encoder") {
		c.Encoder, err = component(&d.catalog.Encoders, model, "encoder", byDefault{})
		fits = report(err) && fits
	}
	attention := byDefault{"none", model.Origin}
	if required(model, "decoder") {
		c.Decoder, err = component(&d.catalog.Decoders, model, "decoder", byDefault{})
		fits = report(err) && fits
		if o, ok := c.Decoder.Decoded.(components.DefaultAttention); ok {
			attention = byDefault{o.DefaultAttention(), table(model, "decoder").Origin}
		}
	}
	c.Attention, err = component(&d.catalog.Attentions, model, "attention", attention)
	fits = report(err) && fits
	c.Output, err = component(&d.catalog.Outputs, model, "output", byDefault{components.DefaultOutput, model.Origin})
	fits = report(err) && fits
	embeddings, err := subtable(model, "embeddings")
	fits = report(err) && fits
	c.Parts = components.Parts{FrontEnd: c.FrontEnd.Build, Encoder: c.Encoder.Build, Decoder: c.Decoder.Build, Attention: c.Attention.Build, Output: c.Output.Build}
	c.Parts.Embeddings, c.embeddings, err = registry.DecodeOptions(embeddings, components.DefaultEmbeddings())
	if report(err) && !d.noData {
		c.vectors, err = d.hashed("embeddings "+formatOptions(c.embeddings), c.Parts.Embeddings.Identity)
		fits = report(registry.At(embeddings, err)) && fits
	}
	if err == nil && fits && c.Encoder.Build != nil && c.Decoder.Build != nil {
		report(registry.At(top, d.checkModel(c)))
	}

	train := section("train")
	c.Training, c.training, err = registry.DecodeOptions(train, components.DefaultTraining(), "optimizer", "schedule", "teacher_forcing")
	if report(err) && !d.noData {
		c.weights, err = d.hashed("weights "+c.Training.InitFrom, c.Training.Identity)
		report(registry.At(train, err))
	}
	c.Optimizer, err = component(&d.catalog.Optimizers, train, "optimizer", byDefault{"adam", train.Origin})
	if report(err) {
		_, err = c.Optimizer.Build(components.OptimizerDeps{Params: autodiff.Declare()})
		report(registry.At(table(train, "optimizer"), err))
	}
	var schedule components.Schedule
	c.Schedule, err = component(&d.catalog.Schedules, train, "schedule", byDefault{"constant", train.Origin})
	if report(err) {
		schedule, err = c.Schedule.Build(components.ScheduleDeps{Steps: someSteps(c.Training)})
		report(registry.At(table(train, "schedule"), err))
	}
	c.Forcing, err = component(&d.catalog.Forcings, train, "teacher_forcing", byDefault{defaultForcing, train.Origin})
	if report(err) {
		_, err = c.Forcing.Build(components.ScheduleDeps{Steps: someSteps(c.Training)})
		report(registry.At(table(train, "teacher_forcing"), err))
	}

	evaluate := section("evaluate")
	c.Evaluation, c.evaluation, err = registry.DecodeOptions(evaluate, components.DefaultEvaluation(), "metrics", "breakdown", "diagnostics")
	report(err)
	breakdown, err := subtable(evaluate, "breakdown")
	report(err)
	c.Breakdown, c.breakdown, err = registry.DecodeOptions(breakdown, components.Breakdown{})
	report(err)
	diagnostics, err := subtable(evaluate, "diagnostics")
	report(err)
	c.Diagnostics, c.diagnostics, err = registry.DecodeOptions(diagnostics, components.Diagnostics{})
	report(err)
	c.Metrics, err = d.metrics(evaluate)
	if report(err) {
		if c.Evaluation.BestBy != "" {
			report(registry.At(evaluate, c.measured("best_by", c.Evaluation.BestBy)))
			if c.Training.AverageLast > 0 {
				report(registry.At(train, registry.Fault{Key: "average_last", Problem: "has the mean of the last weights tested, and evaluate.best_by the best; give one of them"}))
			}
		}
		if following, ok := schedule.(components.Following); ok {
			c.follows = following.Follows()
			report(registry.At(table(train, "schedule"), c.measured("metric", c.follows)))
		}
	}

	if err := errors.Join(errs...); err != nil || partial {
		return nil, err
	}
	if !d.noData {
		c.ID = c.identity()
	}
	return c, nil
}

// defaultForcing is what there was before it could be chosen.
const defaultForcing = "always"

// someSteps is the number of updates of a training, 1 where it follows from the
// data and 0 where nothing says it.
func someSteps(o components.Training) int {
	if o.Epochs > 0 || o.Tokens > 0 {
		return 1
	}
	return o.Steps
}

// metric returns the metric that is recorded under a name.
func (c *Cell) metric(name string) (Metric, bool) {
	i := slices.IndexFunc(c.Metrics, func(m Metric) bool { return m.Name == name })
	if i < 0 {
		return Metric{}, false
	}
	return c.Metrics[i], true
}

// measured says that the option key names no metric of c.
func (c *Cell) measured(key, name string) error {
	if _, ok := c.metric(name); ok {
		return nil
	}
	var names []string
	for _, m := range c.Metrics {
		names = append(names, m.Name)
	}
	return registry.Fault{Key: key, Problem: fmt.Sprintf("%q is none of evaluate.metrics; %s", name, registry.Suggest(name, names))}
}

// byDefault is the component that stands where a table has no type, and where
// that is said; without a name there is none.
type byDefault struct {
	name   string
	origin registry.Origin
}

// component decodes the component whose table is at key in parent.
func component[C, D any](k *registry.Kind[C, D], parent *registry.Table, key string, fallback byDefault) (registry.Choice[C, D], error) {
	v, given := parent.Get(key)
	if !given && fallback.name == "" {
		return registry.Choice[C, D]{}, registry.At(parent, registry.Fault{Key: key,
			Problem: fmt.Sprintf("is missing; it needs a table with a type, one of %s", registry.List(k.Names()))})
	}
	if !given {
		v = registry.Value{Data: registry.NewTable(registry.Join(parent.Path, key), fallback.origin), Origin: fallback.origin}
		parent.Set(key, v)
	}
	t, ok := v.Data.(*registry.Table)
	if !ok {
		return registry.Choice[C, D]{}, registry.At(parent, registry.Fault{Key: key,
			Problem: fmt.Sprintf("must be a table with a type, is %s", registry.DescribeValue(v))})
	}
	if fallback.name != "" && !namesComponent(t) {
		t.Set("type", registry.Value{Data: fallback.name, Origin: fallback.origin})
	}
	return k.Decode(t)
}

// maxSize bounds every size of a model: more is a slip, and even to count the
// layers would take all memory.
const maxSize = 100_000

// deleteOversized deletes the options of a part of a model that are above
// maxSize, those in lists with the list, and reports them.
func deleteOversized(t *registry.Table) error {
	if t == nil {
		return nil
	}
	var errs []error
	for _, key := range slices.Clone(t.Keys()) {
		v, _ := t.Get(key)
		if found := oversized(registry.Join(t.Path, key), v); found != nil {
			errs = append(errs, found)
			t.Delete(key)
		}
	}
	return errors.Join(errs...)
}

// oversized reports the integers above maxSize in a value.
func oversized(path string, v registry.Value) error {
	var errs []error
	switch data := v.Data.(type) {
	case int64:
		if data > maxSize {
			errs = append(errs, &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: path, Problem: fmt.Sprintf("must be at most %d, is %d", maxSize, data)}})
		}
	case []registry.Value:
		for i, element := range data {
			errs = append(errs, oversized(fmt.Sprintf("%s[%d]", path, i), element))
		}
	case *registry.Table:
		for _, key := range data.Keys() {
			element, _ := data.Get(key)
			errs = append(errs, oversized(registry.Join(path, key), element))
		}
	}
	return errors.Join(errs...)
}

// subtable returns the table at key in t, which it adds where there is none.
func subtable(t *registry.Table, key string) (*registry.Table, error) {
	v, given := t.Get(key)
	if sub, ok := v.Data.(*registry.Table); ok {
		return sub, nil
	}
	sub := registry.NewTable(registry.Join(t.Path, key), t.Origin)
	if given {
		sub.Origin = v.Origin
	}
	t.Set(key, registry.Value{Data: sub, Origin: sub.Origin})
	if !given {
		return sub, nil
	}
	return sub, registry.At(t, registry.Fault{Key: key, Problem: "must be a table, is " + registry.DescribeValue(v)})
}

// unknownKeys reports every key of t that is not among known.
func unknownKeys(t *registry.Table, known ...string) error {
	where := "a configuration"
	if t.Path != "" {
		where = "[" + t.Path + "]"
	}
	var errs []error
	for _, key := range t.Keys() {
		if slices.Contains(known, key) {
			continue
		}
		hint := registry.Suggest(key, known)
		if first, _, dotted := strings.Cut(key, "."); dotted && slices.Contains(known, first) {
			hint = "write the path without quotes"
		}
		errs = append(errs, registry.Fault{Key: key, Problem: fmt.Sprintf("%s has no such key; %s", where, hint)})
	}
	return registry.At(t, errors.Join(errs...))
}

// readTask builds the task of c and asks it what its data are.
func (d *decoder) readTask(c *Cell, t *registry.Table) error {
	task, err := c.Task.Build(components.TaskDeps{})
	if err != nil {
		return registry.At(t, err)
	}
	c.frameSize = components.FrameSize(task)
	if d.noData {
		return nil
	}
	content, err := d.hashed(formatComponent("task", c.Task.Component), task.Identity)
	if err != nil {
		return registry.At(t, err)
	}
	c.Data = c.dataIdentity(content)
	return nil
}

// hashed is the identity of the files that options name, asked for once for each
// text of them.
func (d *decoder) hashed(text string, identity func() (string, error)) (string, error) {
	content, known := d.content[text]
	if known {
		return content, nil
	}
	content, err := identity()
	if err == nil {
		d.content[text] = content
	}
	return content, err
}

// frontEnd decodes the front end, which frames have and tokens have not.
func (d *decoder) frontEnd(c *Cell, model *registry.Table) (err error) {
	_, given := model.Get("front_end")
	switch {
	case c.frameSize > 0:
		c.FrontEnd, err = component(&d.catalog.FrontEnds, model, "front_end", byDefault{"linear", model.Origin})
	case given && c.Task.Build != nil:
		err = registry.At(model, registry.Fault{Key: "front_end", Problem: "is for sources that are frames; those of the task are tokens, which model.embeddings is for"})
	case given: // the task is for others to say
		_, err = component(&d.catalog.FrontEnds, model, "front_end", byDefault{})
	}
	return err
}

// checkedModel is what building a model with shapes alone has shown: why its parts
// do not fit, or what the defaults of their options stand for.
type checkedModel struct {
	err              error
	encoder, decoder map[string]string
}

// checkModel says why the parts of c do not fit, if they do not. Options whose
// default stands for a choice get the value that was chosen, which is then their
// default: to state it changes nothing.
func (d *decoder) checkModel(c *Cell) error {
	text := fmt.Sprintln(c.frameSize) + formatComponent("front_end", c.FrontEnd.Component) + formatComponent("encoder", c.Encoder.Component) + formatComponent("decoder", c.Decoder.Component) +
		formatComponent("attention", c.Attention.Component) + formatComponent("output", c.Output.Component) + formatOptions(c.embeddings)
	checked, known := d.checked[text]
	if !known {
		source := checkSize
		if c.frameSize > 0 {
			source = c.frameSize
		}
		var m *components.Model
		m, checked.err = components.NewModel(c.Parts, autodiff.Declare(), source, checkSize)
		if checked.err == nil {
			checked.encoder, checked.decoder = chosen(m.Encoder), chosen(m.Decoder)
		}
		d.checked[text] = checked
	}
	resolve(c.Encoder.Options, checked.encoder)
	resolve(c.Decoder.Options, checked.decoder)
	return checked.err
}

func chosen(part any) map[string]string {
	if c, ok := part.(components.Chooser); ok {
		return c.Chosen()
	}
	return nil
}

func resolve(options []registry.Option, chosen map[string]string) {
	for i := range options {
		o := &options[i]
		value, ok := chosen[o.Key]
		if !ok {
			continue
		}
		if o.IsDefault() {
			o.Value = value
		}
		o.Default = value
	}
}

// metrics decodes the list of metrics, names and tables.
func (d *decoder) metrics(evaluate *registry.Table) ([]Metric, error) {
	v, given := evaluate.Get("metrics")
	list, ok := v.Data.([]registry.Value)
	if given && (!ok || len(list) == 0) {
		return nil, registry.At(evaluate, registry.Fault{Key: "metrics", Problem: "must be a list of names and of tables with a type, is " + registry.DescribeValue(v)})
	}
	if !given {
		for _, name := range defaultMetrics {
			list = append(list, registry.Value{Data: name, Origin: evaluate.Origin})
		}
	}
	var metrics []Metric
	var errs []error
	for i, v := range list {
		path := fmt.Sprintf("evaluate.metrics[%d]", i)
		t, ok := v.Data.(*registry.Table)
		if name, isName := v.Data.(string); isName {
			t = registry.NewTable(path, v.Origin)
			t.Set("type", registry.Value{Data: name, Origin: v.Origin})
		} else if ok {
			t = t.Clone(path)
		} else {
			errs = append(errs, &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: path,
				Problem: "must be a name or a table with a type, is " + registry.DescribeValue(v)}})
			continue
		}
		var built components.Metric
		choice, err := d.catalog.Metrics.Decode(t)
		if err == nil {
			built, err = choice.Build(components.MetricDeps{})
			err = registry.At(t, err)
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		m := Metric{metricName(choice.Component), built, choice.Component}
		if slices.ContainsFunc(metrics, func(other Metric) bool { return other.Name == m.Name }) {
			errs = append(errs, registry.At(t, registry.Fault{Problem: fmt.Sprintf("%s is listed twice", m.Name)}))
			continue
		}
		metrics = append(metrics, m)
	}
	return metrics, errors.Join(errs...)
}

func metricName(c registry.Component) string {
	var stated []string
	for _, o := range c.Options {
		if !o.IsDefault() {
			stated = append(stated, o.Key+"="+registry.Label(o.Value))
		}
	}
	if stated == nil {
		return c.Name
	}
	return c.Name + "(" + strings.Join(stated, ",") + ")"
}
