// Package plots turns what trials measured into the figures and tables of a
// paper. It knows no database and no model.
//
// [Data] is the measurements of one experiment: its trials, each with its place
// in the sweep (labels), its seed, its status, and its metrics. A [Figure] is
// what a [[figures]] table of the experiment's file asks for; [NewKind] has every
// type of it, and [Figure.Render] draws one of some data. What it returns,
// [Rendered], writes itself: a [Picture] as SVG, PDF, PNG and EPS, a [Table] as
// text, Markdown, LaTeX and CSV.
//
// A figure never pools cells that differ in more than the seed. Each line, bar
// and row is a group: the trials with the same values of the labels in by. Where
// two trials of a group differ in another label, the figure is refused with an
// error that names the label and its values. This is checked when a figure is
// built, if the sweep is known by then, and again when it is drawn.
//
// Every trial counts. A trial that diverged, failed or is not finished enters no
// mean, but stays in the denominator: n is then written "2 of 3".
//
// The same data gives the same bytes, whatever the day and the locale.
package plots
