package experiments

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"exp/components"
	"exp/registry"
)

// readFile returns the content of a configuration. The error does not name the
// file.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, cause(err)
	}
	if info.IsDir() {
		return nil, errors.New("is a directory, not a file")
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("is %d bytes long; a configuration has at most %d", info.Size(), maxFile)
	}
	source, err := io.ReadAll(io.LimitReader(f, maxFile+1)) // a pipe has no size
	if err != nil {
		return nil, cause(err)
	}
	return source, nil
}

// cause is an error of the file system without the operation and the path.
func cause(err error) error {
	var of *fs.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// readTables parses source, the content of the file at path, and merges it over
// the file that it extends. chain is the files that led here. Where the files can
// be read but not merged, the table is returned with the error.
func readTables(c *components.Catalog, path string, source []byte, chain []string) (*registry.Table, error) {
	top, err := parse(registry.Origin{File: path, Line: 1}, source)
	if err != nil {
		return nil, err
	}
	v, extends := top.Get("extends")
	if !extends {
		return top, nil
	}
	fault := func(format string, args ...any) error {
		return &registry.Error{Origin: v.Origin, Fault: registry.Fault{Key: "extends", Problem: fmt.Sprintf(format, args...)}}
	}
	base, ok := v.Data.(string)
	if !ok || base == "" {
		return nil, fault("must be the path of a file, is %s", registry.DescribeValue(v))
	}
	if !filepath.IsAbs(base) {
		base = filepath.Join(filepath.Dir(path), base)
	}
	chain = append(slices.Clip(chain), path)
	if slices.ContainsFunc(chain, func(file string) bool { return sameFile(file, base) }) {
		return nil, fault("goes in a circle: %s", strings.Join(append(chain, base), " extends "))
	}
	text, err := readFile(base)
	if err != nil {
		return nil, fault("%s: %v", base, err)
	}
	inherited, err := readTables(c, base, text, chain)
	if inherited == nil {
		return nil, err
	}
	// These two say which file it is.
	inherited.Delete("name")
	inherited.Delete("description")
	top.Delete("extends")
	merged, lacks := merge(c, inherited, top)
	return merged, errors.Join(err, lacks)
}

func sameFile(a, b string) bool { return realPath(a) == realPath(b) }

func realPath(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if absolute, err := filepath.Abs(path); err == nil {
		return absolute
	}
	return path
}

// merge returns base with the keys of over in place of its own, key by key. A
// table of over that is given as such, with a type, replaces the one of base. One
// made by dotted keys changes those keys; where its type is another one, errors
// say which options of base that lacks.
func merge(c *components.Catalog, base, over *registry.Table) (*registry.Table, error) {
	merged := base.Clone(base.Path)
	merged.Origin = over.Origin
	var errs []error
	if v, ok := over.Get("type"); ok {
		errs = append(errs, changeType(c, merged, v))
	}
	for _, key := range over.Keys() {
		v, _ := over.Get(key)
		if sub, ok := v.Data.(*registry.Table); ok {
			if old := table(merged, key); old != nil && (sub.Implicit || !namesComponent(sub)) {
				var err error
				v.Data, err = merge(c, old, sub)
				errs = append(errs, err)
			} else {
				v.Data = sub.Clone(registry.Join(merged.Path, key))
			}
		}
		merged.Set(key, v)
	}
	return merged, errors.Join(errs...)
}
