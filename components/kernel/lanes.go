package kernel

// numLanes is the number of partial sums of a reduction.
const numLanes = 16

// lanes are the partial sums of a reduction of unbounded length, the twin of
// lanes.h: element i is added to lane i%numLanes in ascending order, and join
// adds the lanes up by a fixed tree. The zero value is ready.
type lanes[F Float] [numLanes]F

// join is the sum of the lanes, which it overwrites: lane i takes in lane i+8,
// then i+4, i+2 and i+1.
func (l *lanes[F]) join() F {
	for half := numLanes / 2; half > 0; half /= 2 {
		for i := range half {
			l[i] += l[i+half]
		}
	}
	return l[0]
}
