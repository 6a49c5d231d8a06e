package plots

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Table is a figure of rows and columns.
type Table struct {
	title  string
	heads  []head
	rows   [][]cell
	notes  []string
	fields []string   // of the CSV file
	record [][]string // its rows: full precision, a column for each number
}

// head is the head of a column.
type head struct {
	text   string
	number bool // its cells are numbers, aligned to the right
}

// cell is one cell of a table.
type cell struct {
	text string
	best bool // of its column
}

// Formats lists the formats of a table: text for a terminal, Markdown, LaTeX for
// the booktabs package, and CSV.
func (*Table) Formats() []string { return []string{"txt", "md", "tex", "csv"} }

// Write writes the table. CSV holds every number in full in a column of its own,
// shares as shares; the other formats round as the spread over the seeds
// justifies.
func (t *Table) Write(w io.Writer, format string) error {
	switch format {
	case "txt":
		return t.writeText(w)
	case "md":
		return t.writeMarkdown(w)
	case "tex":
		return t.writeLaTeX(w)
	case "csv":
		c := csv.NewWriter(w)
		return c.WriteAll(append([][]string{t.fields}, t.record...))
	}
	panic(fmt.Sprintf("plots: a table has no format %q", format))
}

// layOut fills a table of go-pretty, each text through escape.
func (t *Table) layOut(escape func(string) string, best func(string) string) table.Writer {
	p := table.NewWriter()
	header := table.Row{}
	var configs []table.ColumnConfig
	for i, h := range t.heads {
		header = append(header, escape(h.text))
		align := text.AlignLeft
		if h.number {
			align = text.AlignRight
		}
		configs = append(configs, table.ColumnConfig{Number: i + 1, Align: align, AlignHeader: align})
	}
	p.AppendHeader(header)
	p.SetColumnConfigs(configs)
	for _, cells := range t.rows {
		row := table.Row{}
		for _, c := range cells {
			txt := escape(c.text)
			if c.best {
				txt = best(txt)
			}
			row = append(row, txt)
		}
		p.AppendRow(row)
	}
	return p
}

func (t *Table) writeText(w io.Writer) error {
	same := func(s string) string { return s }
	p := t.layOut(same, same)
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	p.SetStyle(style)
	var b strings.Builder
	if t.title != "" {
		b.WriteString(t.title + "\n")
	}
	b.WriteString(p.Render() + "\n")
	for _, note := range t.notes {
		b.WriteString(note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (t *Table) writeMarkdown(w io.Writer) error {
	p := t.layOut(markdownText, func(s string) string { return "**" + s + "**" })
	var b strings.Builder
	if t.title != "" {
		b.WriteString("**" + markdownText(t.title) + "**\n\n")
	}
	b.WriteString(p.RenderMarkdown() + "\n")
	for _, note := range t.notes {
		b.WriteString("\n" + markdownText(note) + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdownText keeps what is no markup from being taken for it. The bar is left
// to go-pretty.
func markdownText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`, "]", `\]`).Replace(s)
}

func (t *Table) writeLaTeX(w io.Writer) error {
	var b strings.Builder
	line := func(cells []string) { b.WriteString(strings.Join(cells, " & ") + ` \\` + "\n") }
	b.WriteString("% needs \\usepackage{booktabs}\n")
	if t.title != "" {
		b.WriteString("% " + t.title + "\n")
	}
	b.WriteString(`\begin{tabular}{`)
	heads := make([]string, len(t.heads))
	for i, h := range t.heads {
		heads[i] = latexText(h.text)
		if h.number {
			b.WriteByte('r')
		} else {
			b.WriteByte('l')
		}
	}
	b.WriteString("}\n\\toprule\n")
	line(heads)
	b.WriteString("\\midrule\n")
	for _, row := range t.rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = latexText(c.text)
			if c.best {
				// \boldmath reaches the signs, which are mathematics.
				cells[i] = `\textbf{\boldmath ` + cells[i] + "}"
			}
			if i == 0 && strings.HasPrefix(cells[i], "[") {
				cells[i] = "{}" + cells[i] // or \\ before it would take it for an option
			}
		}
		line(cells)
	}
	b.WriteString("\\bottomrule\n\\end{tabular}\n")
	for _, note := range t.notes {
		b.WriteString("% " + note + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// latexText writes text for LaTeX.
func latexText(s string) string {
	return strings.NewReplacer(
		`\`, `\textbackslash{}`, "&", `\&`, "%", `\%`, "$", `\$`, "#", `\#`, "_", `\_`, "{", `\{`, "}", `\}`,
		"~", `\textasciitilde{}`, "^", `\textasciicircum{}`, "<", `\textless{}`, ">", `\textgreater{}`,
		" ± ", `\,$\pm$\,`, minus, "$-$", missing, "--", "Δ", `$\Delta$`,
	).Replace(s)
}

// full writes a number for the CSV file: nothing where there is none.
func full(v float64) string {
	if !finite(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
