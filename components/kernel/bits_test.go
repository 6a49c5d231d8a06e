package kernel

import (
	"encoding/binary"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the hashes of testdata anew")

const bitsFile = "testdata/bits.txt"

// TestBits compares the bits of every operation with those on file: they are the
// same on every path, processor and compiler, and change with intent alone.
func TestBits(t *testing.T) {
	for _, path := range available {
		t.Run(path.String(), func(t *testing.T) {
			usePath(t, path)
			var lines []string
			for _, name := range operations(t) {
				run, ok := bitCases[name]
				if !ok {
					t.Errorf("no case runs %s", name)
					continue
				}
				rng := rand.New(rand.NewPCG(1, 2))
				hash := fnv.New64a()
				for _, n := range []int{1, 7, 16, 37, 101} {
					for _, out := range run(n, func(n int) []float32 { return anywhere(rng, n) }) {
						if err := binary.Write(hash, binary.LittleEndian, out); err != nil {
							t.Fatal(err)
						}
					}
				}
				lines = append(lines, fmt.Sprintf("%-22s %016x\n", name, hash.Sum64()))
			}
			got := strings.Join(lines, "")
			if *update && path == available[0] {
				if err := os.WriteFile(bitsFile, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			file, err := os.ReadFile(bitsFile)
			if err != nil {
				t.Fatalf("%v; -update writes it", err)
			}
			want := strings.SplitAfter(string(file), "\n")
			for i, line := range strings.SplitAfter(got, "\n") {
				if i >= len(want) || line != want[i] {
					t.Errorf("got %swhich is not in its place in %s; where results are meant to change, run with -update", line, bitsFile)
				}
			}
		})
	}
}

// anywhere is n values in [-8, 8) that start off any vector boundary. It needs
// no rounding, and so is the same everywhere.
func anywhere(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n+1)[1:]
	for i := range x {
		x[i] = float32(int32(rng.Uint32())>>8) / (1 << 20)
	}
	return x
}

// operations are the exported functions of the package over numbers, in order.
func operations(t *testing.T) (names []string) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !strings.HasSuffix(file.Name(), ".go") || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv != nil || f.Type.TypeParams == nil || !f.Name.IsExported() {
				continue
			}
			if of, ok := f.Type.TypeParams.List[0].Type.(*ast.Ident); !ok || of.Name != "any" {
				names = append(names, f.Name.Name)
			}
		}
	}
	if len(names) == 0 {
		t.Fatal("found no operation")
	}
	slices.Sort(names)
	return names
}

var bitSequences = []AttentionRows{{0, 3, 0, 3}, {3, 1, 3, 2}}

