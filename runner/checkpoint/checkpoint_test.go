package checkpoint

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
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

// A file that another program wrote, without our checksum, is imported, and one
// with a wrong checksum is not.
func TestImport(t *testing.T) {
	const header = `{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	content := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	content = append(content, 0, 0, 128, 63, 0, 0, 0, 192)
	path := filepath.Join(t.TempDir(), "other.safetensors")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Import(path)
	if err != nil || !reflect.DeepEqual(got.Tensors, map[string]Tensor{"w": {Shape: []int{2}, Values: []float32{1, -2}}}) {
		t.Errorf("read %v, %v", got, err)
	}
	if _, err := Read(path); !errors.Is(err, ErrDamaged) {
		t.Errorf("as a checkpoint: error is %v, want ErrDamaged", err)
	}
	half := bytes.Replace(content, []byte("F32"), []byte("I32"), 1)
	if err := os.WriteFile(path, half, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(path); err == nil || !strings.HasSuffix(err.Error(), "tensor w is I32, not F32") {
		t.Errorf("error is %v", err)
	}

	if err := Write(path, example()); err != nil {
		t.Fatal(err)
	}
	if got, err := Import(path); err != nil || !reflect.DeepEqual(got, example()) {
		t.Errorf("read %v, %v", got, err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 7, 20, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Import(path); err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.HasSuffix(err.Error(), "; it is cut short or damaged, or no safetensors file: copy or export it again") {
			t.Errorf("of the first %d bytes: error is %v", n, err)
		}
	}
	whole[len(whole)-1] ^= 1
	if err := os.WriteFile(path, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Import(path); !errors.Is(err, errChecksum) {
		t.Errorf("error is %v, want one of the checksum", err)
	}
}

// Whatever bytes a file has, they are tensors of as many numbers as their shapes say,
// or there is an error.
func FuzzParse(f *testing.F) {
	path := filepath.Join(f.TempDir(), "seed.safetensors")
	if err := Write(path, example()); err != nil {
		f.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-5])
	for _, header := range []string{
		`{}`, `{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, `{"w":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`,
		`{"w":{"dtype":"F32","shape":[18446744073709551615,0],"data_offsets":[0,0]}}`, `{"__metadata__":{"a":"b"}}`,
	} {
		f.Add(append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), 1, 2, 3, 4))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		got, sum, err := parse(content)
		if err != nil {
			return
		}
		for name, tensor := range got.Tensors {
			size := 1
			for _, n := range tensor.Shape {
				size *= n
			}
			if size != len(tensor.Values) {
				t.Errorf("%s has the shape %v and %d numbers", name, tensor.Shape, len(tensor.Values))
			}
		}
		if _, again, err := parse(bytes.Clone(content)); err != nil || again != sum {
			t.Errorf("the checksum is %s, then %s (%v)", sum, again, err)
		}
	})
}

// Of the files that were saved, so many are kept; what is read is the newest that is
// whole, and those that are damaged are told of.
func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trial.safetensors")
	save := func(step, keep int) {
		t.Helper()
		f := example()
		f.Info["step"] = fmt.Sprint(step)
		if err := Save(path, f, keep); err != nil {
			t.Fatal(err)
		}
	}
	load := func(step, from string, damaged int) {
		t.Helper()
		f, at, errs, err := Load(path)
		if err != nil || f.Info["step"] != step || filepath.Base(at) != from || len(errs) != damaged {
			t.Errorf("loaded step %s of %s, %d damaged, %v; want step %s of %s, %d damaged", f.Info["step"], at, len(errs), err, step, from, damaged)
		}
	}
	if _, _, _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
	for step := 1; step <= 5; step++ {
		save(step, 3)
		load(fmt.Sprint(step), "trial.safetensors", 0)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	if err != nil || len(files) != 3 {
		t.Fatalf("files are %q, %v", files, err)
	}
	spoil := func(path string) {
		if err := os.WriteFile(path, []byte("spoilt"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	spoil(path)
	load("4", "trial.1.safetensors", 1)
	if _, _, damaged, _ := Load(path); strings.Contains(damaged[0].Error(), "remove") {
		t.Errorf("training goes on from the one before, and it says: %v", damaged[0])
	}
	spoil(files[0]) // trial.1
	load("3", "trial.2.safetensors", 2)
	spoil(files[1])
	remove := fmt.Sprintf("remove %s and %s and %s to train the trial again from its start", path, files[0], files[1])
	if _, _, _, err := Load(path); !errors.Is(err, ErrDamaged) || !strings.HasPrefix(err.Error(), path+": ") || !strings.HasSuffix(err.Error(), remove) {
		t.Errorf("of nothing that is whole: %v; want to %s", err, remove)
	}
	save(6, 2)
	if err := os.Rename(path, files[0]); err != nil { // killed before the new one had its name
		t.Fatal(err)
	}
	load("6", "trial.1.safetensors", 0)
	save(7, 1)
	load("7", "trial.safetensors", 0)

	// One before that is damaged does not stand in the way of the new one.
	save(8, 2)
	spoil(path)
	save(9, 2)
	if err := os.Rename(path, path+next); err != nil { // killed there again
		t.Fatal(err)
	}
	load("9", "trial.safetensors.next", 0)
	save(10, 2)
	load("10", "trial.safetensors", 0)
	if Exists(path + next) {
		t.Error("what a kill has left stays")
	}
}
