package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"exp/components/standard"
	"exp/experiments"
)

// blocks returns the code blocks of README.md in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i, block := range strings.Split(string(text), "```") {
		if code, ok := strings.CutPrefix(block, language+"\n"); ok && i%2 == 1 {
			found = append(found, code)
		}
	}
	if len(found) == 0 {
		t.Fatalf("README.md has no %s", language)
	}
	return found
}

// TestReadmeCommands runs the commands of README.md in order, as they stand but
// for the length of the training: the quickstart's folder has a shorter one. Only
// the test command is not run, by which this test is.
func TestReadmeCommands(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "experiments"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeScan(dir, 60); err != nil {
		t.Fatal(err)
	}
	short := strings.Replace(small, `name = "small"`, `name = "quickstart"`, 1)
	if err := os.WriteFile(filepath.Join(dir, "experiments", "quickstart.toml"), []byte(short), 0o644); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, block := range blocks(t, "sh") {
		for line := range strings.Lines(block) {
			command, _, _ := strings.Cut(strings.TrimSpace(line), " #")
			command, ours := strings.CutPrefix(strings.Replace(command, "go run ./cmd/exp ", "./exp ", 1), "./exp ")
			if !ours {
				if !strings.HasPrefix(command, "go test ") && !strings.HasPrefix(command, "sqlite3 ") {
					t.Errorf("README.md has the command %q, which this test does not run", command)
				}
				continue
			}
			c := exec.Command("exp", strings.Fields(command)...)
			c.Dir = dir
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("exp %s: %v\n%s", command, err, out)
			}
			ran++
		}
	}
	if ran < 8 {
		t.Errorf("ran %d commands of README.md", ran)
	}
}

func TestReadmeExperiment(t *testing.T) {
	for _, block := range blocks(t, "toml") {
		e, err := experiments.Parse("README.toml", []byte(block), experiments.Options{Catalog: standard.Catalog()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := buildFigures(e); err != nil {
			t.Error(err)
		}
	}
}

// TestGalleryFigures builds the figures of every experiment that comes along.
func TestGalleryFigures(t *testing.T) {
	files, err := filepath.Glob("../../experiments/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no experiments: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			needData(t, file)
			if _, _, err := load(file, nil); err != nil {
				t.Error(err)
			}
		})
	}
}
