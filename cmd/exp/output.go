package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// newTable is a table for the terminal with that heading. A column in which
// nothing stands is left out.
func newTable(heading ...any) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = 0
	t.Style().Options.SeparateRows = false
	t.SuppressEmptyColumns()
	t.AppendHeader(heading)
	return t
}

// alignNumbers puts the columns from first to last to the right, counted from 1.
func alignNumbers(t table.Writer, first, last int) {
	var columns []table.ColumnConfig
	for i := first; i <= last; i++ {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
}

func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return failed(err)
	}
	return nil
}

// number is a float64 that JSON can hold: NaN and infinities become strings.
type number float64

// MarshalJSON writes what encoding/json refuses as "nan", "inf" and "-inf".
func (n number) MarshalJSON() ([]byte, error) {
	switch v := float64(n); {
	case math.IsNaN(v):
		return []byte(`"nan"`), nil
	case math.IsInf(v, 1):
		return []byte(`"inf"`), nil
	case math.IsInf(v, -1):
		return []byte(`"-inf"`), nil
	}
	return json.Marshal(float64(n))
}

// formatValue writes a metric's value in a few characters.
func formatValue(v float64) string { return strconv.FormatFloat(v, 'g', 4, 64) }

// formatCount writes a number of things with commas.
func formatCount(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// formatDuration writes a duration as a reader would say it.
func formatDuration(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// short is enough of an id to tell it from others.
func short(id string) string { return id[:min(len(id), 10)] }
