package autodiff

import (
	"fmt"

	"exp/components/kernel"
)

// Rotate turns columns of x in place (Su et al. 2021, equation 34): of each of
// blocks blocks of K columns, side by side from x.From on, the pair 2i, 2i+1 of
// row t of every sequence by the angle whose sine and cosine are columns 2i and
// 2i+1 of row from+t of table [P, K],
//
//	a, b = a cos - b sin, a sin + b cos
//
// table is a constant. No operation before may have x as an operand or a result
// whose value its backward pass reads.
func Rotate(t *Tape, x Columns, blocks int, table *Var, spans Spans, from int) {
	if K := table.Dim(1); K%2 != 0 || x.From+blocks*K > x.width() || from+spans.Longest() > table.Dim(0) {
		panic(fmt.Sprintf("autodiff: rotate: %d blocks from column %d of %v, of up to %d rows; table is %v, from row %d",
			blocks, x.From, x.Var.shape, spans.Longest(), table.shape, from))
	}
	if t.dtype == Float32 {
		rotate[float32](t, x, blocks, table, spans, from)
	} else {
		rotate[float64](t, x, blocks, table, spans, from)
	}
}

type rotateOp[F kernel.Float] struct {
	x            Columns
	table        *Var
	spans        Spans
	blocks, from int
}

func rotate[F kernel.Float](t *Tape, x Columns, blocks int, table *Var, spans Spans, from int) {
	op := rotateOp[F]{x, table, spans, blocks, from}
	op.turn(columnsOf[F](x), 1)
	if t.recording {
		*Record[rotateOp[F]](t) = op
	}
}

// turn turns all rows of x by sign times their angles.
func (op *rotateOp[F]) turn(x []F, sign F) {
	K, ld := op.table.Dim(1), op.x.width()
	for b := range op.spans.Batch() {
		start, n := op.spans.At(b)
		for i := range n {
			angles := Values[F](op.table)[(op.from+i)*K:][:K]
			for block := range op.blocks {
				row := x[(start+i)*ld+block*K:][:K]
				for j := 0; j+1 < len(row) && j+1 < len(angles); j += 2 {
					a, b, sin, cos := row[j], row[j+1], sign*angles[j], angles[j+1]
					row[j], row[j+1] = F(a*cos)-F(b*sin), F(a*sin)+F(b*cos)
				}
			}
		}
	}
}

// Backward turns the gradient back, in place too.
func (op *rotateOp[F]) Backward() {
	if op.x.Var.HasGrad() {
		op.turn(gradOf[F](op.x), -1)
	}
}

// Distances says which row of a table [R, K] is of which distance from a query to
// a key, in positions: row 0 is of Behind or more before it, the last row of
// Ahead or more after it.
type Distances struct {
	Behind, Ahead int
	From          int // the position of the first query of each sequence; the first key has 0
}

// Rows is the number R of rows.
func (d Distances) Rows() int { return d.Behind + d.Ahead + 1 }

// row is the row of the distance from query i to key j.
func (d Distances) row(i, j int) int {
	return min(max(j-i-d.From, -d.Behind), d.Ahead) + d.Behind
}

// visible is how many of the keys of r query i can look at: where nothing is
// ahead, those up to its own position.
func (d Distances) visible(r kernel.AttentionRows, i int) int {
	if d.Ahead > 0 {
		return int(r.Keys)
	}
	return min(int(r.Keys), i+d.From+1)
}

// AddRelativeScores adds in place to scores [B, N, T, S] what queries have in
// common with the distance of the key (Shaw et al. 2018, equation 4):
//
//	scores[n, i, j] += q_i · table[distance of i and j]    for each head's query q
//
// for q as [DotScores] reads it. The heads share the table [R, K].
func AddRelativeScores(t *Tape, scores *Var, q Columns, table *Var, queries, keys Spans, d Distances) {
	if t.dtype == Float32 {
		addRelativeScores[float32](t, scores, q, table, queries, keys, d)
	} else {
		addRelativeScores[float64](t, scores, q, table, queries, keys, d)
	}
}

type relativeScoresOp[F kernel.Float] struct {
	scores, table *Var
	q             Columns
	grid          grid
	distances     Distances
}

func addRelativeScores[F kernel.Float](t *Tape, scores *Var, q Columns, table *Var, queries, keys Spans, d Distances) {
	g := newGrid(queries, keys, scores.Dim(1))
	g.check("relative scores", scores)
	rows, R, K := q.Var.Rows(), d.Rows(), table.Dim(1)
	if rows == 0 {
		return
	}
	terms := kept[F](t, rows*g.heads*R) // of each query and head, with every distance
	for n := range g.heads {
		kernel.Gemm(false, true, rows, R, K, columnsOf[F](q)[n*K:], q.width(), Values[F](table), K, terms[n*R:], g.heads*R, nil, false)
	}
	d.each(g, func(i, seen, at, term int) { spread(d, i, Values[F](scores)[at:][:seen], terms[term:]) })
	giveBack(t, terms)
	if t.recording {
		*Record[relativeScoresOp[F]](t) = relativeScoresOp[F]{scores, table, q, g, d}
	}
}

