package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCrossEntropyValues(t *testing.T) {
	// Probabilities 1/4 and 3/4 in either row, the last row ignored.
	logits := []float64{7, 7 + math.Log(3), math.Log(3), 0, 1, 2}
	losses, dLogits := make([]float64, 3), slices.Repeat([]float64{9}, 6)
	CrossEntropy(3, 2, logits, 2, []int32{0, 0, -1}, -1, 0, 8, dLogits, losses)
	for i, want := range []float64{math.Log(4), math.Log(4. / 3), 0} {
		if !near(losses[i], want, 1e-14) {
			t.Errorf("loss %d is %g, want %g", i, losses[i], want)
		}
	}
	for i, want := range []float64{-6, 6, -2, 2, 0, 0} {
		if !near(dLogits[i], want, 1e-13) {
			t.Errorf("gradient %d is %g, want %g", i, dLogits[i], want)
		}
	}
	// Smoothing of 1/2 over two classes: 3/4 on the target.
	CrossEntropy(1, 2, logits, 2, []int32{0}, -1, 0.5, 1, nil, losses)
	if want := -0.75*math.Log(0.25) - 0.25*math.Log(0.75); !near(losses[0], want, 1e-14) {
		t.Errorf("smoothed loss is %g, want %g", losses[0], want)
	}
}

func TestCrossEntropyGradients(t *testing.T) {
	rng := rand.New(rand.NewPCG(29, 30))
	const rows, v, scale = 3, 21, 0.7
	targets := []int32{20, -100, 3}
	x := randomSlice[float64](rng, rows*v)
	losses, dx := make([]float64, rows), make([]float64, rows*v)
	for _, smoothing := range []float64{0, 0.1, 1} {
		CrossEntropy(rows, v, x, v, targets, -100, smoothing, scale, dx, nil)
		checkGradient(t, "logits", func() float64 {
			CrossEntropy(rows, v, x, v, targets, -100, smoothing, 1, nil, losses)
			return weighted(losses, []float64{scale, scale, scale})
		}, x, dx)
	}
}

func TestCrossEntropyEqualsReference(t *testing.T) {
	onNativePaths(t, func(t *testing.T, rng *rand.Rand, v int) {
		if v == 0 {
			return
		}
		rows, ignore, scale := rng.IntN(4), int32(rng.IntN(3)-1), awkward(rng, 1)[0]
		smoothing := []float32{0, 0.1, 1}[rng.IntN(3)]
		targets := make([]int32, rows)
		for r := range targets {
			targets[r] = int32(rng.IntN(v))
			if rng.IntN(4) == 0 {
				targets[r] = ignore
			}
		}
		ld := v + rng.IntN(20)
		logits, dLogits, losses := wide(rng, rows*ld), awkward(rng, rows*ld+1), awkward(rng, rows+1)
		wantD, wantLosses := slices.Clone(dLogits), slices.Clone(losses)
		CrossEntropy(rows, v, logits, ld, targets, ignore, smoothing, scale, dLogits, losses)
		crossEntropyReference(rows, v, logits, ld, targets, ignore, smoothing, scale, wantD, wantLosses)
		same(t, "CrossEntropy: losses", v, losses, wantLosses)
		same(t, "CrossEntropy: dLogits", v, dLogits, wantD)

		clear(losses[:rows])
		CrossEntropy(rows, v, logits, ld, targets, ignore, smoothing, scale, nil, losses)
		same(t, "CrossEntropy without dLogits", v, losses, wantLosses)
		for r := range rows {
			copy(wantD[r*ld+v:(r+1)*ld], logits[r*ld+v:(r+1)*ld])
		}
		CrossEntropy(rows, v, logits, ld, targets, ignore, smoothing, scale, logits, nil)
		same(t, "CrossEntropy in place, without losses", v, logits, wantD[:rows*ld])
	})
}

// The mean over the targets that are not padding, as PyTorch computes it.
func TestCrossEntropyGolden(t *testing.T) {
	for _, name := range []string{"cross_entropy", "cross_entropy_smooth"} {
		t.Run(name, func(t *testing.T) {
			g := readGolden(t, name)
			pad, smoothing := int32(g.Config["pad_id"].(float64)), float32(g.Config["label_smoothing"].(float64))
			logits := g.Tensors["logits"].Data
			var targets []int32
			count := 0
			for _, target := range g.Tensors["targets"].Data {
				targets = append(targets, int32(target))
				if int32(target) != pad {
					count++
				}
			}
			rows := len(targets)
			losses, dLogits := make([]float32, rows), make([]float32, len(logits))
			CrossEntropy(rows, len(logits)/rows, logits, len(logits)/rows, targets, pad, smoothing, 1/float32(count), dLogits, losses)
			sum := 0.0
			for _, loss := range losses {
				sum += float64(loss)
			}
			if got, want := sum/float64(count), g.Values["loss"].(float64); !(math.Abs(got-want) <= 1e-6*want) {
				t.Errorf("loss is %.8g, want %.8g", got, want)
			}
			closeTo(t, "dLogits", dLogits, g.Tensors["grad.logits"].Data, 1e-5, 1e-7)
		})
	}
}

func BenchmarkCrossEntropy(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, s := range []struct{ rows, v int }{{1280, 20}, {64, 1000}, {64, 10000}} {
		logits, dLogits, losses := randomSlice[float32](rng, s.rows*s.v), make([]float32, s.rows*s.v), make([]float32, s.rows)
		targets := make([]int32, s.rows)
		b.Run(fmt.Sprintf("%dx%d", s.rows, s.v), func(b *testing.B) {
			for b.Loop() {
				CrossEntropy(s.rows, s.v, logits, s.v, targets, -1, 0.1, 1, dLogits, losses)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(s.rows*s.v), "ns/element")
		})
	}
}
