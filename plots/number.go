package plots

import (
	"math"
)

// missing stands for a number that there is none of.
const missing = "–"

// decimalsFor returns how many digits after the point a spread justifies, by the
// rounding rule of the Particle Data Group: two significant digits of it up to
// 35, one above; -1 if there is no spread.
func decimalsFor(spread float64) int {
	if !(spread > 0) || math.IsInf(spread, 0) {
		return -1
	}
	exponent := math.Floor(math.Log10(spread))
	digits := 0.0
	switch lead := spread / math.Pow(10, exponent); {
	case lead < 3.55:
		digits = 1
	case lead >= 9.5: // rounded up to 10 of the next digit
		exponent, digits = exponent+1, 1
	}
	return int(min(6, max(0, digits-exponent)))
}

// decimalsAlone returns how many digits a number without a spread is shown with:
// three significant ones, or one after the point of a percentage.
func decimalsAlone(v float64, share bool) int {
	if share || v == 0 || !finite(v) {
		return 1
	}
	return int(min(6, max(0, 2-math.Floor(math.Log10(math.Abs(v))))))
}

// column formats the numbers of one column of a table alike.
type column struct {
	share bool
	alone int // decimals of a number without a spread; -1 to go by its size
}

// newColumn returns the format of a column with these spreads. Numbers without a
// spread get the decimals of the finest.
func newColumn(share bool, spreads []float64) column {
	c := column{share: share, alone: -1}
	for _, s := range spreads {
		c.alone = max(c.alone, decimalsFor(s*c.scale()))
	}
	return c
}

func (c column) scale() float64 {
	if c.share {
		return 100
	}
	return 1
}

func (c column) decimals(v, spread float64) int {
	if d := decimalsFor(spread * c.scale()); d >= 0 {
		return d
	}
	if c.alone >= 0 {
		return c.alone
	}
	return decimalsAlone(v*c.scale(), c.share)
}

// spread writes "mean ± sd", the mean alone without an sd, a dash without both.
func (c column) spread(s Summary) string {
	if math.IsNaN(s.Mean) {
		return missing
	}
	d := c.decimals(s.Mean, s.SD)
	mean := formatDecimals(s.Mean*c.scale(), d)
	if math.IsNaN(s.SD) {
		return mean
	}
	return mean + " ± " + formatDecimals(s.SD*c.scale(), d)
}

// signed writes a difference with its sign and its sd.
func (c column) signed(s Summary) string {
	text := c.spread(s)
	if s.Mean > 0 {
		text = "+" + text
	}
	return text
}

// interval writes "[low, high]" to the precision of its half width.
func (c column) interval(s Summary) string {
	if math.IsNaN(s.Low) || math.IsNaN(s.High) {
		return missing
	}
	d := c.decimals(s.Mean, (s.High-s.Low)/2)
	return "[" + formatSigned(s.Low*c.scale(), d) + ", " + formatSigned(s.High*c.scale(), d) + "]"
}

func formatSigned(v float64, decimals int) string {
	text := formatDecimals(v, decimals)
	if v > 0 {
		return "+" + text
	}
	return text
}
