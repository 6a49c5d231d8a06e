package plots_test

import (
	"fmt"
	"os"

	"exp/plots"
)

func Example() {
	var d plots.Data
	add := func(attention string, accuracies ...float64) {
		for seed, v := range accuracies {
			d.Trials = append(d.Trials, plots.Trial{
				Labels: map[string]string{"model.attention.type": attention},
				Seed:   int64(seed),
				Status: plots.Finished,
				Final:  map[string]float64{"test/exact_match": v},
			})
		}
	}
	add("dot", 0.912, 0.905, 0.921)
	add("additive", 0.934, 0.941, 0.938)

	o := plots.DefaultAblationTable()
	o.By = []string{"model.attention.type"}
	f, err := plots.NewAblationTable(o, plots.Sweep{})
	if err != nil {
		fmt.Println(err)
		return
	}
	r, err := f.Render(d)
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := r.Write(os.Stdout, "md"); err != nil {
		fmt.Println(err)
	}
	// Output:
	// | attention | test exact match (%) | Δ | 95% CI of Δ | n |
	// |:--- | ---:| ---:| ---:| ---:|
	// | dot | 91.3 ± 0.8 | baseline | – | 3 |
	// | additive | 93.77 ± 0.35 | +2.5 ± 1.0 | \[+0.1, +4.9\] | 3 |
	//
	// mean ± sample standard deviation over n seeds; Δ in percentage points; Δ paired by seed, interval by Student's t
}
