package experiments_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"exp/experiments"
	"exp/registry"
)

// load loads the config.toml of an archive from a folder of its own.
func load(t *testing.T, archive string, set ...string) (*experiments.Experiment, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := txtar.Write(txtar.Parse([]byte(archive)), "."); err != nil {
		t.Fatal(err)
	}
	return experiments.Load("config.toml", options(set...))
}

// mustLoad is load of a file without errors.
func mustLoad(t *testing.T, archive string, set ...string) *experiments.Experiment {
	t.Helper()
	e, err := load(t, archive, set...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// stated writes a cell as its label and what is not as it is by default.
func stated(c *experiments.Cell) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", c.Label())
	for _, part := range []struct {
		letter    string
		component registry.Component
	}{
		{"", c.Task.Component}, {"enc=", c.Encoder.Component}, {"dec=", c.Decoder.Component}, {"att=", c.Attention.Component},
		{"opt=", c.Optimizer.Component}, {"sched=", c.Schedule.Component},
	} {
		fmt.Fprintf(&b, " %s%s", part.letter, part.component.Name)
		for _, o := range part.component.Options {
			if !o.IsDefault() {
				fmt.Fprintf(&b, "(%s=%s)", o.Key, registry.Label(o.Value))
			}
		}
	}
	fmt.Fprintf(&b, " steps=%d", c.Training.Steps)
	return b.String()
}

func cells(e *experiments.Experiment) string {
	var lines []string
	for i := range e.Cells {
		lines = append(lines, stated(&e.Cells[i]))
	}
	return strings.Join(lines, "\n")
}

const lstm = `
[task]
type = "scan"
[model.encoder]
type = "lstm"
hidden_size = 64
[model.decoder]
type = "lstm"
`

func TestLoad(t *testing.T) {
	for _, c := range []struct {
		name, archive string
		set           []string
		want          string
	}{
		{"as it stands", "-- config.toml --" + lstm, nil,
			": scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000"},
		{"attention of the decoder", "-- config.toml --" + strings.Replace(lstm, "[model.decoder]\ntype = \"lstm\"", "[model.decoder]\ntype = \"transformer\"\n[model.attention]\nnum_heads = 8", 1), nil,
			": scan enc=lstm(hidden_size=64) dec=transformer att=multihead(num_heads=8) opt=adam sched=constant steps=10000"},
		{"byte order mark and carriage returns", "-- config.toml --\n\ufeff# windows" + strings.ReplaceAll(lstm, "\n", "\r\n"), nil,
			": scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000"},

		{"extends", `-- config.toml --
extends = "base/middle.toml"
[train]
steps = 30
[model]
decoder = { type = "gru" }
[model.attention]
num_heads = 2
-- base/middle.toml --
extends = "../bottom.toml"
train = { steps = 20, optimizer.lr = 0.5 }
model.encoder.hidden_size = 32
-- bottom.toml --` + lstm + `
forget_bias = 0.0
[model.attention]
type = "multihead"
num_heads = 8
[train]
steps = 10
optimizer = { type = "sgd", momentum = 0.9 }
`, nil,
			": scan enc=lstm(hidden_size=32) dec=gru att=multihead(num_heads=2) opt=sgd(lr=0.5)(momentum=0.9) sched=constant steps=30"},
		{"a dotted type keeps options", `-- config.toml --
extends = "base.toml"
model.encoder.type = "gru"
-- base.toml --` + lstm, nil,
			": scan enc=gru(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000"},
		{"a whole table leaves them", `-- config.toml --
extends = "base.toml"
[model.encoder]
type = "gru"
-- base.toml --` + lstm, nil,
			": scan enc=gru dec=lstm att=none opt=adam sched=constant steps=10000"},

		{"set", "-- config.toml --" + lstm, []string{"train.steps=1_000", "train.optimizer.lr=0.5", "model.encoder.type=gru", `model.attention={type="dot"}`, "sweep.seeds=3", "name = other"},
			": scan enc=gru(hidden_size=64) dec=lstm att=dot opt=adam(lr=0.5) sched=constant steps=1000"},
		{"set wins over variants", "-- config.toml --" + lstm + `
[sweep.variants.a]
train.steps = 5
[sweep.variants.b]
train = { steps = 6, label_smoothing = 0.5 }
`, []string{"train.steps=7", "sweep.variants.b.model.encoder.hidden_size=8"}, `
a: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=7
b: scan enc=lstm(hidden_size=8) dec=lstm att=none opt=adam sched=constant steps=7`},
		{"set an axis", "-- config.toml --" + lstm + `
[sweep.grid]
"train.optimizer.lr" = [0.1, 0.2]
`, []string{"sweep.grid.train.optimizer.lr=[0.3]"},
			"0.3: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam(lr=0.3) sched=constant steps=10000"},

		{"grid", "-- config.toml --" + lstm + `
[sweep.grid]
"model.attention.type" = ["none", "dot"]
train.steps = [1, 2]
`, nil, `
none 1: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=1
none 2: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=2
dot 1: scan enc=lstm(hidden_size=64) dec=lstm att=dot opt=adam sched=constant steps=1
dot 2: scan enc=lstm(hidden_size=64) dec=lstm att=dot opt=adam sched=constant steps=2`},
		{"grid of tables", "-- config.toml --" + lstm + `
[sweep.grid]
"model.encoder" = [{ type = "gru" }, { type = "lstm", hidden_size = 8 }, { type = "lstm", hidden_size = 16 }]
`, nil, `
gru: scan enc=gru dec=lstm att=none opt=adam sched=constant steps=10000
lstm hidden_size=8: scan enc=lstm(hidden_size=8) dec=lstm att=none opt=adam sched=constant steps=10000
lstm hidden_size=16: scan enc=lstm(hidden_size=16) dec=lstm att=none opt=adam sched=constant steps=10000`},
		{"grid over types", "-- config.toml --" + lstm + `
[sweep.grid]
"model.encoder.type" = ["rnn", "lstm", "gru"]
`, nil, `
rnn: scan enc=rnn(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000
lstm: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000
gru: scan enc=gru(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=10000`},
		{"grid of a file that extends", `-- config.toml --
extends = "base.toml"
[sweep.grid]
train.optimizer.lr = [0.5]
"train.steps" = [3]
-- base.toml --` + lstm + `
[sweep.grid]
"train.steps" = [1, 2]
`, nil,
			"3 0.5: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam(lr=0.5) sched=constant steps=3"},

		{"variants", "-- config.toml --" + lstm + `
[sweep.variants.lstm]
[sweep.variants.transformer]
model.encoder = { type = "transformer", model_size = 32 }
model.decoder = { type = "transformer", model_size = 32 }
[sweep.variants.wide]
model.encoder.hidden_size = 256
model.decoder = { hidden_size = 256 }
[sweep.grid]
train.steps = [1, 2]
`, nil, `
lstm 1: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=1
lstm 2: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=2
transformer 1: scan enc=transformer(model_size=32) dec=transformer(model_size=32) att=multihead opt=adam sched=constant steps=1
transformer 2: scan enc=transformer(model_size=32) dec=transformer(model_size=32) att=multihead opt=adam sched=constant steps=2
wide 1: scan enc=lstm(hidden_size=256) dec=lstm(hidden_size=256) att=none opt=adam sched=constant steps=1
wide 2: scan enc=lstm(hidden_size=256) dec=lstm(hidden_size=256) att=none opt=adam sched=constant steps=2`},
		{"variants that are all there is", `-- config.toml --
[task]
type = "scan"
[sweep.variants.type]
model = { encoder.type = "gru", decoder.type = "gru" }
[sweep.variants.b]
model = { encoder.type = "rnn", decoder.type = "rnn" }
`, nil, `
type: scan enc=gru dec=gru att=none opt=adam sched=constant steps=10000
b: scan enc=rnn dec=rnn att=none opt=adam sched=constant steps=10000`},

		{"ablation", "-- config.toml --" + lstm + `
[model.attention]
type = "additive"
attention_size = 32
[sweep.ablate]
baseline = "full"
small_attention.model.attention.attention_size = 16
[sweep.ablate.no_attention]
"model.attention" = { type = "none" }
[sweep.ablate.no_attention_either.model.attention]
type = "dot"
[sweep.ablate.gru]
model.encoder.type = "gru"
[sweep.grid]
"train.steps" = [1]
`, nil, `
full 1: scan enc=lstm(hidden_size=64) dec=lstm att=additive(attention_size=32) opt=adam sched=constant steps=1
small_attention 1: scan enc=lstm(hidden_size=64) dec=lstm att=additive(attention_size=16) opt=adam sched=constant steps=1
no_attention 1: scan enc=lstm(hidden_size=64) dec=lstm att=none opt=adam sched=constant steps=1
no_attention_either 1: scan enc=lstm(hidden_size=64) dec=lstm att=dot opt=adam sched=constant steps=1
gru 1: scan enc=gru(hidden_size=64) dec=lstm att=additive(attention_size=32) opt=adam sched=constant steps=1`},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := mustLoad(t, c.archive, c.set...)
			if got, want := cells(e), strings.TrimSpace(c.want); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestLoadExperiment(t *testing.T) {
	source := `
extends = "base.toml"
description = "What it shows."
[sweep]
seeds = [7, 0]
[[figures]]
type = "learning_curve"
y = "valid/loss"
[sweep.ablate.dot]
model.attention.type = "dot"
`
	e := mustLoad(t, "-- config.toml --"+source+"-- base.toml --"+lstm+`
[[figures]]
type = "nothing that is known"
`)
	if e.Name != "config" || e.Path != "config.toml" || e.Description != "What it shows." || e.Baseline != "baseline" {
		t.Errorf("got name %q, path %q, description %q, baseline %q", e.Name, e.Path, e.Description, e.Baseline)
	}
	if got := string(e.Source); got != source[1:] {
		t.Errorf("got source %q", got)
	}
	if got, want := fmt.Sprint(e.Axes), "[{variant [baseline dot]}]"; got != want {
		t.Errorf("got axes %s, want %s", got, want)
	}
	if len(e.Figures) != 1 {
		t.Errorf("got %d figures, want the file's own", len(e.Figures))
	}
	var got []string
	ids := map[string]bool{}
	for _, trial := range e.Trials() {
		got = append(got, fmt.Sprintf("%s %d", trial.Cell.Variant, trial.Seed))
		ids[trial.ID] = true
	}
	if got, want := strings.Join(got, ", "), "baseline 7, dot 7, baseline 0, dot 0"; got != want {
		t.Errorf("got trials %s, want %s", got, want)
	}
	if len(ids) != 4 {
		t.Errorf("got %d ids of 4 trials", len(ids))
	}
}

func TestInheritedNameIsNotTheFiles(t *testing.T) {
	e := mustLoad(t, "-- config.toml --\nextends = \"base.toml\"\n-- base.toml --\nname = \"base\"\ndescription = \"the base\""+lstm)
	if e.Name != "config" || e.Description != "" {
		t.Errorf("got name %q and description %q of the file that is extended", e.Name, e.Description)
	}
}

func TestGallery(t *testing.T) {
	names := experiments.Gallery()
	if len(names) == 0 {
		t.Fatal("the gallery is empty")
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			source, err := experiments.GallerySource(name)
			if err != nil {
				t.Fatal(err)
			}
			needData(t, source)
			o := options()
			o.Figure = nil // theirs are those of the program
			e, err := experiments.Parse(name+".toml", source, o)
			if err != nil {
				t.Fatal(err)
			}
			if e.Name != name {
				t.Errorf("got name %q of the file %s.toml", e.Name, name)
			}
			for i := range e.Cells {
				again, err := experiments.Parse("resolved.toml", []byte(e.Cells[i].Resolved()), o)
				if err != nil {
					t.Fatalf("%s: %v", e.Cells[i].Label(), err)
				}
				if got, want := again.Cells[0].ID, e.Cells[i].ID; got != want {
					t.Errorf("%s: got id %s resolved, want %s", e.Cells[i].Label(), got, want)
				}
			}
		})
	}
	if _, err := experiments.GallerySource("none"); err == nil {
		t.Error("got no error for an experiment that is not there")
	}
}

// needData skips the test of an experiment whose data, which is not the project's
// own, is not there.
func needData(t *testing.T, source []byte) {
	t.Helper()
	if !strings.Contains(string(source), "$EXP_DATA_DIR/") {
		return
	}
	if os.Getenv("EXP_DATA_DIR") == "" {
		t.Setenv("EXP_DATA_DIR", filepath.Join("..", "..", "shared", "data")) // beside the project's root
	}
	if _, err := os.Stat(os.Getenv("EXP_DATA_DIR")); err != nil {
		t.Skipf("no data: %v; EXP_DATA_DIR names its folder", err)
	}
}
