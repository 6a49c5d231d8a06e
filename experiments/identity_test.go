package experiments_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exp/components"
	"exp/components/standard"
	"exp/experiments"
	"exp/registry"
)

// id is the identity of the only cell of a file.
func id(t *testing.T, c *components.Catalog, source string) string {
	t.Helper()
	e, err := experiments.Parse("config.toml", []byte(source), experiments.Options{Catalog: c})
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Cells) != 1 {
		t.Fatalf("got %d cells", len(e.Cells))
	}
	return e.Cells[0].ID
}

// The options of a component as time goes on.
type (
	sizes       struct{ always }
	moreSizes   struct{ extended }
	raisedSizes struct{ always }
	always      struct {
		Size  int      `toml:"size" doc:"size"`
		Words []string `toml:"words" doc:"words"`
	}
	extended struct {
		Before float64 `toml:"before" doc:"new"`
		always
		After bool `toml:"after" doc:"new"`
	}
)

func (always) Doc() string       { return "A schedule." }
func (always) Validate() error   { return nil }
func (raisedSizes) Version() int { return 2 }

type flat struct{}

func (flat) Factor(int) float64 { return 1 }

// withSchedule is the standard catalog with one more schedule, "test".
func withSchedule[O registry.Options](defaults O) *components.Catalog {
	c := standard.Catalog()
	registry.Add(&c.Schedules, "test", defaults, func(O, components.ScheduleDeps) (components.Schedule, error) { return flat{}, nil })
	return c
}

const scheduled = lstm + `
[train.schedule]
type = "test"
`

// TestIdentity pins the id of a cell: where it changes, every trial that anybody
// has trained is trained again.
func TestIdentity(t *testing.T) {
	const want = "abf4819e002e61ef658475d2249823f7"
	if got := id(t, standard.Catalog(), lstm); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	e, err := experiments.Parse("config.toml", []byte(lstm), options())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Trials()[0].ID, "ccd211d2101995161c13c02108508685"; got != want {
		t.Errorf("got trial %s, want %s", got, want)
	}
}

