package plots

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// count writes how many of a group's trials a number rests on: "3", or "2 of 3".
func count(n, of int) string {
	if n == of {
		return strconv.Itoa(n)
	}
	return fmt.Sprintf("%d of %d", n, of)
}

// seedCounts collects on how many seeds the numbers of a picture rest, to say it
// once where it is the same everywhere.
type seedCounts struct {
	groups map[int][]string // counts of each group, over the panels
	all    []string         // each distinct count
}

func (s *seedCounts) add(group, n, of int) {
	if s.groups == nil {
		s.groups = map[int][]string{}
	}
	text := count(n, of)
	if !slices.Contains(s.groups[group], text) {
		s.groups[group] = append(s.groups[group], text)
	}
	if !slices.Contains(s.all, text) {
		s.all = append(s.all, text)
	}
}

// uniform reports whether every group rests on the same number of seeds.
func (s *seedCounts) uniform() bool { return len(s.all) == 1 }

// note says what a mean is over, where one number of seeds holds everywhere how many,
// and what shows their spread.
func (s *seedCounts) note(mean, spread string) string {
	switch {
	case !s.uniform():
		return mean + " over seeds; " + spread
	case s.all[0] == "1": // which is its own mean, and has no spread
		return "one seed"
	}
	return mean + " over " + s.all[0] + " seeds; " + spread
}

// suffix says a group's number where it is not the same everywhere.
func (s *seedCounts) suffix(group int) string {
	if s.uniform() {
		return ""
	}
	return " (n=" + strings.Join(s.groups[group], ", ") + ")"
}