// bitCases run each operation at size n on inputs from in, and return what it
// wrote.
var bitCases = map[string]func(n int, in func(int) []float32) []any{
	"AdamStep": func(n int, in func(int) []float32) []any {
		w, g, m, v := in(n), in(n), in(n), in(n)
		Mul(v, v, v)
		AdamStep(w, g, m, v, Adam[float32]{LR: 0.01, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Correction1: 0.271, Correction2: 0.002997, GradScale: 0.7})
		return []any{w, m, v}
	},
	"AdagradStep": func(n int, in func(int) []float32) []any {
		w, g, sum := in(n), in(n), in(n)
		Mul(sum, sum, sum)
		AdagradStep(w, g, sum, Adagrad[float32]{LR: 0.01, Epsilon: 1e-10, GradScale: 0.7, Decay: 0.02})
		return []any{w, sum}
	},
	"Clamp": func(n int, in func(int) []float32) []any {
		x := in(n)
		Clamp(x, 3)
		return []any{x}
	},
	"RMSPropStep": func(n int, in func(int) []float32) (out []any) {
		for i := range 4 {
			w, g, square, mean, velocity := in(n), in(n), in(n), in(n), in(n)
			Mul(square, square, square)
			if i&1 == 0 {
				mean = nil
			}
			if i&2 == 0 {
				velocity = nil
			}
			RMSPropStep(w, g, square, mean, velocity, RMSProp[float32]{LR: 0.01, Keep: 0.99, Gain: 0.01, Epsilon: 1e-8, Momentum: 0.9, GradScale: 0.7, Decay: 0.02})
			out = append(out, w, square, mean, velocity)
		}
		return out
	},
	"Add":      binaryBits(Add[float32]),
	"AddTo":    func(n int, in func(int) []float32) []any { x := in(n); AddTo(x, in(n)); return []any{x} },
	"AddRows":  func(n int, in func(int) []float32) []any { x := in(3 * n); AddRows(x, 3, n, in(n)); return []any{x} },
	"Axpy":     func(n int, in func(int) []float32) []any { x := in(n); Axpy(x, 0.7, in(n)); return []any{x} },
	"Scale":    func(n int, in func(int) []float32) []any { x := in(n); Scale(x, 0.7, in(n)); return []any{x} },
	"Mul":      binaryBits(Mul[float32]),
	"MulAdd":   binaryBits(MulAdd[float32]),
	"TanhGrad": binaryBits(TanhGrad[float32]),
	"ReluGrad": binaryBits(ReluGrad[float32]),

	"Exp":             unaryBits(Exp[float32]),
	"Tanh":            unaryBits(Tanh[float32]),
	"Sigmoid":         unaryBits(Sigmoid[float32]),
	"AdditiveTerms":   unaryBits(AdditiveTerms[float32]),
	"Relu":            unaryBits(Relu[float32]),
	"Gelu":            unaryBits(Gelu[float32]),
	"TanhBackward":    binaryBits(TanhBackward[float32]),
	"SigmoidBackward": binaryBits(SigmoidBackward[float32]),
	"ReluBackward":    binaryBits(ReluBackward[float32]),
	"GeluBackward":    binaryBits(GeluBackward[float32]),

	"AdditiveAttention": func(n int, in func(int) []float32) []any {
		w, y := in(11), in(4*3)
		AdditiveAttention(n, 3, bitSequences, terms(in(4*n)), terms(in(5*n)), in(n), in(5*3), w, y)
		return []any{w, y}
	},
	"AdditiveAttentionBackward": func(n int, in func(int) []float32) []any {
		dq, dk, dv, dvalues := in(4*n), in(5*n), in(n), in(5*3)
		AdditiveAttentionBackward(n, 3, bitSequences, terms(in(4*n)), terms(in(5*n)), in(n), in(5*3), nil, in(11), in(4*3), in(11), dq, dk, dv, dvalues)
		return []any{dq, dk, dv, dvalues}
	},
	"AdditiveScores": func(n int, in func(int) []float32) []any {
		scores := in(2 * 5)
		AdditiveScores(2, 3, n, terms(in(2*n)), terms(in(3*n)), in(n), scores, 5)
		return []any{scores}
	},
	"AdditiveScoresBackward": func(n int, in func(int) []float32) []any {
		dq, dk, dv := in(2*n), in(3*n), in(n)
		AdditiveScoresBackward(2, 3, n, terms(in(2*n)), terms(in(3*n)), in(n), in(2*5), 5, dq, dk, dv)
		return []any{dq, dk, dv}
	},
	"Attention": func(n int, in func(int) []float32) []any {
		s, rows := bitAttention(n)
		y, stats := in(2*n*5), in(2*n*2)
		Attention(s, rows, in(2*n*5), in(2*n*5), in(2*n*5), y, stats, make([]float32, s.Scratch(false)))
		return []any{y, stats}
	},
	"AttentionBackward": func(n int, in func(int) []float32) []any {
		s, rows := bitAttention(n)
		q, k, v, y, stats := in(2*n*5), in(2*n*5), in(2*n*5), in(2*n*5), in(2*n*2)
		Attention(s, rows, q, k, v, y, stats, make([]float32, s.Scratch(false)))
		dq, dk, dv := in(2*n*5), in(2*n*5), in(2*n*5)
		AttentionBackward(s, rows, q, k, v, in(2*n*5), stats, dq, dk, dv, make([]float32, s.Scratch(true)))
		return []any{dq, dk, dv}
	},
	"AllFinite": func(n int, in func(int) []float32) []any {
		x := in(n)
		finite := AllFinite(x)
		x[n-1] = float32(math.Inf(1))
		return []any{finite, AllFinite(x)}
	},
	"ArgmaxRows": func(n int, in func(int) []float32) []any {
		index := make([]int32, 3)
		ArgmaxRows(3, n, in(3*n), index)
		return []any{index}
	},
	"CrossEntropy": func(n int, in func(int) []float32) []any {
		dLogits, losses := in(3*n), in(3)
		CrossEntropy(3, n, in(3*n), n, []int32{0, int32(n - 1), -1}, -1, 0.1, 0.3, dLogits, losses)
		return []any{dLogits, losses}
	},
	"Dot": func(n int, in func(int) []float32) []any { return []any{Dot(in(n), in(n))} },
	"Dropout": func(n int, in func(int) []float32) []any {
		x := in(n)
		Dropout(x, x, 0.3, 5, 1<<40+3)
		return []any{x}
	},
	"DropoutBackward": func(n int, in func(int) []float32) []any {
		dx := in(n)
		DropoutBackward(dx, in(n), 0.3, 5, 1<<40+3)
		return []any{dx}
	},
	"GRUForward": func(n int, in func(int) []float32) []any {
		gi, h := in(2*3*n), in(2*n)
		GRUForward(2, n, gi, in(2*3*n), in(2*n), h)
		return []any{gi, h}
	},
	"GRUBackward": func(n int, in func(int) []float32) []any {
		gi, gh, dhPrev := in(2*3*n), in(2*3*n), in(2*n)
		GRUBackward(2, n, gi, gh, in(2*n), in(2*n), dhPrev)
		return []any{gi, gh, dhPrev}
	},
	"LSTMForward": func(n int, in func(int) []float32) []any {
		gates, c, h := in(2*4*n), in(2*n), in(2*n)
		LSTMForward(2, n, gates, 4*n, in(2*n), c, h)
		return []any{gates, c, h}
	},
	"LSTMBackward": func(n int, in func(int) []float32) []any {
		dc, gates := in(2*n), in(2*4*n)
		LSTMBackward(2, n, gates, 4*n, in(2*n), in(2*n), in(2*n), dc)
		return []any{dc, gates}
	},
	"Gather": func(n int, in func(int) []float32) []any {
		dst := in(3 * n)
		Gather(3, n, dst, in(4*n), []int32{3, 0, 3})
		return []any{dst}
	},
	"GatherStrided": func(n int, in func(int) []float32) []any {
		dst := in(3 * (n + 1))
		GatherStrided(3, n, dst, n+1, in(4*(n+2)), n+2, []int32{3, -1, 3})
		return []any{dst}
	},
	"GatherStridedAdd": func(n int, in func(int) []float32) []any {
		dst := in(3 * (n + 1))
		GatherStridedAdd(3, n, dst, n+1, in(4*(n+2)), n+2, []int32{3, -1, 3})
		return []any{dst}
	},
	"ScatterStrided": func(n int, in func(int) []float32) []any {
		dst := in(4 * (n + 2))
		ScatterStrided(3, n, dst, n+2, in(3*(n+1)), n+1, []int32{3, -1, 3})
		return []any{dst}
	},
	"ScatterAdd": func(n int, in func(int) []float32) []any {
		table := in(4 * n)
		ScatterAdd(3, n, table, in(3*n), []int32{3, 0, 3})
		return []any{table}
	},
	"ScatterStridedAdd": func(n int, in func(int) []float32) []any {
		dst := in(4 * (n + 2))
		ScatterStridedAdd(3, n, dst, n+2, in(3*(n+1)), n+1, []int32{3, -1, 3})
		return []any{dst}
	},
	"Gemm": func(n int, in func(int) []float32) (out []any) {
		m, k := n%23+2, 5*n+3 // at the largest, two blocks of k
		for i := range 8 {
			transA, transB, accumulate := i&1 != 0, i&2 != 0, i&4 != 0
			c := in(m * n)
			lda, ldb := k, n
			if transA {
				lda = m
			}
			if transB {
				ldb = k
			}
			Gemm(transA, transB, m, n, k, in(m*k), lda, in(k*n), ldb, c, n, nil, accumulate)
			out = append(out, c)
		}
		return out
	},
	"GemmBatch": func(n int, in func(int) []float32) (out []any) {
		for i := range 8 {
			transA, transB, accumulate := i&1 != 0, i&2 != 0, i&4 != 0
			ld := max(5, n)
			c := in(3 * ld * ld)
			products := []Product{{M: 5, N: int64(n), K: 3}, {M: int64(n), N: 2, K: 4, A: int64(ld), B: 1, C: int64(ld * ld)}, {M: 3, N: 4, K: int64(n), C: int64(2 * ld * ld)}}
			GemmBatch(transA, transB, products, in((ld+5)*ld), ld, in((ld+5)*ld), ld, c, ld, accumulate)
			out = append(out, c)
		}
		return out
	},
	"NewPacked": func(n int, in func(int) []float32) []any {
		p := NewPacked(5, n, in(PackedSize(5, n)))
		p.PackRows(2, 3, in(3*n), n)
		p.PackRows(0, 2, in(2*n), n)
		return []any{p.data}
	},
	"GemmPacked": func(n int, in func(int) []float32) (out []any) {
		m, k := n%23+2, 5*n+3
		for i := range 3 {
			var b Packed[float32]
			if i == 0 {
				b.Pack(true, k, n, in(k*n), k)
			} else {
				b.Pack(false, k, n, in(k*n), n)
			}
			c, bias := in(m*n), in(n)
			if i > 0 {
				bias = nil
			}
			GemmPacked(false, m, in(m*k), k, &b, c, n, bias, i == 2)
			out = append(out, c)
		}
		return out
	},
	"LayerNorm": func(n int, in func(int) []float32) []any {
		y, mean, rstd := in(3*n), in(3), in(3)
		LayerNorm(3, n, y, in(3*n), in(n), in(n), 1e-5, mean, rstd)
		return []any{y, mean, rstd}
	},
	"LayerNormBackward": func(n int, in func(int) []float32) []any {
		dx, dGain, dBias := in(3*n), in(n), in(n)
		LayerNormBackward(3, n, dx, dGain, dBias, in(3*n), in(3*n), in(n), in(3), in(3))
		return []any{dx, dGain, dBias}
	},
	"LogSoftmaxRows": func(n int, in func(int) []float32) []any {
		y := in(3 * n)
		LogSoftmaxRows(3, n, y, in(3*n))
		return []any{y}
	},
	"SoftmaxRows": func(n int, in func(int) []float32) []any {
		x := in(4 * (n + 1))
		SoftmaxRows(4, n, x, n+1, []int32{int32(n), int32(n / 2), 0, 1})
		return []any{x}
	},
	"SoftmaxRowsBackward": func(n int, in func(int) []float32) []any {
		dx := in(3 * n)
		SoftmaxRowsBackward(3, n, dx, in(3*n), in(3*n), n, 0.3)
		return []any{dx}
	},
	"SGDStep": func(n int, in func(int) []float32) (out []any) {
		for i := range 3 {
			w, velocity := in(n), in(n)
			if i == 0 {
				velocity = nil
			}
			SGDStep(w, in(n), velocity, SGD[float32]{LR: 0.01, Momentum: 0.9, Nesterov: i == 2, GradScale: 0.7})
			out = append(out, w, velocity)
		}
		return out
	},
	"SumRows": func(n int, in func(int) []float32) []any {
		dst := in(n)
		SumRows(dst, 11, n, in(11*(n+1)), n+1)
		return []any{dst}
	},
	"Transpose": func(n int, in func(int) []float32) []any {
		dst := in(n * 11)
		Transpose(11, n, in(11*(n+1)), n+1, dst, 11)
		return []any{dst}
	},
	"SumSquares": func(n int, in func(int) []float32) []any { return []any{SumSquares(in(n))} },
}

// bitAttention is a causal attention of one head of size 5 for two sequences of n.
func bitAttention(n int) (*AttentionShape, []AttentionRows) {
	m := int32(n)
	return &AttentionShape{Heads: 1, KeySize: 5, ValueSize: 5, LdQ: 5, LdK: 5, LdV: 5, LdY: 5, Scale: 0.3, Causal: true, MaxKeys: n},
		[]AttentionRows{{0, m, 0, m}, {m, m, m, m}}
}

func unaryBits(f func(dst, src []float32)) func(int, func(int) []float32) []any {
	return func(n int, in func(int) []float32) []any {
		dst := in(n)
		f(dst, in(n))
		return []any{dst}
	}
}

func binaryBits(f func(dst, a, b []float32)) func(int, func(int) []float32) []any {
	return func(n int, in func(int) []float32) []any {
		dst := in(n)
		f(dst, in(n), in(n))
		return []any{dst}
	}
}
