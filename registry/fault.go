package registry

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Fault is what is wrong with the value of a key: what options find in
// themselves, which know their keys but not where they were written.
type Fault struct {
	Key     string // "" for the table itself
	Problem string
}

func (f Fault) Error() string {
	if f.Key == "" {
		return f.Problem
	}
	return f.Key + ": " + f.Problem
}

// Error is a fault at its place. Key is the path from the top of the file.
type Error struct {
	Origin Origin
	Fault
}

func (e *Error) Error() string {
	if e.Origin == (Origin{}) {
		return e.Fault.Error()
	}
	return e.Origin.String() + ": " + e.Fault.Error()
}

// At gives every fault in err, which may be several joined together, the place
// where its key is written in t, or t's own.
func At(t *Table, err error) error {
	if err == nil {
		return nil
	}
	var placed []error
	for _, e := range Split(err) {
		var located *Error
		if errors.As(e, &located) {
			placed = append(placed, located)
			continue
		}
		fault := faultOf(e)
		origin := t.Origin
		path := t.Path
		if fault.Key != "" {
			origin = t.origin(fault.Key)
			path = joinPath(t.Path, fault.Key)
		}
		placed = append(placed, &Error{Origin: origin, Fault: Fault{Key: path, Problem: fault.Problem}})
	}
	return errors.Join(placed...)
}

// Under says that the keys of the faults in err are those of a table at path. A
// key that begins at the top of path says so already, or is another table's.
func Under(path string, err error) error {
	if err == nil {
		return nil
	}
	top, _, _ := strings.Cut(path, ".")
	var faults []error
	for _, e := range Split(err) {
		fault := faultOf(e)
		if fault.Key == path || strings.HasPrefix(fault.Key, top+".") {
			faults = append(faults, fault)
			continue
		}
		faults = append(faults, Fault{Key: strings.TrimSuffix(path+"."+fault.Key, "."), Problem: fault.Problem})
	}
	return errors.Join(faults...)
}

// Split returns the errors that were joined into err.
func Split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, Split(e)...)
		}
		return all
	}
	return []error{err}
}

func faultOf(err error) Fault {
	var fault Fault
	if errors.As(err, &fault) {
		return fault
	}
	return Fault{Problem: err.Error()}
}

func joinPath(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// origin is where the value at the dotted path is written, in which key[i] is an
// element of a list, or the nearest table above it.
func (t *Table) origin(path string) Origin {
	key, rest, nested := strings.Cut(path, ".")
	v, ok := t.Get(key)
	if name, index, listed := strings.Cut(strings.TrimSuffix(key, "]"), "["); !ok && listed {
		v, ok = t.Get(name)
		if elements, isList := v.Data.([]Value); isList {
			if i, err := strconv.Atoi(index); err == nil && i >= 0 && i < len(elements) {
				v = elements[i]
			}
		}
	}
	if !ok {
		return t.Origin
	}
	if sub, isTable := v.Data.(*Table); isTable && nested {
		return sub.origin(rest)
	}
	return v.Origin
}

// AtLeast returns a [Fault] unless value is min or more.
func AtLeast[N int | float64](key string, value, min N) error {
	if value >= min {
		return nil
	}
	return Fault{Key: key, Problem: fmt.Sprintf("must be at least %v, is %v", min, value)}
}

// InRange returns a [Fault] unless value is in [lo, hi).
func InRange[N int | float64](key string, value, lo, hi N) error {
	if value >= lo && value < hi {
		return nil
	}
	return Fault{Key: key, Problem: fmt.Sprintf("must be in [%v, %v), is %v", lo, hi, value)}
}

// Positive returns a [Fault] unless value is above 0.
func Positive(key string, value float64) error {
	if value > 0 && !math.IsInf(value, 1) {
		return nil
	}
	return Fault{Key: key, Problem: fmt.Sprintf("must be above 0, is %v", value)}
}

// Suggest says what could have been meant by name: the nearest of names where
// one is near, else all of them.
func Suggest(name string, names []string) string {
	if near := Nearest(name, names); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return "there is " + List(names)
}

// List writes names as a list.
func List(names []string) string {
	switch len(names) {
	case 0:
		return "none"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// Nearest returns the name that is the fewest typing errors away from name, ""
// where none is within a third of its length.
func Nearest(name string, names []string) string {
	nearest, least := "", len([]rune(name))/3+1
	for _, candidate := range names {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d <= least && (nearest == "" || d < least) {
			nearest, least = candidate, d
		}
	}
	return nearest
}

// distance is the number of characters inserted, deleted, replaced or swapped
// with their neighbour that separate a from b (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	before, row := make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(x); i++ {
		next := make([]int, len(y)+1)
		next[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			next[j] = min(row[j]+1, next[j-1]+1, row[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				next[j] = min(next[j], before[j-2]+1)
			}
		}
		before, row = row, next
	}
	return row[len(y)]
}

// sortedKeys returns the keys of m in order.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
