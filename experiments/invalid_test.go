package experiments_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"exp/components/standard"
	"exp/experiments"
	"exp/registry"
)

var update = flag.Bool("update", false, "write what the tests get over what they want")

// figureOptions stands for the figures that a program hands to Load.
type figureOptions struct {
	Y  string   `toml:"y" doc:"metric"`
	By []string `toml:"by" doc:"axes"`
}

func (figureOptions) Doc() string     { return "A figure." }
func (figureOptions) Validate() error { return nil }

// options is what the tests load with, besides overrides.
func options(set ...string) experiments.Options {
	figures := &registry.Kind[struct{}, struct{}]{Name: "figure"}
	registry.Add(figures, "learning_curve", figureOptions{}, func(figureOptions, struct{}) (struct{}, error) { return struct{}{}, nil })
	return experiments.Options{
		Catalog: standard.Catalog(),
		Figure:  func(t *registry.Table) error { _, err := figures.Decode(t); return err },
		Set:     set,
	}
}

// TestInvalid loads the config.toml of each archive, with the overrides that its
// comment lists, and compares the whole error with the archive's want.
func TestInvalid(t *testing.T) {
	files, err := filepath.Glob("../testdata/configs/invalid/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			file, err := filepath.Abs(file)
			if err != nil {
				t.Fatal(err)
			}
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			isWant := func(f txtar.File) bool { return f.Name == "want" }
			input := slices.DeleteFunc(slices.Clone(archive.Files), isWant)
			want := ""
			if i := slices.IndexFunc(archive.Files, isWant); i >= 0 {
				want = string(archive.Files[i].Data)
			}
			t.Chdir(t.TempDir())
			if err := txtar.Write(&txtar.Archive{Files: input}, "."); err != nil {
				t.Fatal(err)
			}
			var set []string
			for line := range strings.Lines(string(archive.Comment)) {
				if text, ok := strings.CutPrefix(strings.TrimSpace(line), "--set "); ok {
					set = append(set, text)
				}
			}
			_, err = experiments.Load("config.toml", options(set...))
			if err == nil {
				t.Fatal("no error")
			}
			got := err.Error() + "\n"
			if *update {
				archive.Files = append(input, txtar.File{Name: "want", Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestInvalidBytes is the files that no archive can hold.
func TestInvalidBytes(t *testing.T) {
	for _, c := range []struct {
		name, content, want string
	}{
		{"junk", strings.Repeat("junk ", 2_000_000), "config.toml: is 10000000 bytes long; a configuration has at most 1048576"},
		{"latin 1", "name = \"x\"\ndescription = \"r\xe9sum\xe9\"\n", "config.toml:2: is not UTF-8: byte 0xe9"},
		{"utf 16", "\xff\xfen\x00a\x00m\x00e\x00", "config.toml:1: holds a NUL byte; a configuration is text"},
		{"long key", strings.Repeat("a.", 100_000) + "a = 1", "config.toml:1: a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a....: is a key longer than 1000 bytes"},
		{"deep list", "a = " + strings.Repeat("[", 400_000), "config.toml:1: column 10005: arrays and inline tables are nested more than the maximum of 10000 levels deep"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			if err := os.WriteFile("config.toml", []byte(c.content), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := experiments.Load("config.toml", options())
			if got := fmt.Sprint(err); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestNoFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("folder.toml", 0o755); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"none.toml":   "none.toml: no such file or directory",
		"folder.toml": "folder.toml: is a directory, not a file",
	} {
		if _, err := experiments.Load(path, options()); fmt.Sprint(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
