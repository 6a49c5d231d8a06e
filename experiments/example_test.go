package experiments_test

import (
	"fmt"

	"exp/components/standard"
	"exp/experiments"
)

func ExampleParse() {
	source := `
[task]
type = "scan"
[model.encoder]
type = "lstm"
hidden_size = 64
[model.decoder]
type = "lstm"
hidden_size = 64

[sweep]
seeds = 2
[sweep.grid]
"model.attention.type" = ["none", "dot"]
[sweep.variants.lstm]
[sweep.variants.transformer]
model.encoder = { type = "transformer", model_size = 64 }
model.decoder = { type = "transformer", model_size = 64 }
`
	e, err := experiments.Parse("scan.toml", []byte(source), experiments.Options{Catalog: standard.Catalog()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Name, "has", len(e.Cells), "cells and", len(e.Trials()), "trials")
	for _, t := range e.Trials()[:5] {
		fmt.Println(t.Cell.Label(), "with seed", t.Seed)
	}

	_, err = experiments.Parse("scan.toml", []byte(source), experiments.Options{
		Catalog: standard.Catalog(),
		Set:     []string{"train.stepps=100", "train.optimizer.lr=0"},
	})
	fmt.Println(err)
	// Output:
	// scan has 4 cells and 8 trials
	// lstm none with seed 1
	// lstm dot with seed 1
	// transformer none with seed 1
	// transformer dot with seed 1
	// lstm none with seed 2
	// --set: train.stepps: [train] has no such option; did you mean "steps"?
	// --set: train.optimizer.lr: must be above 0, is 0
}