func TestSameIdentity(t *testing.T) {
	plain := withSchedule(sizes{always{Size: 3}})
	want := id(t, plain, scheduled)
	for _, c := range []struct {
		name    string
		catalog *components.Catalog
		source  string
	}{
		{"an option with its default", plain, scheduled + "size = 3\nwords = []"},
		{"new options", withSchedule(moreSizes{extended{always: always{Size: 3}}}), scheduled},
		{"a metric", plain, scheduled + "[evaluate]\nmetrics = [\"loss\"]"},
		{"a breakdown", plain, scheduled + "[evaluate.breakdown]\nsource_length = [10]"},
		{"diagnostics", plain, scheduled + "[evaluate.diagnostics]\nlayers = true\ngradient_flow = 9"},
		{"a name, seeds, a comment", plain, "name = \"other\" # the same\n" + scheduled + "[sweep]\nseeds = 9"},
		{"the default output", plain, scheduled + "[model.output]\ntype = \"softmax\""},
		{"another order", plain, `
train.schedule.type = "test"
[model]
decoder = { type = "lstm" }
encoder = { hidden_size = 64, type = "lstm" }
[task]
type = "scan"
`},
		{"an integer for a float", plain, scheduled + "[train.optimizer]\ntype = \"adam\"\n[train]\nclip_norm = 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := id(t, c.catalog, c.source); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestOtherIdentity(t *testing.T) {
	plain := withSchedule(sizes{always{Size: 3}})
	known := map[string]string{id(t, plain, scheduled): "the file"}
	for _, c := range []struct {
		name    string
		catalog *components.Catalog
		source  string
	}{
		{"an option", plain, scheduled + "size = 4"},
		{"a list", plain, scheduled + "words = [\"a\", \"b\"]"},
		{"a list of one", plain, scheduled + `words = ["a\", \"b"]`},
		{"a raised version", withSchedule(raisedSizes{always{Size: 3}}), scheduled},
		{"another component", plain, lstm},
		{"a task", plain, strings.Replace(scheduled, `"scan"`, "\"scan\"\nseed = 2", 1)},
		{"batches", plain, scheduled + "[train]\nbatch_tokens = 64"},
		{"steps", plain, scheduled + "[train]\nsteps = 64"},
		{"the interval of evaluation", plain, scheduled + "[evaluate]\nevery = 10"},
		{"the batches of evaluation", plain, scheduled + "[evaluate]\nbatch_size = 10"},
		{"the longest hypothesis", plain, scheduled + "[evaluate]\nmax_length = 10"},
		{"output", plain, scheduled + "[model.output]\ntype = \"pointer_generator\"\n[model.attention]\ntype = \"general\""},
		{"attention", plain, scheduled + "[model.attention]\ntype = \"dot\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := id(t, c.catalog, c.source)
			if other, taken := known[got]; taken {
				t.Errorf("got the id of %s", other)
			}
			known[got] = c.name
		})
	}
}

// A choice that follows from the parts is shown, and is the same trial whether a
// file states it or not; a list is its elements, and of each what is not default.
func TestChosen(t *testing.T) {
	of := func(encoder, decoder string) *experiments.Cell {
		t.Helper()
		source := "[task]\ntype = \"scan\"\n[model]\nencoder = { " + encoder + " }\ndecoder = { " + decoder + " }\n"
		e, err := experiments.Parse("config.toml", []byte(source), options())
		if err != nil {
			t.Fatal(err)
		}
		c := &e.Cells[0]
		again, err := experiments.Parse("resolved.toml", []byte(c.Resolved()), options())
		if err != nil {
			t.Fatalf("%v in\n%s", err, c.Resolved())
		}
		if got := &again.Cells[0]; got.ID != c.ID || got.Resolved() != c.Resolved() {
			t.Errorf("resolved again:\n%s\nwant\n%s", got.Resolved(), c.Resolved())
		}
		return c
	}
	for encoder, bridge := range map[string]string{
		`type = "lstm"`:                                    "copy",
		`type = "lstm", bidirectional = true`:              "project",
		`type = "transformer"`:                             "mean",
		`type = "recurrent", layers = [{ type = "lstm" }]`: "copy",
	} {
		auto, stated, other := of(encoder, `type = "lstm"`), of(encoder, `type = "lstm", bridge = "`+bridge+`"`), of(encoder, `type = "lstm", bridge = "last"`)
		if !strings.Contains(auto.Resolved(), "bridge = \""+bridge+"\"\n") {
			t.Errorf("%s: %q is not shown in\n%s", encoder, bridge, auto.Resolved())
		}
		if stated.ID != auto.ID || other.ID == auto.ID {
			t.Errorf("%s: chosen %s, stated %s, another %s", encoder, auto.ID, stated.ID, other.ID)
		}
	}
	list := func(layers string) string { return of(`type = "recurrent", layers = [`+layers+`]`, `type = "lstm"`).ID }
	one := list(`{ type = "lstm" }`)
	if got := of(`type = "recurrent"`, `type = "lstm"`).ID; got != one {
		t.Error("the default layers, stated, are another trial")
	}
	if got := list(`{ type = "lstm", hidden_size = 128, residual = false }`); got != one {
		t.Error("an option of a layer with its default is another trial")
	}
	seen := map[string]string{one: "one layer"}
	for _, layers := range []string{
		`{ type = "lstm", residual = true }`, `{ type = "gru" }`, `{ type = "lstm" }, { type = "lstm" }`, `{ type = "lstm" }, { type = "gru" }`, `{ type = "gru" }, { type = "lstm" }`,
	} {
		id := list(layers)
		if other, taken := seen[id]; taken {
			t.Errorf("%s has the id of %s", layers, other)
		}
		seen[id] = layers
	}
}

// TestIdentityOfFiles says that the data count, not where they are.
func TestIdentityOfFiles(t *testing.T) {
	t.Chdir(t.TempDir())
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	of := func(train, test string) *experiments.Cell {
		t.Helper()
		source := strings.Replace(lstm, `"scan"`, "\"scan\"\nsplit = \"files\"\ntrain_file = \""+train+"\"\ntest_file = \""+test+"\"", 1)
		e, err := experiments.Parse("config.toml", []byte(source), options())
		if err != nil {
			t.Fatal(err)
		}
		return &e.Cells[0]
	}
	const jump, walk = "IN: jump OUT: I_JUMP\n", "IN: walk OUT: I_WALK\n"
	write("a.txt", jump+walk)
	write("b.txt", walk)
	first := of("a.txt", "b.txt")

	write("moved.txt", jump+walk)
	if moved := of("moved.txt", "b.txt"); moved.ID != first.ID || moved.Data != first.Data {
		t.Error("a file that was moved gives another id")
	}
	if swapped := of("b.txt", "a.txt"); swapped.ID == first.ID {
		t.Error("train and test exchanged give the same id")
	}
	write("a.txt", jump+walk+walk)
	if changed := of("a.txt", "b.txt"); changed.ID == first.ID || changed.Data == first.Data {
		t.Error("other data give the same id")
	}
}

// What the embeddings start from counts by its content, and a table that says
// Files that an element of a list names count by their content too.
func TestIdentityOfFilesInLists(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	texts := write("texts", "a\tb\n")
	of := func(merges string) string {
		return id(t, standard.Catalog(), strings.Replace(lstm, `"scan"`, fmt.Sprintf("\"parallel\"\ntrain_files = [%q]\nvalid_files = [%q]\ntest_files = [%q]\ntokenizers = [{ type = \"bpe\", merges_file = %q }]", texts, texts, texts, merges), 1))
	}
	one := of(write("one", "a b\n"))
	if of(write("renamed", "a b\n")) != one {
		t.Error("merges elsewhere are another cell")
	}
	if of(write("other", "b a\n")) == one {
		t.Error("other merges are the same cell")
	}
}

// nothing counts not at all.
func TestIdentityOfEmbeddings(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{"a.txt": "jump 1 2\n", "b.txt": "jump 1 2\n", "c.txt": "jump 1 3\n"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	of := func(options string) string {
		return id(t, standard.Catalog(), lstm+"[model.embeddings]\n"+options)
	}
	plain, a := id(t, standard.Catalog(), lstm), of(`source_file = "a.txt"`)
	if of("") != plain || of("shared = false\nscale = \"default\"") != plain {
		t.Error("embeddings as they are by default give another id")
	}
	if of(`source_file = "b.txt"`) != a {
		t.Error("a file of vectors under another name gives another id")
	}
	known := map[string]bool{plain: true, a: true}
	for _, options := range []string{`source_file = "c.txt"`, `target_file = "a.txt"`, "source_file = \"a.txt\"\nfrozen = true", "frozen = true", "shared = true", "tied = true", `scale = "sqrt"`} {
		if got := of(options); known[got] {
			t.Errorf("%s: the id is that of another configuration", options)
		} else {
			known[got] = true
		}
	}
	_, err := experiments.Parse("config.toml", []byte(lstm+"[model.embeddings]\nsource_file = \"none.txt\""), options())
	if err == nil || !strings.HasPrefix(err.Error(), "config.toml:10: model.embeddings.source_file: open none.txt") {
		t.Errorf("error is %v", err)
	}
}

// A recorded configuration is read without its data, and what it does not say is
// as it is by default now.
func TestRecorded(t *testing.T) {
	text := strings.Replace(lstm, "[model.encoder]", "split = \"files\"\ntrain_file = \"gone.txt\"\ntest_file = \"gone.txt\"\n[model.encoder]", 1)
	c, err := experiments.Recorded(standard.Catalog(), "trial 1", text)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "" || c.Data != "" {
		t.Errorf("got id %q and data %q of what was not read", c.ID, c.Data)
	}
	values := map[string]string{}
	for _, o := range c.Options() {
		values[o.Key] = registry.Format(o.Value)
	}
	for key, want := range map[string]string{"task.train_file": `"gone.txt"`, "model.attention.type": `"none"`, "train.optimizer.lr": "0.001", "evaluate.metrics": `["loss", "token_accuracy", "exact_match"]`} {
		if got := values[key]; got != want {
			t.Errorf("%s is %s, want %s", key, got, want)
		}
	}
	again, err := experiments.Recorded(standard.Catalog(), "trial 1", c.Resolved())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.Resolved(), c.Resolved(); got != want {
		t.Errorf("read again, the configuration is\n%s\nwant\n%s", got, want)
	}
	if _, err := experiments.Recorded(standard.Catalog(), "trial 1", text+"\nold = 1"); err == nil || !strings.HasPrefix(err.Error(), "trial 1:") {
		t.Errorf("error is %v, want one at trial 1", err)
	}
}
