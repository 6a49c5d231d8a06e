package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// allowed is what each package may import of this module. A new arrow is a
// change of the design.
var allowed = map[string][]string{
	"exp/registry":          nil,
	"exp/tracking":          nil,
	"exp/components/kernel": nil,
	"exp/plots":             {"exp/registry"},

	"exp/components/autodiff":      {"exp/components/kernel"},
	"exp/components/nn":            {"exp/components/autodiff", "exp/components/kernel"},
	"exp/components":               {"exp/components/autodiff", "exp/components/nn", "exp/registry"},
	"exp/components/metric":        {"exp/components", "exp/registry"},
	"exp/components/frontend":      parts,
	"exp/components/recurrent":     parts,
	"exp/components/dense":         parts,
	"exp/components/attention":     parts,
	"exp/components/transformer":   parts,
	"exp/components/optimizer":     parts,
	"exp/components/task":          parts,
	"exp/components/componenttest": append(slices.Clone(parts), "exp/components/standard", "exp/runner/generate"),
	"exp/components/standard":      {"exp/components", "exp/components/", "exp/registry"},

	"exp/experiments":       {"exp/components", "exp/components/autodiff", "exp/registry"},
	"exp/runner/checkpoint": nil,
	"exp/runner/generate":   {"exp/components", "exp/components/autodiff"},
	"exp/runner/train":      {"exp/components", "exp/components/", "exp/registry", "exp/runner/checkpoint", "exp/runner/generate"},
	"exp/runner":            {"exp/components", "exp/components/", "exp/registry", "exp/experiments", "exp/tracking", "exp/runner/"},
	"exp/cmd/exp":           {"exp/"},
}

// parts is what a package of components imports: never another one.
var parts = []string{"exp/components", "exp/components/nn", "exp/components/autodiff", "exp/components/kernel", "exp/registry"}

func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "exp/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		pkg := fields[0]
		listed[pkg] = true
		may, known := allowed[pkg]
		if !known {
			t.Errorf("%s: is not in the table; give it its row", pkg)
		}
		for _, imported := range fields[1:] {
			if !strings.HasPrefix(imported, "exp/") {
				continue
			}
			if !slices.ContainsFunc(may, func(a string) bool {
				return a == imported || strings.HasSuffix(a, "/") && strings.HasPrefix(imported, a)
			}) {
				t.Errorf("%s must not import %s", pkg, imported)
			}
		}
	}
	for pkg := range allowed {
		if !listed[pkg] {
			t.Errorf("%s: is in the table, but there is no such package", pkg)
		}
	}
}

// TestNoData bans tensor.Dense.Data, which the collector may free under its user.
func TestNoData(t *testing.T) {
	out, err := exec.Command("grep", "-rnE", `\.Data\(\)`, "--include=*.go", "../..").Output()
	if err == nil {
		for line := range strings.Lines(string(out)) {
			if !strings.Contains(line, "imports_test.go") && !strings.Contains(line, "checkpoint.go") {
				t.Errorf("calls Data(): %s", strings.TrimSpace(line))
			}
		}
	}
}
