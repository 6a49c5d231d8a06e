package metric

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"exp/components"
)

// TestGolden compares with what sacreBLEU and the definitions of the others give,
// for every metrics_*.json of the folder that EXP_GOLDEN_DIR names. Every number
// of such a file must have been compared at the end.
func TestGolden(t *testing.T) {
	folder := os.Getenv("EXP_GOLDEN_DIR")
	if folder == "" {
		folder = filepath.Join("..", "..", "..", "shared", "golden") // beside the project's root
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skipf("no reference values: %v; EXP_GOLDEN_DIR names their folder", err)
	}
	files, err := filepath.Glob(filepath.Join(folder, "metrics_*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Fatalf("%s has no file metrics_*.json", folder)
	}
	metrics := map[string]components.Metric{
		"bleu.13a":           build(t, "bleu"),
		"bleu.none":          build(t, "bleu", "tokenize", "none"),
		"bleu.char":          build(t, "bleu", "tokenize", "char"),
		"bleu.intl":          build(t, "bleu", "tokenize", "intl"),
		"bleu.13a.lowercase": build(t, "bleu", "lowercase", true),
		"chrf2":              build(t, "chrf"),
		"chrf2pp":            build(t, "chrf_plus_plus"),
		"ter":                build(t, "ter"),
		"wer":                build(t, "wer"),
		"cer":                build(t, "cer"),
		"rouge1.f1_mean":     build(t, "rouge_1"),
		"rouge2.f1_mean":     build(t, "rouge_2"),
		"rougeL.f1_mean":     build(t, "rouge_l"),
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			content, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var golden struct{ Values map[string]any }
			if err := json.Unmarshal(content, &golden); err != nil {
				t.Fatal(err)
			}
			o := readTexts(t, strings.TrimSuffix(file, "json")+"tsv")
			check := func(name string, got float64, want any) {
				t.Helper()
				w, ok := want.(float64)
				tolerance := 1e-6
				for _, percent := range []string{"bleu", "chrf", "ter"} {
					if strings.HasPrefix(name, percent) && !strings.HasSuffix(name, ".bp") {
						tolerance = 1e-8 // asked for is 0.01
					}
				}
				if !ok || !(math.Abs(got-w) <= tolerance) {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
			_, parts := metrics["bleu.13a"].Score(o)
			for name, want := range golden.Values {
				switch name {
				case "n":
					check(name, float64(len(o.Pairs)), want)
				case "bleu.13a.precisions":
					for i, want := range want.([]any) {
						check(name, parts[i], want)
					}
				case "bleu.13a.bp":
					check(name, parts[4], want)
				case "bleu.13a.sentence_first20":
					sentence := build(t, "bleu", "level", "sentence")
					for i, want := range want.([]any) {
						check(name, of(sentence, &components.Outcome{Pairs: o.Pairs[i : i+1], Text: o.Text}), want)
					}
				default:
					if metrics[name] == nil {
						t.Fatalf("there is no metric for %s", name)
					}
					check(name, of(metrics[name], o), want)
				}
			}
		})
	}
}

// readTexts reads hypotheses and references, a pair a line.
func readTexts(t testing.TB, file string) *components.Outcome {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for line := range strings.Lines(string(content)) {
		hypothesis, reference, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		pairs = append(pairs, hypothesis, reference)
	}
	return texts(pairs...)
}
