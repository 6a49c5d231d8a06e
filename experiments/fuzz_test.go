package experiments_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"exp/experiments"
)

// seeds adds every configuration that there is: the gallery and the invalid ones.
func seeds(f *testing.F) {
	for _, name := range experiments.Gallery() {
		source, err := experiments.GallerySource(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(source)
	}
	files, err := filepath.Glob("../testdata/configs/invalid/*.txtar")
	if err != nil || len(files) == 0 {
		f.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Add([]byte(lstm + "[sweep.grid]\n\"train.steps\" = [1, 2]\n[sweep.ablate.dot]\n\"model.attention\" = { type = \"dot\" }\n"))
}

// FuzzParse says that no text makes Parse panic, that its errors have places and
// lines in order, and that every cell, resolved, is the same cell.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, source []byte) {
		if strings.Contains(string(source), "extends") || strings.Contains(string(source), "_file") {
			t.Skip() // reads files
		}
		e, err := experiments.Parse("config.toml", source, options())
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if strings.HasPrefix(line, "config.toml") {
					return
				}
			}
			t.Fatalf("no place in %q", err)
		}
		ids := map[string]bool{}
		size := 1
		for _, a := range e.Axes {
			size *= len(a.Labels)
		}
		for i := range e.Cells {
			c := &e.Cells[i]
			ids[c.ID] = true
			if i > 16 {
				continue
			}
			text := c.Resolved()
			again, err := experiments.Parse("resolved.toml", []byte(text), options())
			if err != nil {
				t.Fatalf("%v in\n%s", err, text)
			}
			if got := &again.Cells[0]; got.ID != c.ID || got.Resolved() != text {
				t.Fatalf("got\n%s\nof\n%s", got.Resolved(), text)
			}
		}
		if len(e.Cells) != size || len(ids) != size {
			t.Fatalf("got %d cells with %d ids, want the product %d", len(e.Cells), len(ids), size)
		}
	})
}

// FuzzGrid says that the size of a grid is the product of its axes, that no two
// cells are the same and that the first axis is the slowest.
func FuzzGrid(f *testing.F) {
	f.Add(uint8(2), uint8(3), uint8(4))
	f.Add(uint8(1), uint8(1), uint8(7))
	f.Fuzz(func(t *testing.T, a, b, c uint8) {
		sizes := []int{int(a%6) + 1, int(b%6) + 1, int(c%6) + 1}
		source := lstm + "[sweep.grid]\n"
		for i, path := range []string{"train.steps", "train.optimizer.lr", "model.encoder.hidden_size"} {
			values := make([]string, sizes[i])
			for j := range values {
				values[j] = fmt.Sprint(j + 1)
			}
			source += fmt.Sprintf("%q = [%s]\n", path, strings.Join(values, ", "))
		}
		e, err := experiments.Parse("config.toml", []byte(source), options())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := len(e.Cells), sizes[0]*sizes[1]*sizes[2]; got != want {
			t.Fatalf("got %d cells, want %d", got, want)
		}
		ids := map[string]bool{}
		for i := range e.Cells {
			ids[e.Cells[i].ID] = true
			want := fmt.Sprintf("%d %d %d", i/sizes[2]/sizes[1]+1, i/sizes[2]%sizes[1]+1, i%sizes[2]+1)
			if got := e.Cells[i].Label(); got != want {
				t.Errorf("cell %d: got %s, want %s", i, got, want)
			}
		}
		if len(ids) != len(e.Cells) {
			t.Errorf("got %d ids of %d cells", len(ids), len(e.Cells))
		}
	})
}

// FuzzSet says that no override makes Load panic.
func FuzzSet(f *testing.F) {
	for _, set := range []string{"train.steps=3", "model.encoder.type=gru", "sweep.grid.train.steps=[1, 2]", `name="x"`, "a.b.c={d=[1]}", "=", "sweep=1", "[a]\nb=2", "model={}"} {
		f.Add(set)
	}
	f.Fuzz(func(t *testing.T, set string) {
		if strings.Contains(set, "_file") {
			t.Skip() // reads files
		}
		_, _ = experiments.Parse("config.toml", []byte(lstm), options(set))
	})
}
