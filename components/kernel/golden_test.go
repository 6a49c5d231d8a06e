package kernel

import (
	"compress/gzip"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// golden is a case that PyTorch computed.
type golden struct {
	Config  map[string]any
	Tensors map[string]struct {
		Shape []int
		Data  []float32
	}
	Values map[string]any
}

// readGolden reads a case from the folder that EXP_GOLDEN_DIR names.
func readGolden(t *testing.T, name string) golden {
	t.Helper()
	dir := os.Getenv("EXP_GOLDEN_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "golden")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no reference cases: %v; set EXP_GOLDEN_DIR", err)
	}
	f, err := os.Open(filepath.Join(dir, name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.NewDecoder(r).Decode(&g); err != nil {
		t.Fatalf("%s: %v", f.Name(), err)
	}
	return g
}

// closeTo fails the test unless got is within relative and absolute of want.
func closeTo(t *testing.T, name string, got, want []float32, relative, absolute float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d elements, want %d", name, len(got), len(want))
	}
	for i := range got {
		g, w := float64(got[i]), float64(want[i])
		if !(math.Abs(g-w) <= relative*math.Abs(w)+absolute) {
			t.Errorf("%s: element %d is %g, want %g", name, i, g, w)
		}
	}
}
