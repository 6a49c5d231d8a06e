package plots

import (
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// minus is the minus sign, which is as wide as a digit.
const minus = "−"

// formatDecimals writes v with so many digits after the point, and what is as
// large as only a loss that explodes with a power of ten.
func formatDecimals(v float64, decimals int) string {
	text := strconv.FormatFloat(math.Abs(v), 'f', decimals, 64)
	if math.Abs(v) >= 1e9 {
		text = strconv.FormatFloat(math.Abs(v), 'g', 3, 64)
	}
	if v < 0 && strings.Trim(text, "0.") != "" {
		return minus + text
	}
	return text
}

// formatSteps writes a number of steps short: 500, 1.5k, 20k, 3M.
func formatSteps(v float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= unit.size {
			return strconv.FormatFloat(v/unit.size, 'f', -1, 64) + unit.name
		}
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// roundTicks returns the multiples of a round step in [lo, hi], at most about
// most of them, and how many digits after the point they need. The step is 1, 2,
// 2.5 or 5 times a power of ten, and whole where whole is asked for.
func roundTicks(lo, hi float64, most int, whole bool) (values []float64, decimals int) {
	for exponent := int(math.Floor(math.Log10((hi-lo)/float64(most)))) - 1; ; exponent++ {
		if whole && exponent < 0 {
			continue
		}
		for _, mantissa := range []float64{1, 2, 2.5, 5} {
			if whole && exponent == 0 && mantissa == 2.5 {
				continue
			}
			step := mantissa * math.Pow10(exponent)
			first, last := math.Ceil(lo/step-1e-9), math.Floor(hi/step+1e-9)
			if last-first+1 > float64(most) {
				continue
			}
			for i := first; i <= last; i++ {
				v := i * mantissa * math.Pow10(exponent)
				if exponent < 0 {
					v = i * mantissa / math.Pow10(-exponent) // the nearest float to what the label says
				}
				values = append(values, v+0) // no negative zero
			}
			decimals = max(0, -exponent)
			if mantissa == 2.5 {
				decimals = max(0, 1-exponent)
			}
			return values, decimals
		}
	}
}

// stepTicks marks an axis of training steps.
func stepTicks(lo, hi float64) []plot.Tick {
	values, _ := roundTicks(lo, hi, 6, true)
	ticks := make([]plot.Tick, len(values))
	for i, v := range values {
		ticks[i] = plot.Tick{Value: v, Label: formatSteps(v)}
	}
	return ticks
}

// valueTicks marks an axis of a metric, a share in percent.
func valueTicks(share bool) plot.TickerFunc {
	return func(lo, hi float64) []plot.Tick {
		scale := 1.0
		if share {
			scale = 100
		}
		values, decimals := roundTicks(lo*scale, hi*scale, 6, false)
		ticks := make([]plot.Tick, len(values))
		for i, v := range values {
			ticks[i] = plot.Tick{Value: v / scale, Label: formatTick(v, decimals, hi*scale)}
		}
		return ticks
	}
}

// formatTick writes a round number, with an exponent where it or the greatest
// number on its axis would be long.
func formatTick(v float64, decimals int, most float64) string {
	if decimals <= 5 && math.Abs(v) < 1e6 && math.Abs(most) < 1e6 {
		return formatDecimals(v, decimals)
	}
	return strings.ReplaceAll(strconv.FormatFloat(v, 'g', -1, 64), "-", minus)
}

// logTicks marks a logarithmic axis: about eight of its powers of ten at most,
// with 2 and 5 between them where they are few, or round numbers where even those
// are.
func logTicks(share bool) plot.TickerFunc {
	return func(lo, hi float64) []plot.Tick {
		first, last := int(math.Floor(math.Log10(lo))), int(math.Ceil(math.Log10(hi)))
		stride := 1 + (last-first)/9
		for _, labelled := range []string{"1", "125"} {
			var ticks []plot.Tick
			labels := 0
			for exponent := first; exponent <= last; exponent++ {
				for digit := 1; digit <= 9; digit++ {
					v := float64(digit) * math.Pow10(exponent)
					if v < lo || v > hi || stride > 1 && (digit > 1 || exponent%stride != 0) {
						continue
					}
					tick := plot.Tick{Value: v}
					if strings.Contains(labelled, strconv.Itoa(digit)) {
						tick.Label = formatPower(v, exponent, share)
						labels++
					}
					ticks = append(ticks, tick)
				}
			}
			if labels >= 3 {
				return ticks
			}
		}
		return valueTicks(share)(lo, hi)
	}
}

// formatPower writes a digit times ten to the exponent.
func formatPower(v float64, exponent int, share bool) string {
	if share {
		v, exponent = v*100, exponent+2
	}
	if exponent > 5 || exponent < -4 {
		return strings.ReplaceAll(strconv.FormatFloat(v, 'e', 0, 64), "-", minus)
	}
	return formatDecimals(v, max(0, -exponent))
}
