package autodiff

import "exp/components/kernel"

// A Cache keeps a growing sequence [B, steps, W] for step-by-step decoding. It
// records no gradient, and lives no longer than its tape's step.
type Cache struct {
	Values  *Var    // [B, capacity, W], of which the first Lengths steps are filled
	Lengths []int32 // [B], all the number of steps appended
}

const firstCapacity = 16

// Append adds one step: width columns of x [B, 1, ...].
func (c *Cache) Append(t *Tape, x Columns, width int) {
	if t.dtype == Float32 {
		appendStep[float32](t, c, x, width)
	} else {
		appendStep[float64](t, c, x, width)
	}
}

func appendStep[F kernel.Float](t *Tape, c *Cache, x Columns, width int) {
	batch := x.Var.Dim(0)
	if c.Values == nil {
		c.Values = t.New(batch, firstCapacity, width)
		c.Lengths = Ints(t, batch)
		clear(c.Lengths)
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
	}
	dst, src := Values[F](c.Values), Values[F](x.Var)
	for b := range batch {
		at := x.at(b, 0, 0)
		copy(dst[(b*capacity+steps)*width:][:width], src[at:at+width])
		c.Lengths[b]++
	}
}
