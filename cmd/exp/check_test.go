package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"exp/runner/train"
)

// writeWords goes to a folder with a language of forty words and one of as many
// others, text by text, in train.a, train.b and so on, and words.toml, which trains a
// small model on them. change may change the lines of the files, by name.
func writeWords(t *testing.T, change func(files map[string][]string)) {
	t.Helper()
	t.Chdir(t.TempDir())
	rng, files := rand.New(rand.NewPCG(1, 2)), map[string][]string{}
	for split, n := range map[string]int{"train": 400, "valid": 40, "test": 40} {
		for range n {
			var a, b []string
			for range 3 + rng.IntN(4) {
				word := rng.IntN(40)
				a, b = append(a, fmt.Sprintf("a%d", word)), append(b, fmt.Sprintf("b%d", word))
			}
			files[split+".a"] = append(files[split+".a"], strings.Join(a, " "))
			files[split+".b"] = append(files[split+".b"], strings.Join(b, " "))
		}
	}
	if change != nil {
		change(files)
	}
	for name, lines := range files {
		if err := os.WriteFile(name, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	source := `[task]
type = "parallel"
train_files = ["train.a", "train.b"]
valid_files = ["valid.a", "valid.b"]
test_files = ["test.a", "test.b"]
tokenizers = [{ type = "words" }, { type = "words" }]
[model]
encoder = { type = "gru", hidden_size = 32, embedding_size = 16, dropout = 0.1 }
decoder = { type = "gru", hidden_size = 32, embedding_size = 16 }
attention = { type = "dot" }
[train]
steps = 100
optimizer = { type = "adam", lr = 5e-3 }
[evaluate]
max_length = 10
`
	if err := os.WriteFile("words.toml", []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What a file can say or read wrong is found by the check that is for it, and what
// is right passes.
func TestCheckFaults(t *testing.T) {
	for _, test := range []struct {
		name, check string
		set         []string
		plant       func(files map[string][]string)
		verdict     train.Verdict
		says        string
	}{
		{name: "nothing"},
		{"test data in train", "leaks", nil, func(files map[string][]string) {
			for _, side := range []string{"a", "b"} {
				files["train."+side] = append(files["train."+side], files["test."+side][:10]...)
			}
		}, train.Fault, "test 10 of 40"},
		{"a pair of the test in train", "leaks", nil, func(files map[string][]string) {
			for _, side := range []string{"a", "b"} {
				files["train."+side] = append(files["train."+side], files["test."+side][0])
			}
		}, train.Warning, "test 1 of 40"},
		{"a vocabulary of the wrong file", "unknown tokens", []string{`task.tokenizers=[{type="words",vocabulary_file="train.b"},{type="words"}]`}, nil, train.Fault, "train source 100.0 %"},
		{"sides the wrong way round in the test", "unknown tokens", []string{`task.test_files=["test.b","test.a"]`}, nil, train.Fault, "test source 100.0 %"},
		{"a line too many", "alignment", nil, func(files map[string][]string) {
			files["train.a"] = append([]string{"a title"}, files["train.a"]...)
			files["train.b"] = append(files["train.b"], "b40 b1")
		}, train.Fault, "of the pair after"},
		{"sources that are cut", "truncation", []string{"task.max_length=3"}, nil, train.Warning, "cut to max_length"},
		{"hypotheses that are cut", "max_length", []string{"evaluate.max_length=3"}, nil, train.Warning, "longer than a hypothesis"},
		{"a frozen layer", "frozen", []string{`train.groups=[{type="freeze",parameters="encoder.*"}]`}, nil, train.Warning, "encoder."},
		{"a learning rate 100 times too large", "learning rate", []string{"train.optimizer.lr=0.5"}, nil, train.Fault, "too large"},
	} {
		t.Run(test.name, func(t *testing.T) {
			writeWords(t, test.plant)
			e, _, err := load("words.toml", test.set)
			if err != nil {
				t.Fatal(err)
			}
			made, err := check(context.Background(), e)
			if err != nil {
				t.Fatal(err)
			}
			seen := false
			for _, f := range append(made.Data[0].Findings, made.Cells[0].Findings...) {
				switch {
				case f.Check == test.check:
					seen = true
					if f.Verdict != test.verdict || !strings.Contains(f.Text+" "+f.Advice, test.says) {
						t.Errorf("%s is %+v, want a %s that says %q", test.check, f, test.verdict, test.says)
					}
				case test.check == "" && f.Verdict != train.OK:
					t.Errorf("where there is nothing to find, %+v is found", f)
				}
			}
			if !seen && test.check != "" {
				t.Errorf("%s is not checked", test.check)
			}
			if (made.Faults > 0) != (test.verdict == train.Fault) {
				t.Errorf("%d faults are counted", made.Faults)
			}
		})
	}
}

// The cell's own length is what its hypotheses are judged by.
func TestCheckLengthsOfEachCell(t *testing.T) {
	writeWords(t, nil)
	for _, test := range []struct {
		set  []string
		want []train.Verdict
	}{
		{[]string{`sweep.grid={"evaluate.max_length"=[10,3]}`}, []train.Verdict{train.OK, train.Warning}},
		{[]string{"evaluate.max_length=3", `evaluate.metrics=["loss"]`}, nil}, // nothing decodes
	} {
		e, _, err := load("words.toml", test.set)
		if err != nil {
			t.Fatal(err)
		}
		made, err := check(context.Background(), e)
		if err != nil {
			t.Fatal(err)
		}
		var verdicts []train.Verdict
		for _, cell := range made.Cells {
			for _, f := range cell.Findings {
				if f.Check == "max_length" {
					verdicts = append(verdicts, f.Verdict)
				}
			}
		}
		if !slices.Equal(verdicts, test.want) {
			t.Errorf("%v: verdicts are %v, want %v", test.set, verdicts, test.want)
		}
	}
}

// Nothing is wrong with the experiments that come along.
func TestCheckGallery(t *testing.T) {
	if testing.Short() {
		t.Skip("trains")
	}
	files, err := filepath.Glob("../../experiments/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no experiments: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".toml"), func(t *testing.T) {
			needData(t, file)
			e, _, err := load(file, nil)
			if err != nil {
				t.Fatal(err)
			}
			if os.Getenv("EXP_LONG") == "" { // one cell, another of each file
				at := len(file) % len(e.Cells)
				e.Cells = e.Cells[at : at+1]
			}
			made, err := check(context.Background(), e)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range made.Data {
				for _, f := range d.Findings {
					if f.Verdict == train.Fault {
						t.Errorf("%s: %+v", d.Task, f)
					}
				}
			}
			for _, c := range made.Cells {
				for _, f := range c.Findings {
					if f.Verdict == train.Fault {
						t.Errorf("%s: %+v", c.Cell, f)
					}
				}
			}
		})
	}
}

// needData skips the test of a file whose data are not there.
func needData(t *testing.T, file string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(source), "$EXP_DATA_DIR/") { // data that is not the project's own
		return
	}
	if os.Getenv("EXP_DATA_DIR") == "" {
		t.Setenv("EXP_DATA_DIR", filepath.Join("..", "..", "..", "shared", "data")) // beside the project's root
	}
	if _, err := os.Stat(os.Getenv("EXP_DATA_DIR")); err != nil {
		t.Skipf("no data: %v; EXP_DATA_DIR names its folder", err)
	}
}
