package metric

import "math"

// edits is how one sequence is made of another: tokens of the reference that are
// replaced, tokens that are left out, tokens that are put in.
type edits struct{ substitutions, deletions, insertions int }

func (e edits) total() int { return e.substitutions + e.deletions + e.insertions }

func (e *edits) add(f edits) {
	e.substitutions += f.substitutions
	e.deletions += f.deletions
	e.insertions += f.insertions
}

// distance is the fewest edits that make the hypothesis of the reference
// (Levenshtein 1966), and of those ways the one that replaces fewest, which is
// the one that leaves most tokens as they are. That one's counts are the same
// whatever the order in which ties are looked at.
//
// row is memory for it, which it returns.
func distance(hypothesis, reference []int32, row []int64) (edits, []int64) {
	// An edit costs 2^32, and a substitution 1 more: the least cost is the fewest
	// edits, then the fewest substitutions.
	const edit, substitution = 1 << 32, 1<<32 + 1
	row = row[:0]
	for j := range len(hypothesis) + 1 {
		row = append(row, int64(j)*edit)
	}
	for _, r := range reference {
		diagonal, left := row[0], row[0]+edit
		row[0] = left
		for j, h := range hypothesis {
			cost := diagonal
			if h != r {
				cost += substitution
			}
			diagonal = row[j+1]
			left = min(cost, left+edit, diagonal+edit)
			row[j+1] = left
		}
	}
	cost := row[len(hypothesis)]
	e := edits{substitutions: int(cost & math.MaxUint32)}
	rest := int(cost>>32) - e.substitutions
	// deletions + insertions is rest, and deletions - insertions what the lengths differ by
	e.deletions = (rest + len(reference) - len(hypothesis)) / 2
	e.insertions = rest - e.deletions
	return e, row
}
