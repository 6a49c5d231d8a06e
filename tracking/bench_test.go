package tracking

import (
	"context"
	"database/sql"
	"fmt"
	"testing"
	"time"
)

// BenchmarkStep is what a training step pays: three metrics.
func BenchmarkStep(b *testing.B) {
	s, err := open(tempPath(b), time.Hour)
	check(b, err)
	defer s.Close()
	register(b, s, grid("copy", 1, 1))
	r := begin(b, s, "a-0")
	b.ReportAllocs()
	step := 0
	for b.Loop() {
		step++
		check(b, recordStep(r, step))
	}
	b.StopTimer()
	r.spool.pending, r.spool.size = nil, 0 // ingestion is another benchmark
}

func recordStep(r *Run, step int) error {
	for _, name := range [...]string{"loss", "grad_norm", "lr"} {
		if err := r.Metric(step, "train", name, float64(step)); err != nil {
			return err
		}
	}
	return nil
}

// BenchmarkSync is what a checkpoint adds.
func BenchmarkSync(b *testing.B) {
	s, err := open(tempPath(b), time.Hour)
	check(b, err)
	defer s.Close()
	register(b, s, grid("copy", 1, 1))
	r := begin(b, s, "a-0")
	step := 0
	for b.Loop() {
		step++
		check(b, recordStep(r, step), r.Sync())
	}
}

// BenchmarkIngest is the ingestion of spools that are in the page cache, in
// transactions of a second's worth of records from 1 and from 16 trials.
func BenchmarkIngest(b *testing.B) {
	for _, trials := range []int{1, 16} {
		b.Run(fmt.Sprintf("trials=%d", trials), func(b *testing.B) {
			s, err := open(tempPath(b), time.Hour)
			check(b, err)
			defer s.Close()
			register(b, s, grid("copy", 1, trials))
			var runs []*Run
			for i := range trials {
				runs = append(runs, begin(b, s, fmt.Sprintf("a-%d", i)))
			}
			const steps = 200
			step := 0
			for b.Loop() {
				for range steps {
					step++
					for _, r := range runs {
						check(b, recordStep(r, step))
					}
				}
				check(b, s.ingestRuns(context.Background(), runs))
			}
			b.ReportMetric(float64(b.N*trials*steps*3)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkReaders is what a list and a figure of an experiment cost: 100 trials
// of 2,000 steps with three metrics.
func BenchmarkReaders(b *testing.B) {
	ctx := context.Background()
	s, err := open(tempPath(b), time.Hour)
	check(b, err)
	defer s.Close()
	register(b, s, grid("copy", 10, 10))
	check(b, s.transact(ctx, func(tx *sql.Tx) error {
		for _, t := range grid("copy", 10, 10).Trials {
			in := newInserter(ctx, tx, t.ID, 0)
			for step := range 2000 {
				for _, name := range []string{"loss", "grad_norm", "lr"} {
					if err := in.add(record{kind: metricRecord, step: step, split: "train", name: name, value: 1}); err != nil {
						return err
					}
				}
			}
			if err := in.flush(); err != nil {
				return err
			}
			in.close()
		}
		_, err := tx.Exec(`INSERT INTO run SELECT NULL, id, 'finished', '', '', 0, 1, 0, '', 0, '', 0, '', '', 0, '', '', '', '', '', 0, '[]', id, 0 FROM trial`)
		return err
	}))
	for name, read := range map[string]func() (int, error){
		"trials":        func() (int, error) { rows, err := s.Trials(ctx, "copy"); return len(rows), err },
		"final_metrics": func() (int, error) { rows, err := s.FinalMetrics(ctx, "copy"); return len(rows) / 3, err },
		"curves":        func() (int, error) { rows, err := s.Curves(ctx, "copy", "train", "loss"); return len(rows), err },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n, err := read()
				check(b, err)
				if n != 100 {
					b.Fatalf("got %d trials, want 100", n)
				}
			}
		})
	}
}
