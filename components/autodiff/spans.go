package autodiff

// Spans says where the sequences of a batch lie among the rows of a Var
// [rows, D]: sequence b of B is Lengths[b] rows from row Starts[b] on. Mostly one
// follows the other, and the Var is [Σ lengths, D]. But spans may overlap, when
// several hypotheses look at one source, and leave rows out.
type Spans struct{ Starts, Lengths []int32 }

// Batch is the number of sequences, B.
func (s Spans) Batch() int { return len(s.Lengths) }

// Longest is the longest length, 0 where there is no sequence.
func (s Spans) Longest() int {
	longest := int32(0)
	for _, length := range s.Lengths {
		longest = max(longest, length)
	}
	return int(longest)
}

// At returns the first row of sequence b, and its length.
func (s Spans) At(b int) (start, length int) { return int(s.Starts[b]), int(s.Lengths[b]) }

// Select returns the sequences that rows names, in their order, in t's memory.
func (s Spans) Select(t *Tape, rows []int32) Spans {
	selected := Spans{Ints(t, len(rows)), Ints(t, len(rows))}
	for i, row := range rows {
		selected.Starts[i], selected.Lengths[i] = s.Starts[row], s.Lengths[row]
	}
	return selected
}

// First returns the first n sequences.
func (s Spans) First(n int) Spans { return Spans{s.Starts[:n], s.Lengths[:n]} }

// SingleRows is n sequences of one row each, in t's memory.
func SingleRows(t *Tape, n int) Spans {
	s := Spans{Ints(t, n), Ints(t, n)}
	for i := range n {
		s.Starts[i], s.Lengths[i] = int32(i), 1
	}
	return s
}
