package tracking

import (
	"context"
	"database/sql"
)

// FinalMetric is a metric of a finished trial at the last step at which it was
// evaluated.
type FinalMetric struct {
	Point
	Split, Metric string
	Step          int
	Value         float64 // may be NaN or infinite
}

// FinalMetrics lists the final metrics of an experiment's finished trials, in
// the order of its file, then by split and metric. Trials that failed or
// diverged have none: to count them too, ask [Reader.Trials].
func (r *Reader) FinalMetrics(ctx context.Context, experiment string) ([]FinalMetric, error) {
	if err := r.known(ctx, experiment); err != nil {
		return nil, err
	}
	return query(ctx, r, func(rows *sql.Rows) (m FinalMetric, err error) {
		var axes string
		var value sql.NullFloat64
		if err := rows.Scan(&m.Variant, &axes, &m.Seed, &m.Trial, &m.Split, &m.Metric, &m.Step, &value); err != nil {
			return m, err
		}
		m.Value = parseNumber(value)
		return m, parseAxes(axes, &m.Axes)
	}, `SELECT variant, axes, seed, trial, split, metric, step, value
		FROM final_metrics WHERE experiment = ? ORDER BY position, variant, axes, split, metric`, experiment)
}

// Curve is a metric of a trial over training.
type Curve struct {
	Point
	Steps  []int     // ascending
	Values []float64 // may be NaN or infinite
}

// Curves returns a metric of a split over training, for each row of
// [Reader.Trials], in the same order. A trial without that metric has an empty
// curve.
func (r *Reader) Curves(ctx context.Context, experiment, split, metric string) ([]Curve, error) {
	trials, err := r.Trials(ctx, experiment)
	if err != nil {
		return nil, err
	}
	curves := make([]Curve, len(trials))
	for i, t := range trials {
		c := &curves[i]
		c.Point = t.Point
		_, err := query(ctx, r, func(rows *sql.Rows) (struct{}, error) {
			var step int
			var value sql.NullFloat64
			err := rows.Scan(&step, &value)
			c.Steps = append(c.Steps, step)
			c.Values = append(c.Values, parseNumber(value))
			return struct{}{}, err
		}, "SELECT step, value FROM metrics WHERE trial = ? AND split = ? AND metric = ? ORDER BY step", t.Trial, split, metric)
		if err != nil {
			return nil, err
		}
	}
	return curves, nil
}

// Points lists the values of a trial's metric in the order of the steps, none
// for a trial that is not known.
func (r *Reader) Points(ctx context.Context, trialID, split, metric string) ([]Metric, error) {
	return query(ctx, r, scanMetric, "SELECT split, metric, step, value FROM metrics WHERE trial = ? AND split = ? AND metric = ? ORDER BY step", trialID, split, metric)
}

// LastMetrics lists every metric that a trial has, at the last step at which it
// was recorded, by split and name.
func (r *Reader) LastMetrics(ctx context.Context, trialID string) ([]Metric, error) {
	return query(ctx, r, scanMetric, `
		SELECT s.split, s.name, p.step, p.value
		FROM series s JOIN point p ON p.series = s.id AND p.step = (SELECT max(step) FROM point WHERE series = s.id)
		WHERE s.trial = ? ORDER BY s.split, s.name`, trialID)
}

func scanMetric(rows *sql.Rows) (m Metric, err error) {
	var value sql.NullFloat64
	err = rows.Scan(&m.Split, &m.Name, &m.Step, &value)
	m.Value = parseNumber(value)
	return m, err
}

// Measurement is a number that differs from run to run.
type Measurement struct {
	Run   int64
	Name  string
	Step  int
	Value float64 // may be NaN or infinite
}

// Measurements lists the measurements of all runs of a trial, by run, name and step.
func (r *Reader) Measurements(ctx context.Context, trialID string) ([]Measurement, error) {
	return query(ctx, r, func(rows *sql.Rows) (m Measurement, err error) {
		var value sql.NullFloat64
		err = rows.Scan(&m.Run, &m.Name, &m.Step, &value)
		m.Value = parseNumber(value)
		return m, err
	}, "SELECT run, name, step, value FROM measurements WHERE trial = ? ORDER BY run, name, step", trialID)
}
