package autodiff

import (
	"fmt"
	"regexp"
)

var opType = regexp.MustCompile(`(\w+)\[`)

// Ops returns the names of the types of t's entries.
func Ops(t *Tape) []string {
	var names []string
	for _, op := range t.ops {
		names = append(names, opType.FindStringSubmatch(fmt.Sprintf("%T", op))[1])
	}
	return names
}
