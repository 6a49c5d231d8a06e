package plots

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// A panel has every token, and a cell for every weight above 0.
func TestAlignments(t *testing.T) {
	all := []Alignment{
		{"line 1", []string{"ein", "Hund"}, []string{"a", "dog", "</s>"}, [][]float64{{0.9, 0.1}, {0, 1}, {0.5, 0.5}}},
		{"line 2", []string{"ja"}, []string{"yes"}, [][]float64{{1}}},
		{"line 3", []string{"w", " ", "x"}, []string{"y"}, [][]float64{{0, 0.25, 0.75}}},
	}
	p, err := Alignments(all)
	if err != nil {
		t.Fatal(err)
	}
	var svg bytes.Buffer
	if err := p.Write(&svg, "svg"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"line 1", "ein", "Hund", "dog", "line 3", "␣"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("the picture lacks %q", want)
		}
	}
	if n := len(regexp.MustCompile(`fill:#08306B`).FindAllString(svg.String(), -1)); n != 2 {
		t.Errorf("%d cells are of weight 1, want 2", n)
	}
	for _, format := range p.Formats() {
		var file bytes.Buffer
		if err := p.Write(&file, format); err != nil || file.Len() == 0 {
			t.Errorf("%s: %d bytes, %v", format, file.Len(), err)
		}
	}
	// Of nothing but an end there is room for its row.
	wide := Alignment{"line 1", []string{"WWWWWWWWWWWWWWWW", "twice"}, []string{"</s>"}, [][]float64{{0.4, 0.6}}}
	for _, all := range [][]Alignment{all[1:2], all[1:], {wide}, {wide, wide, wide, wide, wide}} {
		p, err := Alignments(all)
		if err != nil {
			t.Fatal(err)
		}
		if width, height := p.room(); width < leastPanel-1 || height < leastPanel-1 {
			t.Errorf("%d panels have a room of %.1f by %.1f points, want %d at least", len(all), width, height, leastPanel)
		}
	}
	for want, wrong := range map[string][]Alignment{
		"alignments: there are none": nil,
		"alignment 1: 1 rows of weights of 2 target and 1 source tokens; want a row a target token, and one of each at least": {{"", []string{"a"}, []string{"b", "c"}, [][]float64{{1}}}},
		"alignment 1: a row of 2 weights, and 1 source tokens":                                                                {{"", []string{"a"}, []string{"b"}, [][]float64{{1, 0}}}},
	} {
		if _, err := Alignments(wrong); err == nil || err.Error() != want {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}
