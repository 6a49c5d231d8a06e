package checkpoint

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func example() File {
	return File{
		Tensors: map[string]Tensor{
			"encoder.weight": {Shape: []int{2, 3}, Values: []float32{1, -2, float32(math.Inf(1)), math.MaxFloat32, math.SmallestNonzeroFloat32, 0}},
			"empty":          {Shape: []int{0, 4}, Values: []float32{}},
		},
		Info: map[string]string{"step": "17", "name": "a \"quoted\"\nname"},
	}
}

func TestRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "trial.safetensors")
	want := example()
	for range 2 { // the second replaces the first
		if err := Write(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("read %v, wrote %v", got, want)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("%d files are left (%v), want 1", len(files), err)
	}
}

func TestAbsent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := Read(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error is %v, want that the file does not exist", err)
	}
	if Exists(path) {
		t.Error("an absent file exists")
	}
}

// Every file cut short, and every file with one byte changed, is recognised.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trial.safetensors")
	if err := Write(path, example()); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, at int, content []byte) {
		t.Helper()
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := Read(path)
		if err == nil && reflect.DeepEqual(got, example()) {
			return // a byte that says nothing, such as a space of the header
		}
		if !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s at %d of %d: read %v with error %v", what, at, len(whole), got, err)
		}
	}
	for i := range whole {
		check("cut", i, whole[:i])
		changed := append([]byte(nil), whole...)
		changed[i] ^= 0x10
		check("change", i, changed)
	}
}
