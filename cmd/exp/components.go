package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"exp/components"
	"exp/components/standard"
	"exp/plots"
	"exp/registry"
)

// family is a family of components, or a table without a type, as shown.
type family struct {
	Name       string      `json:"name"`
	Table      string      `json:"table"` // where it is configured
	Components []component `json:"components"`
}

type component struct {
	Name    string   `json:"name,omitempty"`
	Doc     string   `json:"doc"`
	Options []option `json:"options"`
}

type option struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Allowed []string `json:"allowed,omitempty"`
	Default any      `json:"default"`
	Doc     string   `json:"doc"`
	OneOf   string   `json:"one_of,omitempty"`
}

// tables is where each family is configured.
var tables = map[string]string{
	"task": "[task]", "tokenizer": "tokenizers of [task]", "front_end": "[model.front_end]", "encoder": "[model.encoder]", "decoder": "[model.decoder]", "attention": "[model.attention]", "output": "[model.output]",
	"layer":     "layers of recurrent",
	"optimizer": "[train.optimizer]", "group": "groups of [train]", "schedule": "[train.schedule]", "teacher_forcing": "[train.teacher_forcing]", "metric": "metrics of [evaluate]", "figure": "[[figures]]",
}

func newComponents() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "components [FAMILY [NAME]]",
		Short: "List what a configuration can name, with every option",
		Example: `  exp components
  exp components encoder
  exp components encoder lstm
  exp components train`,
		Args: cobra.MaximumNArgs(2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return completeComponents(args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			families, err := selectFamilies(args)
			if err != nil {
				return usage(err, "")
			}
			if asJSON {
				return writeJSON(c.OutOrStdout(), families)
			}
			printFamilies(c.OutOrStdout(), families, len(args) > 0)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// allFamilies lists everything.
func allFamilies() []family {
	var all []family
	for _, f := range append(standard.Catalog().Families(), registry.Family(plots.NewKind())) {
		entry := family{Name: f.FamilyName(), Table: tables[f.FamilyName()]}
		for _, name := range f.Names() {
			c, _ := f.Describe(name)
			entry.Components = append(entry.Components, component{c.Name, c.Doc, describe(c.Options)})
		}
		all = append(all, entry)
	}
	embeddings, training, evaluation := components.DefaultEmbeddings(), components.DefaultTraining(), components.DefaultEvaluation()
	breakdown, diagnostics := components.Breakdown{}, components.Diagnostics{}
	return append(all,
		family{"embeddings", "[model.embeddings]", []component{{Doc: embeddings.Doc(), Options: describe(registry.Describe(embeddings))}}},
		family{"train", "[train]", []component{{Doc: training.Doc(), Options: describe(registry.Describe(training))}}},
		family{"evaluate", "[evaluate]", []component{{Doc: evaluation.Doc(), Options: describe(registry.Describe(evaluation))}}},
		family{"breakdown", "[evaluate.breakdown]", []component{{Doc: breakdown.Doc(), Options: describe(registry.Describe(breakdown))}}},
		family{"diagnostics", "[evaluate.diagnostics]", []component{{Doc: diagnostics.Doc(), Options: describe(registry.Describe(diagnostics))}}},
	)
}

func describe(options []registry.Option) []option {
	described := make([]option, len(options))
	for i, o := range options {
		described[i] = option{o.Key, o.Type, o.Allowed, o.Default, o.Doc, o.OneOf}
	}
	return described
}

// selectFamilies is the families that the arguments name.
func selectFamilies(args []string) ([]family, error) {
	all := allFamilies()
	if len(args) == 0 {
		return all, nil
	}
	var names []string
	for _, f := range all {
		names = append(names, f.Name)
		if f.Name != args[0] && f.Name+"s" != args[0] {
			continue
		}
		if len(args) == 1 {
			return []family{f}, nil
		}
		var within []string
		for _, c := range f.Components {
			if c.Name == args[1] {
				f.Components = []component{c}
				return []family{f}, nil
			}
			within = append(within, c.Name)
		}
		return nil, fmt.Errorf("there is no %s %q; %s", f.Name, args[1], registry.Suggest(args[1], within))
	}
	return nil, fmt.Errorf("there is no family %q of components; %s", args[0], registry.Suggest(args[0], names))
}

func completeComponents(args []string) []string {
	var names []string
	for _, f := range allFamilies() {
		switch {
		case len(args) == 0:
			names = append(names, f.Name)
		case len(args) == 1 && f.Name == args[0]:
			for _, c := range f.Components {
				names = append(names, c.Name)
			}
		}
	}
	return names
}

// printFamilies writes names, and in detail every option.
func printFamilies(w io.Writer, families []family, detailed bool) {
	for i, f := range families {
		if !detailed {
			var names []string
			for _, c := range f.Components {
				names = append(names, c.Name)
			}
			fmt.Fprintf(w, "%-10s %-22s %s\n", f.Name, f.Table, strings.Join(names, " "))
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		for j, c := range f.Components {
			if j > 0 {
				fmt.Fprintln(w)
			}
			printComponent(w, f, c)
		}
	}
	if !detailed {
		fmt.Fprintln(w, "\nexp components FAMILY NAME prints a component's options.")
	}
}

func printComponent(w io.Writer, f family, c component) {
	title := f.Table
	if c.Name != "" {
		title = fmt.Sprintf("%s %s, type = %q in %s", f.Name, c.Name, c.Name, f.Table)
		if f.Name == "metric" {
			title = fmt.Sprintf("%s %s, in %s", f.Name, c.Name, f.Table)
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", title, indent(c.Doc, 2))
	if len(c.Options) == 0 {
		return
	}
	t := newTable("option", "type", "default", "")
	for _, o := range c.Options {
		typ := o.Type
		if o.Allowed != nil {
			typ = strings.Join(o.Allowed, " | ")
		}
		t.AppendRow([]any{o.Name, typ, registry.Format(o.Default), text.WrapSoft(o.Doc, 60)})
	}
	fmt.Fprintln(w, t.Render())
}

// indent breaks a text into lines that start with n spaces.
func indent(s string, n int) string {
	space := strings.Repeat(" ", n)
	lines := strings.Split(text.WrapSoft(s, 90), "\n")
	for i, line := range lines { // WrapSoft fills them with spaces
		lines[i] = space + strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}
