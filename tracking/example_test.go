package tracking_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"exp/tracking"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	store, err := tracking.Open(filepath.Join(dir, "runs", "exp.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	ctx := context.Background()
	err = store.Register(ctx, tracking.Experiment{
		Name:   "copy",
		Cells:  []tracking.Cell{{ID: "3f2a", Axes: []tracking.Axis{{Key: "model.attention.type", Value: "dot"}}}},
		Trials: []tracking.Trial{{ID: "3f2a-1", CellID: "3f2a", Seed: 1}},
	})
	if err != nil {
		log.Fatal(err)
	}

	run, err := store.Begin(ctx, "3f2a-1", tracking.Provenance{Kernel: "avx2", Workers: 1})
	if err != nil {
		log.Fatal(err)
	}
	err = errors.Join(
		run.Resume(0),
		run.Metric(1, "train", "loss", 2.5),
		run.Metric(2, "train", "loss", 1.5),
		run.Sync(), // before a checkpoint
		run.Metric(2, "test", "accuracy", 0.75),
	)
	if err != nil {
		log.Fatal(err)
	}
	if err := store.End(ctx, run, tracking.Finished, "", ""); err != nil {
		log.Fatal(err)
	}

	metrics, err := store.FinalMetrics(ctx, "copy")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range metrics {
		fmt.Println(m.Axes[0].Value, m.Seed, m.Split, m.Metric, m.Step, m.Value)
	}
	_, err = store.Begin(ctx, "3f2a-1", tracking.Provenance{})
	fmt.Println(err)
	// Output:
	// dot 1 test accuracy 2 0.75
	// dot 1 train loss 2 1.5
	// trial 3f2a-1: is finished already
}
