package registry

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Origin is where a value was written.
type Origin struct {
	File string
	Line int // from 1; 0 outside a file, as for a command's flag
}

func (o Origin) String() string {
	if o.Line == 0 {
		return o.File
	}
	return o.File + ":" + strconv.Itoa(o.Line)
}

// Value is a TOML value: a string, int64, float64, bool, time.Time, []Value or
// *Table.
type Value struct {
	Data   any
	Origin Origin
}

// Table is a TOML table that keeps the order of its keys.
type Table struct {
	Path     string // from the top of the file, "" for the top itself
	Origin   Origin
	Implicit bool // made by dotted keys alone, not given by a header or in braces
	keys     []string
	values   map[string]Value
}

// NewTable returns an empty table.
func NewTable(path string, origin Origin) *Table {
	return &Table{Path: path, Origin: origin, values: map[string]Value{}}
}

// Keys returns the keys in the order in which they were first set. The slice is
// the table's own.
func (t *Table) Keys() []string { return t.keys }

// Get returns the value of key.
func (t *Table) Get(key string) (Value, bool) {
	v, ok := t.values[key]
	return v, ok
}

// Set gives key a value. A new key comes last.
func (t *Table) Set(key string, v Value) {
	if _, ok := t.values[key]; !ok {
		t.keys = append(t.keys, key)
	}
	t.values[key] = v
}

// Delete removes key.
func (t *Table) Delete(key string) {
	if _, ok := t.values[key]; ok {
		delete(t.values, key)
		t.keys = slices.DeleteFunc(t.keys, func(k string) bool { return k == key })
	}
}

// Clone returns a copy at path. It shares nothing that can change but the tables
// in lists.
func (t *Table) Clone(path string) *Table {
	c := NewTable(path, t.Origin)
	c.Implicit = t.Implicit
	for _, key := range t.keys {
		v := t.values[key]
		if sub, ok := v.Data.(*Table); ok {
			v.Data = sub.Clone(Join(path, key))
		}
		c.Set(key, v)
	}
	return c
}

// Join is the path of key in the table at path. A key that TOML does not allow
// bare is quoted.
func Join(path, key string) string {
	if !bare(key) {
		key = quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

func bare(key string) bool {
	for _, r := range key {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		default:
			return false
		}
	}
	return key != ""
}

// Plain is a value without origins: a string, int64, float64, bool, time.Time,
// []any or map[string]any.
func (v Value) Plain() any {
	switch data := v.Data.(type) {
	case []Value:
		list := make([]any, len(data))
		for i, element := range data {
			list[i] = element.Plain()
		}
		return list
	case *Table:
		m := make(map[string]any, len(data.keys))
		for key, element := range data.values {
			m[key] = element.Plain()
		}
		return m
	}
	return v.Data
}

// Format writes a value as TOML does, on one line: a [Component] as the table that
// names it, with the options that are not as they are by default.
func Format(v any) string {
	switch v := v.(type) {
	case string:
		return quote(v)
	case int:
		return strconv.Itoa(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return formatFloat(v)
	case time.Time:
		return v.Format(time.RFC3339Nano)
	case []int:
		return formatList(v)
	case []string:
		return formatList(v)
	case []any:
		return formatList(v)
	case []Component:
		return formatList(v)
	case Component:
		fields := []string{"type = " + Format(v.Name)}
		for _, o := range v.Options {
			if !o.IsDefault() {
				fields = append(fields, o.Key+" = "+Format(o.Value))
			}
		}
		return "{ " + strings.Join(fields, ", ") + " }"
	case map[string]string:
		return formatMap(v)
	case map[string]any:
		return formatMap(v)
	}
	panic(fmt.Sprintf("registry: Format: a %T is no TOML value", v))
}

// Label writes a value as a name in a figure or a table: [Format] without the
// quotes of a string.
func Label(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return Format(v)
}

func formatFloat(v float64) string {
	switch {
	case math.IsNaN(v):
		return "nan"
	case math.IsInf(v, 0):
		return strings.ToLower(strconv.FormatFloat(v, 'g', -1, 64)[:4])
	}
	s := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func formatList[E any](list []E) string {
	texts := make([]string, len(list))
	for i, element := range list {
		texts[i] = Format(element)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

func formatMap[E any](m map[string]E) string {
	texts := make([]string, 0, len(m))
	for key, element := range m {
		texts = append(texts, Join("", key)+" = "+Format(element))
	}
	if len(texts) == 0 {
		return "{}"
	}
	slices.Sort(texts)
	return "{ " + strings.Join(texts, ", ") + " }"
}

// quote writes a TOML basic string.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
