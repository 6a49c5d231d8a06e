package task

import (
	"slices"
	"strings"
	"testing"

	"exp/components"
	"exp/registry"
)

// The text of a pair, read again, is the pair.
func TestReadAgain(t *testing.T) {
	var c components.Catalog
	Register(&c)
	for _, test := range []struct{ name, source string }{
		{"copy", "4 17 3"}, {"addition", "12+345"}, {"dates", "3rd of May, 1999"}, {"number_words", "two hundred and six"},
	} {
		table := registry.NewTable("task", registry.Origin{})
		table.Set("type", registry.Value{Data: test.name})
		choice, err := c.Tasks.Decode(table)
		if err != nil {
			t.Fatal(err)
		}
		made, err := choice.Build(components.TaskDeps{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := made.Load()
		if err != nil {
			t.Fatal(err)
		}
		p, tokens, err := d.ReadSource(test.source)
		if err != nil || slices.Contains(p.Source, components.Unk) || len(tokens) != len(p.Source) {
			t.Errorf("%s: %q is %v of %q, %v", test.name, test.source, p.Source, tokens, err)
		}
		again := strings.Join(tokens, " ")
		if d.SourceText != nil {
			again = d.SourceText(tokens)
		}
		if again != test.source {
			t.Errorf("%s: %q is told as %q", test.name, test.source, again)
		}
		target := d.Valid.Pair(0).Target
		if again, err := d.ReadTarget(d.TargetText(target)); err != nil || !slices.Equal(again, target) {
			t.Errorf("%s: %q is %v, want %v; %v", test.name, d.TargetText(target), again, target, err)
		}
	}
}
