package task

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"exp/components"
	"exp/registry"
)

// DatesOptions configures the dates task.
type DatesOptions struct {
	SyntheticOptions
	MinYear int `toml:"min_year" doc:"first year"`
	MaxYear int `toml:"max_year" doc:"last year"`
}

// Doc describes the component.
func (DatesOptions) Doc() string {
	return fmt.Sprintf("A date as people write it, to ISO 8601, a token a character: 5th of March, 2016 is 2016-03-05. There are %d formats, drawn evenly, of which none is ambiguous: ", len(formats)) +
		"what slashes part is month, day and year; what dots part is day, month and year. The length is that of the source in characters, and days are drawn until it is in range. " +
		"No two pairs have the same source; one day may be in several splits, written otherwise."
}

// Validate reports every value out of range.
func (o DatesOptions) Validate() error {
	err := errors.Join(o.SyntheticOptions.Validate(), registry.AtLeast("min_year", o.MinYear, 1000), registry.AtLeast("max_year", o.MaxYear, o.MinYear), registry.InRange("max_year", o.MaxYear, 1000, 10_000))
	for _, lengths := range [][3]any{{"max_length", o.MinLength, o.MaxLength}, {"test_max_length", o.TestMinLength, o.TestMaxLength}} {
		if least, greatest := lengths[1].(int), lengths[2].(int); least > longestDate || greatest > 0 && greatest < shortestDate {
			err = errors.Join(err, registry.Fault{Key: lengths[0].(string), Problem: fmt.Sprintf("dates have %d to %d characters", shortestDate, longestDate)})
		}
	}
	return err
}

// The shortest and the longest of what formats write.
const (
	shortestDate = len("1/1/2000")
	longestDate  = len("wednesday the 22nd of september, 2000")
)

// formats is how a date is written.
var formats = []func(time.Time) string{
	layout("2 January 2006"), layout("2 Jan 2006"), layout("02 Jan 2006"), layout("January 2, 2006"), layout("Jan 2, 2006"), layout("Jan 2 2006"),
	layout("2006 January 2"), layout("2006, Jan 2"), layout("Monday, 2 January 2006"), layout("Monday, January 2, 2006"), layout("Mon, 02 Jan 2006"), layout("Mon Jan 2 2006"),
	layout("2.1.2006"), layout("02.01.2006"), layout("1/2/2006"), layout("01/02/2006"), layout("2006/01/02"), layout("2-Jan-2006"), layout("20060102"), layout("2006-002"), layout("2. January 2006"),
	func(t time.Time) string { return fmt.Sprintf("%s of %s", ordinal(t.Day()), t.Format("January, 2006")) },
	func(t time.Time) string {
		return fmt.Sprintf("the %s of %s", ordinal(t.Day()), t.Format("January 2006"))
	},
	func(t time.Time) string {
		return fmt.Sprintf("%s %s, %d", t.Month(), ordinal(t.Day()), t.Year())
	},
	func(t time.Time) string {
		return fmt.Sprintf("%s the %s of %s", t.Weekday(), ordinal(t.Day()), t.Format("January, 2006"))
	},
	func(t time.Time) string { return fmt.Sprintf("%d %s %d", t.Day(), roman[t.Month()-1], t.Year()) },
	func(t time.Time) string {
		year, week := t.ISOWeek()
		return fmt.Sprintf("%d-W%02d-%d", year, week, (int(t.Weekday())+6)%7+1)
	},
	func(t time.Time) string { return strings.ToLower(t.Format("2 January 2006")) },
	func(t time.Time) string { return strings.ToUpper(t.Format("02 Jan 2006")) },
	func(t time.Time) string {
		return strings.ToLower(fmt.Sprintf("%s the %s of %s", t.Weekday(), ordinal(t.Day()), t.Format("January, 2006")))
	},
}

var roman = words("I II III IV V VI VII VIII IX X XI XII")

func layout(s string) func(time.Time) string {
	return func(t time.Time) string { return t.Format(s) }
}

// ordinal says a day of a month: 1st, 22nd, 13th.
func ordinal(day int) string {
	suffix := "th"
	if day/10 != 1 {
		switch day % 10 {
		case 1:
			suffix = "st"
		case 2:
			suffix = "nd"
		case 3:
			suffix = "rd"
		}
	}
	return fmt.Sprint(day) + suffix
}

// NewDates makes the task.
func NewDates(o DatesOptions, _ components.TaskDeps) (components.Task, error) {
	first := time.Date(o.MinYear, 1, 1, 0, 0, 0, 0, time.UTC)
	// A Duration has room for less than three centuries.
	days := int(time.Date(o.MaxYear+1, 1, 1, 0, 0, 0, 0, time.UTC).Unix()-first.Unix()) / (24 * 60 * 60)
	return &Synthetic{o: o.SyntheticOptions, source: characters("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ,./-"), target: characters("0123456789-"), spelled: [2]bool{true, true},
		draw: func(rng *rand.Rand, least, greatest int) (source, target []string) {
			for {
				day := first.AddDate(0, 0, rng.IntN(days))
				text := formats[rng.IntN(len(formats))](day)
				if len(text) >= least && len(text) <= greatest {
					return characters(text), characters(day.Format(time.DateOnly))
				}
			}
		}}, nil
}
