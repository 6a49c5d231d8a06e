package kernel

/*
#cgo noescape exp_cross_entropy
#cgo nocallback exp_cross_entropy
#include "crossentropy.h"
*/
import "C"

import "fmt"

// CrossEntropy is softmax cross-entropy in nats over the rows of logits
// [rows, v], with label smoothing spread evenly over all v classes, the target
// among them (Szegedy et al. 2016, as PyTorch). For each row r whose target is
// not ignore, with sums in lanes, see the package comment,
//
//	top    = max of x[j]
//	e[j]   = exp(x[j] - top)
//	logSum = log(sum of e)
//	nll    = logSum - (x[target] - top)
//	losses[r] = (1-smoothing)*nll + smoothing*(logSum - (sum of (x[j] - top)) / v)
//	dLogits[r][j] = fma(e[j], scale / (sum of e), -scale*smoothing/v),
//	                and for j = target less scale*(1-smoothing)
//
// that is, dLogits is scale times the gradient of losses[r]; without smoothing
// losses[r] is nll itself. Where the target is ignore, the loss and its gradient
// are 0. losses is [rows], dLogits [rows, v], and either may be nil, if it is
// not wanted; dLogits may be logits. Their rows are ld apart. Every other target is
// from 0 to v-1.
func CrossEntropy[F Float](rows, v int, logits []F, ld int, targets []int32, ignore int32, smoothing, scale F, dLogits []F, losses []F) {
	checkSizes("CrossEntropy", rows, v)
	checkMatrix("CrossEntropy", "logits", false, rows, v, ld, len(logits))
	checkLength("CrossEntropy", "targets", len(targets), rows)
	if dLogits != nil {
		checkMatrix("CrossEntropy", "dLogits", false, rows, v, ld, len(dLogits))
	}
	if losses != nil {
		checkLength("CrossEntropy", "losses", len(losses), rows)
	}
	for r, target := range targets[:rows] {
		if target != ignore && (target < 0 || int(target) >= v) {
			panic(fmt.Sprintf("kernel: CrossEntropy: targets[%d] is %d; want 0 to %d, or %d to ignore", r, target, v-1, ignore))
		}
	}
	if native[F]() {
		crossEntropies.parallel(rows, rows*v, crossEntropy{
			v, ptr(logits), ld, targets, ignore, C.float(smoothing), C.float(scale), ptr(dLogits), ptr(losses),
		})
		return
	}
	crossEntropyReference(rows, v, logits, ld, targets, ignore, smoothing, scale, dLogits, losses)
}

var crossEntropies calls[crossEntropy]

type crossEntropy struct {
	v                int
	logits           *C.float
	ld               int
	targets          []int32
	ignore           int32
	smoothing, scale C.float
	dLogits, losses  *C.float
}

// Range computes rows.
func (c crossEntropy) Range(from, to int) {
	C.exp_cross_entropy(C.int64_t(to-from), C.int64_t(c.v), at(c.logits, from*c.ld), C.int64_t(c.ld), intPtr(c.targets[from:to]), C.int32_t(c.ignore),
		c.smoothing, c.scale, at(c.dLogits, from*c.ld), at(c.losses, from))
}

func crossEntropyReference[F Float](rows, v int, logits []F, ld int, targets []int32, ignore int32, smoothing, scale F, dLogits []F, losses []F) {
	for r := range rows {
		x := logits[r*ld : r*ld+v]
		var dx []F
		if dLogits != nil {
			dx = dLogits[r*ld : r*ld+v]
		}
		if targets[r] == ignore {
			clear(dx)
			if losses != nil {
				losses[r] = 0
			}
			continue
		}
		target := int(targets[r])
		top := largest(x)
		shifted := x[target] - top
		var below F // the sum of x[j] - top
		if smoothing != 0 && losses != nil {
			var l lanes[F]
			for j := range x {
				l[j%numLanes] += x[j] - top
			}
			below = l.join()
		}
		sum := expSum(dx, x, top)
		if losses != nil {
			logSum := log(sum)
			loss := logSum - shifted
			if smoothing != 0 {
				loss = F((1-smoothing)*loss) + F(smoothing*(logSum-below/F(v)))
			}
			losses[r] = loss
		}
		if dx != nil {
			factor, offset := scale/sum, -scale*smoothing/F(v)
			for j := range dx {
				dx[j] = fma(dx[j], factor, offset)
			}
			dx[target] -= F(scale * (1 - smoothing))
		}
	}
}