// each calls f for every query and head: the query's number in its sequence, the
// keys that it sees, and where its scores and its terms [rows of queries, N, R] begin.
func (d Distances) each(g grid, f func(i, seen, at, term int)) {
	R := d.Rows()
	g.each(func(at, head int, r kernel.AttentionRows) {
		for i := range int(r.Queries) {
			f(i, d.visible(r, i), at+i*g.S, ((int(r.Query)+i)*g.heads+head)*R)
		}
	})
}

// spread adds to each score of a query the term of its distance.
func spread[F kernel.Float](d Distances, i int, scores, terms []F) {
	for j := range scores {
		scores[j] += terms[d.row(i, j)]
	}
}

// gather adds to the term of each distance the scores of a query.
func gather[F kernel.Float](d Distances, i int, terms, scores []F) {
	for j, x := range scores {
		terms[d.row(i, j)] += x
	}
}

// Backward, by the sums of ds over the keys of one distance: dq += sums table,
// dtable += sumsᵀ q.
func (op *relativeScoresOp[F]) Backward() {
	if !op.scores.HasGrad() {
		return
	}
	rows, R, K, heads := op.q.Var.Rows(), op.distances.Rows(), op.table.Dim(1), op.grid.heads
	sums, ds := Zeros[F](op.scores.storage.tape, rows*heads*R), Grad[F](op.scores)
	op.distances.each(op.grid, func(i, seen, at, term int) { gather(op.distances, i, sums[term:], ds[at:][:seen]) })
	dq, dTable := gradOf[F](op.q), Grad[F](op.table)
	for n := range heads {
		if dq != nil {
			kernel.Gemm(false, false, rows, K, R, sums[n*R:], heads*R, Values[F](op.table), K, dq[n*K:], op.q.width(), nil, true)
		}
		kernel.Gemm(true, false, R, K, rows, sums[n*R:], heads*R, columnsOf[F](op.q)[n*K:], op.q.width(), dTable, K, nil, true)
	}
}

// AddRelativeValues adds in place to the context [rows of queries, N·K] the mean
// of what the distances say, under the weights [B, N, T, S] (Shaw et al. 2018,
// equation 3):
//
//	context[i, n] += Σ_j weights[n, i, j] table[distance of i and j]
//
// The heads share the table [R, K]. No operation before may read the context in
// its backward pass.
func AddRelativeValues(t *Tape, context, weights, table *Var, queries, keys Spans, d Distances) {
	if t.dtype == Float32 {
		addRelativeValues[float32](t, context, weights, table, queries, keys, d)
	} else {
		addRelativeValues[float64](t, context, weights, table, queries, keys, d)
	}
}

type relativeValuesOp[F kernel.Float] struct {
	context, weights, table *Var
	grid                    grid
	distances               Distances
	sums                    []F // [rows, N, R]: of the weights of the keys of one distance
}

func addRelativeValues[F kernel.Float](t *Tape, context, weights, table *Var, queries, keys Spans, d Distances) {
	g := newGrid(queries, keys, weights.Dim(1))
	g.check("relative values", weights)
	rows, R, K := context.Rows(), d.Rows(), table.Dim(1)
	if rows == 0 {
		return
	}
	sums, w := Zeros[F](t, rows*g.heads*R), Values[F](weights)
	d.each(g, func(i, seen, at, term int) { gather(d, i, sums[term:], w[at:][:seen]) })
	for n := range g.heads {
		kernel.Gemm(false, false, rows, K, R, sums[n*R:], g.heads*R, Values[F](table), K, columnsOf[F](Columns{context, n * K}), g.heads*K, nil, true)
	}
	if t.recording {
		*Record[relativeValuesOp[F]](t) = relativeValuesOp[F]{context, weights, table, g, d, sums}
	}
}

// Backward: dtable += sumsᵀ dy, and the gradient dy tableᵀ of a sum is that of
// each of its weights.
func (op *relativeValuesOp[F]) Backward() {
	if !op.context.HasGrad() {
		return
	}
	rows, R, K, heads := op.context.Rows(), op.distances.Rows(), op.table.Dim(1), op.grid.heads
	dSums := Floats[F](op.context.storage.tape, rows*heads*R)
	for n := range heads {
		dy := gradOf[F](Columns{op.context, n * K})
		kernel.Gemm(true, false, R, K, rows, op.sums[n*R:], heads*R, dy, heads*K, Grad[F](op.table), K, nil, true)
		kernel.Gemm(false, true, rows, R, K, dy, heads*K, Values[F](op.table), K, dSums[n*R:], heads*R, nil, false)
	}
	dw := Grad[F](op.weights)
	op.distances.each(op.grid, func(i, seen, at, term int) { spread(op.distances, i, dw[at:][:seen], dSums[term:]) })
}
