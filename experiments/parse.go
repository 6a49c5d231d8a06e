package experiments

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
	pelletier "github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"exp/registry"
)

const (
	maxFile = 1 << 20 // bytes; no configuration comes near
	maxPath = 1000    // bytes of a key from the top: no file can nest until memory ends
)

// parser makes a table of TOML text. The syntax tree says where each key is
// written and in what order; BurntSushi's decoder says what the values are.
type parser struct {
	origin registry.Origin // of the first line; Line 0: of every line
	syntax unstable.Parser
	lines  []int // offset at which each line begins
}

// parse reads TOML text that begins at origin. Where origin has no line, nothing
// in the text has one. Errors are [registry.Error]s.
func parse(origin registry.Origin, source []byte) (*registry.Table, error) {
	p := &parser{origin: origin}
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	for i, b := range source {
		if b == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	if len(source) > maxFile {
		return nil, &registry.Error{Origin: registry.Origin{File: origin.File}, Fault: registry.Fault{Problem: fmt.Sprintf("is longer than %d bytes, the most that a configuration has", maxFile)}}
	}
	if i := bytes.IndexByte(source, 0); i >= 0 {
		return nil, p.fault(i, "", "holds a NUL byte; a configuration is text")
	}
	if i := invalidUTF8(source); i >= 0 {
		return nil, p.fault(i, "", fmt.Sprintf("is not UTF-8: byte %#02x", source[i]))
	}
	top, err := p.tree(source)
	if err != nil {
		return nil, err
	}
	if err := p.strict(source); err != nil {
		return nil, err
	}
	values := map[string]any{}
	if _, err := toml.Decode(string(source), &values); err != nil {
		var at toml.ParseError
		if errors.As(err, &at) {
			return nil, p.fault(at.Position.Start, "", at.Message)
		}
		return nil, p.fault(0, "", err.Error())
	}
	fill(top, values)
	return top, flattenSweep(top)
}

func invalidUTF8(source []byte) int {
	for i := 0; i < len(source); {
		r, size := utf8.DecodeRune(source[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// strict reports what pelletier's parser refuses: every error of syntax, and
// tables that are extended after they are complete, which BurntSushi's lets pass.
func (p *parser) strict(source []byte) error {
	var discarded map[string]any
	err := pelletier.Unmarshal(source, &discarded)
	if err == nil {
		return nil
	}
	var at *pelletier.DecodeError
	if !errors.As(err, &at) {
		return p.fault(0, "", err.Error())
	}
	line, column := at.Position()
	problem := strings.TrimPrefix(at.Error(), "toml: ")
	if len(at.Key()) == 0 {
		problem = fmt.Sprintf("column %d: %s", column, problem)
	}
	return &registry.Error{Origin: p.line(line), Fault: registry.Fault{Key: strings.Join(at.Key(), "."), Problem: problem}}
}

func (p *parser) line(n int) registry.Origin {
	if p.origin.Line == 0 {
		return p.origin
	}
	return registry.Origin{File: p.origin.File, Line: p.origin.Line + n - 1}
}

func (p *parser) at(offset int) registry.Origin {
	return p.line(sort.SearchInts(p.lines, offset+1) + 1)
}

func (p *parser) fault(offset int, key, problem string) error {
	return &registry.Error{Origin: p.at(offset), Fault: registry.Fault{Key: key, Problem: problem}}
}

// tree returns the tables and keys of the text, without the values. It stops at
// an error of syntax, which strict reports.
func (p *parser) tree(source []byte) (*registry.Table, error) {
	top := registry.NewTable("", registry.Origin{File: p.origin.File})
	current := top
	p.syntax.Reset(source)
	for p.syntax.NextExpression() {
		e := p.syntax.Expression()
		var err error
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			current, err = p.header(top, e)
		case unstable.KeyValue:
			err = p.keyValue(current, e)
		}
		if err != nil {
			return nil, err
		}
	}
	return top, nil
}

// header returns the table that [a.b] or [[a.b]] begins.
func (p *parser) header(top *registry.Table, e *unstable.Node) (*registry.Table, error) {
	t, key, origin, err := p.descend(top, e.Key())
	if err != nil {
		return nil, err
	}
	path := registry.Join(t.Path, key)
	old, exists := t.Get(key)
	if e.Kind == unstable.ArrayTable {
		list, isList := old.Data.([]registry.Value)
		if exists && !isList {
			return nil, twice(path, origin, old.Origin)
		}
		sub := registry.NewTable(fmt.Sprintf("%s[%d]", path, len(list)), origin)
		if !exists {
			old.Origin = origin
		}
		t.Set(key, registry.Value{Data: append(list, registry.Value{Data: sub, Origin: origin}), Origin: old.Origin})
		return sub, nil
	}
	sub, isTable := old.Data.(*registry.Table)
	if exists && (!isTable || !sub.Implicit) {
		return nil, twice(path, origin, old.Origin)
	}
	if !exists {
		sub = registry.NewTable(path, origin)
	}
	sub.Origin, sub.Implicit = origin, false
	t.Set(key, registry.Value{Data: sub, Origin: origin})
	return sub, nil
}

// keyValue sets the key of a line, or of an inline table, in t.
func (p *parser) keyValue(t *registry.Table, e *unstable.Node) error {
	t, key, origin, err := p.descend(t, e.Key())
	if err != nil {
		return err
	}
	path := registry.Join(t.Path, key)
	if old, exists := t.Get(key); exists {
		return twice(path, origin, old.Origin)
	}
	v, err := p.value(path, origin, e.Value())
	if err != nil {
		return err
	}
	t.Set(key, v)
	return nil
}

// value is the value of a node, with nothing for a scalar.
func (p *parser) value(path string, origin registry.Origin, n *unstable.Node) (registry.Value, error) {
	if len(path) > maxPath {
		return registry.Value{}, tooLong(path, origin)
	}
	if n.Raw.Length > 0 {
		origin = p.at(int(n.Raw.Offset))
	}
	switch n.Kind {
	case unstable.InlineTable:
		t := registry.NewTable(path, origin)
		for it := n.Children(); it.Next(); {
			if err := p.keyValue(t, it.Node()); err != nil {
				return registry.Value{}, err
			}
		}
		return registry.Value{Data: t, Origin: origin}, nil
	case unstable.Array:
		list := []registry.Value{}
		for it := n.Children(); it.Next(); {
			v, err := p.value(fmt.Sprintf("%s[%d]", path, len(list)), origin, it.Node())
			if err != nil {
				return registry.Value{}, err
			}
			list = append(list, v)
		}
		return registry.Value{Data: list, Origin: origin}, nil
	}
	return registry.Value{Origin: origin}, nil
}

// descend makes the tables that a dotted key names, and returns the last of
// them with the key in it.
func (p *parser) descend(t *registry.Table, keys unstable.Iterator) (last *registry.Table, key string, origin registry.Origin, err error) {
	for keys.Next() {
		if last != nil {
			if t, err = p.sub(t, key, origin); err != nil {
				return nil, "", origin, err
			}
		}
		last, key, origin = t, string(keys.Node().Data), p.at(int(keys.Node().Raw.Offset))
		if path := registry.Join(t.Path, key); len(path) > maxPath {
			return nil, "", origin, tooLong(path, origin)
		}
	}
	return last, key, origin, nil
}

// sub is the table at key in t, the last one of a list.
func (p *parser) sub(t *registry.Table, key string, origin registry.Origin) (*registry.Table, error) {
	v, exists := t.Get(key)
	if !exists {
		return addTable(t, key, origin), nil
	}
	if list, ok := v.Data.([]registry.Value); ok && len(list) > 0 {
		v.Data = list[len(list)-1].Data
	}
	if sub, ok := v.Data.(*registry.Table); ok {
		return sub, nil
	}
	return nil, twice(registry.Join(t.Path, key), origin, v.Origin)
}

func twice(path string, origin, first registry.Origin) error {
	problem := "is given twice"
	if first.Line > 0 {
		problem = fmt.Sprintf("is given twice, first at line %d", first.Line)
	}
	return &registry.Error{Origin: origin, Fault: registry.Fault{Key: path, Problem: problem}}
}

func tooLong(path string, origin registry.Origin) error {
	return &registry.Error{Origin: origin, Fault: registry.Fault{Key: path[:40] + "...", Problem: fmt.Sprintf("is a key longer than %d bytes", maxPath)}}
}

// fill gives the keys of t their values.
func fill(t *registry.Table, values map[string]any) {
	for _, key := range t.Keys() {
		v, _ := t.Get(key)
		t.Set(key, filled(v, values[key]))
	}
}

func filled(v registry.Value, data any) registry.Value {
	switch shape := v.Data.(type) {
	case *registry.Table:
		if values, ok := data.(map[string]any); ok {
			fill(shape, values)
		}
	case []registry.Value:
		switch data := data.(type) {
		case []any:
			for i := range shape {
				shape[i] = filled(shape[i], data[i])
			}
		case []map[string]any:
			for i := range shape {
				shape[i] = filled(shape[i], data[i])
			}
		}
	default:
		v.Data = data
	}
	return v
}

// flattenSweep makes every axis of the grid, and every change of an ablation, one
// key: its path from the top, whether it is written as a quoted key or not.
func flattenSweep(top *registry.Table) error {
	sweep := table(top, "sweep")
	if sweep == nil {
		return nil
	}
	if err := flatten(sweep, "grid"); err != nil {
		return err
	}
	ablate := table(sweep, "ablate")
	if ablate == nil {
		return nil
	}
	for _, name := range ablate.Keys() {
		if err := flatten(ablate, name); err != nil {
			return err
		}
	}
	return nil
}

// flatten replaces the table at key by one whose keys are paths. A table that is
// given as such and names a component is a value.
func flatten(parent *registry.Table, key string) error {
	t := table(parent, key)
	if t == nil {
		return nil
	}
	flat := registry.NewTable(t.Path, t.Origin)
	var add func(prefix string, t *registry.Table) error
	add = func(prefix string, t *registry.Table) error {
		for _, key := range t.Keys() {
			v, _ := t.Get(key)
			path := key
			if prefix != "" {
				path = prefix + "." + key
			}
			sub := table(t, key)
			if sub != nil && len(sub.Keys()) > 0 && (sub.Implicit || !namesComponent(sub)) {
				if err := add(path, sub); err != nil {
					return err
				}
				continue
			}
			if old, exists := flat.Get(path); exists {
				return twice(registry.Join(flat.Path, path), v.Origin, old.Origin)
			}
			flat.Set(path, v)
		}
		return nil
	}
	if err := add("", t); err != nil {
		return err
	}
	parent.Set(key, registry.Value{Data: flat, Origin: t.Origin})
	return nil
}

// table returns the table at key in t, nil where there is none.
func table(t *registry.Table, key string) *registry.Table {
	v, _ := t.Get(key)
	sub, _ := v.Data.(*registry.Table)
	return sub
}

// addTable adds a table at key to t, as a dotted key does.
func addTable(t *registry.Table, key string, origin registry.Origin) *registry.Table {
	sub := registry.NewTable(registry.Join(t.Path, key), origin)
	sub.Implicit = true
	t.Set(key, registry.Value{Data: sub, Origin: origin})
	return sub
}

// namesComponent reports whether t has a type. Among variants and changes, type
// is a name like any other.
func namesComponent(t *registry.Table) bool {
	v, ok := t.Get("type")
	_, isTable := v.Data.(*registry.Table)
	return ok && !isTable
}
