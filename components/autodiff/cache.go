package autodiff

import "exp/components/kernel"

// A Cache keeps growing sequences of rows for step-by-step decoding. It records
// no gradient, and lives no longer than its tape's step.
type Cache struct {
	Values *Var // [B, capacity, W]
	Spans       // where the rows of each sequence are in it: as many as were appended

	spare *Var // what Values was before the last Select
}

const firstCapacity = 16

// Append adds one row to each sequence: width columns of x [B, ...].
func (c *Cache) Append(t *Tape, x Columns, width int) {
	before := t.arena.keep
	t.arena.keep = true // as in Keep, and nothing allocated for it
	if t.dtype == Float32 {
		appendStep[float32](t, c, x, width)
	} else {
		appendStep[float64](t, c, x, width)
	}
	t.arena.keep = before
}

func appendStep[F kernel.Float](t *Tape, c *Cache, x Columns, width int) {
	batch := x.Var.Dim(0)
	if c.Values == nil {
		c.Values = t.New(batch, firstCapacity, width)
		c.lay(t, batch, 0)
	}
	steps, capacity := 0, c.Values.Dim(1)
	if batch > 0 {
		steps = int(c.Lengths[0])
	}
	if steps == capacity {
		larger := t.New(batch, 2*capacity, width)
		from, to := Values[F](c.Values), Values[F](larger)
		for b := range batch {
			copy(to[b*2*capacity*width:], from[b*capacity*width:(b+1)*capacity*width])
		}
		c.Values, capacity = larger, 2*capacity
		c.lay(t, batch, steps)
	}
	dst, src := Values[F](c.Values), Values[F](x.Var)
	for b := range batch {
		at := b*x.width() + x.From
		copy(dst[(b*capacity+steps)*width:][:width], src[at:at+width])
		c.Lengths[b]++
	}
}

// Select makes the cache that of the rows that rows names, in their order. Two
// blocks of memory take turns, so a search that selects at every step does not
// fill the tape.
func (c *Cache) Select(t *Tape, rows []int32) {
	if c.Values == nil {
		return // of no steps
	}
	if t.dtype == Float32 {
		selectRows[float32](t, c, rows)
	} else {
		selectRows[float64](t, c, rows)
	}
}

func selectRows[F kernel.Float](t *Tape, c *Cache, rows []int32) {
	steps, capacity, width := int(c.Lengths[0]), c.Values.Dim(1), c.Values.Dim(2)
	to := c.spare
	if to == nil || to.Dim(0) < len(rows) || to.Dim(1) != capacity {
		to = t.New(len(rows), capacity, width)
	}
	to = to.Part(0, len(rows))
	dst, src := Values[F](to), Values[F](c.Values)
	for i, row := range rows {
		copy(dst[i*capacity*width:][:steps*width], src[int(row)*capacity*width:])
	}
	c.spare, c.Values = c.Values, to
	c.lay(t, len(rows), steps)
}

// lay makes the spans of so many sequences of so many steps.
func (c *Cache) lay(t *Tape, batch, steps int) {
	if batch > len(c.Lengths) {
		c.Spans = Spans{Ints(t, batch), Ints(t, batch)}
	}
	c.Spans = c.First(batch)
	for b := range batch {
		c.Starts[b], c.Lengths[b] = int32(b*c.Values.Dim(1)), int32(steps)
	}
}
