// Package checkpoint keeps named float32 tensors in a safetensors file, so that
// other programs can read them, with a checksum, so that a damaged file is
// recognised.
//
// A file is written under a temporary name, synced and renamed: at any moment
// the file under its own name is whole.
package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/nlpodyssey/safetensors"
)

// ErrDamaged is a file that is not what was written.
var ErrDamaged = errors.New("the checkpoint is damaged")

// File is the content of a checkpoint.
type File struct {
	Tensors map[string]Tensor
	Info    map[string]string // anything else worth keeping, as text
}

// Tensor is values, row-major, with their shape.
type Tensor struct {
	Shape  []int
	Values []float32
}

const checksumKey = "xxhash64"

// Save puts f at path, and keeps what is there as the one before, of at most so many
// files in all. Those before are at path with a number before its extension, from 1,
// the newest.
func Save(path string, f File, keep int) error {
	if keep < 2 || !Exists(path) {
		if err := Write(path, f); err != nil {
			return err
		}
		if err := os.Remove(path + next); err != nil && !errors.Is(err, fs.ErrNotExist) { // a kill has left it
			return err
		}
		return nil
	}
	if err := Write(path+next, f); err != nil {
		return err
	}
	for i := keep - 1; i > 0; i-- { // a kill in between leaves none at path, and this one whole
		if err := os.Rename(before(path, i-1), before(path, i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(path+next, path); err != nil {
		return err
	}
	return syncFolder(path)
}

// next is what the newest file's name ends in until those before have theirs.
const next = ".next"

// before is the i-th file before the one at path.
func before(path string, i int) string {
	if i == 0 {
		return path
	}
	ext := filepath.Ext(path)
	return fmt.Sprintf("%s.%d%s", strings.TrimSuffix(path, ext), i, ext)
}

// Load returns the newest file that is whole of those that [Save] has put at path,
// where it is, and an error for each newer one that is damaged. The error is
// fs.ErrNotExist where there is none, and that of the newest where all are damaged.
func Load(path string) (f File, from string, damaged []error, err error) {
	for i := 0; ; i++ {
		from = before(path, i)
		if f, err = Read(from); i == 0 && errors.Is(err, fs.ErrNotExist) {
			from = path + next
			f, err = Read(from)
		}
		switch {
		case errors.Is(err, ErrDamaged):
			damaged = append(damaged, err)
		case !errors.Is(err, fs.ErrNotExist):
			return f, from, damaged, err
		case i > 0 && damaged != nil:
			return File{}, path, nil, fmt.Errorf("%w; %s", damaged[0], Anew(path))
		case i > 0:
			return File{}, path, nil, err
		}
	}
}

// Anew says how to train again, from its start, a trial whose files [Save] has put at
// path: without any that [Load] would go on from.
func Anew(path string) string {
	var files []string
	for _, at := range []string{path, path + next} {
		if Exists(at) {
			files = append(files, at)
		}
	}
	for i := 1; Exists(before(path, i)); i++ {
		files = append(files, before(path, i))
	}
	return fmt.Sprintf("remove %s to train the trial again from its start", strings.Join(files, " and "))
}

// Write puts f at path, in the place of what is there.
func Write(path string, f File) error {
	views := make(map[string]safetensors.TensorView, len(f.Tensors))
	for name, t := range f.Tensors {
		data := make([]byte, 4*len(t.Values))
		for i, v := range t.Values {
			binary.LittleEndian.PutUint32(data[4*i:], math.Float32bits(v))
		}
		shape := make([]uint64, len(t.Shape))
		for i, n := range t.Shape {
			shape[i] = uint64(n)
		}
		view, err := safetensors.NewTensorView(safetensors.F32, shape, data)
		if err != nil {
			return fmt.Errorf("%s: tensor %s: %w", path, name, err)
		}
		views[name] = view
	}
	info := maps.Clone(f.Info)
	if info == nil {
		info = map[string]string{}
	}
	info[checksumKey] = checksum(views, f.Info)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return replace(path, func(file *os.File) error { return safetensors.SerializeToWriter(views, info, file) })
}

// checksum is over everything, in the order of the names.
func checksum(views map[string]safetensors.TensorView, info map[string]string) string {
	h := xxhash.New()
	for _, key := range slices.Sorted(maps.Keys(info)) {
		if key != checksumKey {
			fmt.Fprintf(h, "%q=%q\n", key, info[key])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(views)) {
		fmt.Fprintf(h, "%q %v\n", name, views[name].Shape())
		h.Write(views[name].Data())
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// replace writes a file beside path, and renames it once it is on the disk.
func replace(path string, write func(*os.File) error) (err error) {
	file, err := os.Create(path + ".tmp") // one process trains a trial, and the next one overwrites what a kill leaves
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	if err := write(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(path)
}

// syncFolder makes the names in path's folder durable.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}

// Read returns what [Write] has put at path. The error is fs.ErrNotExist where
// there is nothing, and [ErrDamaged] where it is not what was written.
func Read(path string) (File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f, sum, err := parse(content)
	if err == nil && f.Info[checksumKey] != sum {
		err = errChecksum
	}
	if err != nil {
		return File{}, fmt.Errorf("%s: %w (%v)", path, ErrDamaged, err)
	}
	delete(f.Info, checksumKey)
	return f, nil
}

// Import returns what is in a safetensors file, whoever has written it. Its
// tensors must be F32, and its checksum right, if it has one.
func Import(path string) (File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return File{}, err
	}
	f, sum, err := parse(content)
	if stated, ok := f.Info[checksumKey]; err == nil && ok && stated != sum {
		err = errChecksum
	}
	if err != nil && !errors.Is(err, errType) {
		err = fmt.Errorf("%w; it is cut short or damaged, or no safetensors file: copy or export it again", err)
	}
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	delete(f.Info, checksumKey)
	return f, nil
}

var (
	errChecksum = errors.New("its checksum is another one")
	errType     = errors.New("not F32")
)

// parse reads a safetensors file, and computes its checksum.
func parse(content []byte) (f File, sum string, err error) {
	parsed, err := safetensors.Deserialize(content)
	if err != nil {
		return File{}, "", err
	}
	_, metadata, err := safetensors.ReadMetadata(content)
	if err != nil {
		return File{}, "", err
	}
	views := map[string]safetensors.TensorView{}
	f = File{Tensors: map[string]Tensor{}, Info: maps.Clone(metadata.Metadata())}
	for _, named := range parsed.Tensors() {
		view := named.TensorView
		if view.DType() != safetensors.F32 {
			return File{}, "", fmt.Errorf("tensor %s is %v, %w", named.Name, view.DType(), errType)
		}
		views[named.Name] = view
		t := Tensor{Values: make([]float32, len(view.Data())/4)}
		for _, n := range view.Shape() {
			t.Shape = append(t.Shape, int(n))
		}
		for i := range t.Values {
			t.Values[i] = math.Float32frombits(binary.LittleEndian.Uint32(view.Data()[4*i:]))
		}
		f.Tensors[named.Name] = t
	}
	return f, checksum(views, f.Info), nil
}

// Exists says whether there is a file at path.
func Exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
