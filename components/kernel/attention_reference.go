package kernel

// attentionReference is the reference twin of Attention for head n of a
// sequence. As there, the weights of a block of queries are zero up to the last
// key that one of them sees.
func attentionReference[F Float](s *AttentionShape, r AttentionRows, n int, q, k, v, y, stats, scratch []F) {
	for i := 0; i < int(r.Queries); i += attentionBlock {
		limit := s.visible(r, min(i+attentionBlock, int(r.Queries))-1)
		for t := i; t < min(i+attentionBlock, int(r.Queries)); t++ {
			row := int(r.Query) + t
			w, count := scratch[:limit], s.visible(r, t)
			attentionScores(s, r, n, row, q, k, w[:count])
			top := largest(w[:count])
			inverse := 1 / expSum(w[:count], w[:count], top)
			stats[(row*s.Heads+n)*2], stats[(row*s.Heads+n)*2+1] = top, inverse
			for j := range w[:count] {
				w[j] *= inverse
			}
			clear(w[count:])
			for p := range s.ValueSize {
				var sum F
				for j, x := range w {
					sum = fma(x, v[(int(r.Key)+j)*s.LdV+n*s.ValueSize+p], sum)
				}
				y[row*s.LdY+n*s.ValueSize+p] = sum
			}
		}
	}
}

// attentionScores writes the scaled scores of the query in a row of q.
func attentionScores[F Float](s *AttentionShape, r AttentionRows, n, row int, q, k, scores []F) {
	for j := range scores {
		var sum F
		for p := range s.KeySize {
			sum = fma(q[row*s.LdQ+n*s.KeySize+p], k[(int(r.Key)+j)*s.LdK+n*s.KeySize+p], sum)
		}
		scores[j] = sum * F(s.Scale)
	}
}

// attentionBackwardReference is the reference twin of AttentionBackward for head
// n of a sequence.
func attentionBackwardReference[F Float](s *AttentionShape, r AttentionRows, n int, q, k, v, dy, stats, dq, dk, dv, scratch []F) {
	for i := 0; i < int(r.Queries); i += attentionBlock {
		limit := s.visible(r, min(i+attentionBlock, int(r.Queries))-1)
		for t := i; t < min(i+attentionBlock, int(r.Queries)); t++ {
			row := int(r.Query) + t
			count := s.visible(r, t)
			w, ds := scratch[:limit], scratch[limit:2*limit]
			attentionScores(s, r, n, row, q, k, w[:count])
			top, inverse := stats[(row*s.Heads+n)*2], stats[(row*s.Heads+n)*2+1]
			for j, x := range w[:count] {
				w[j] = exp(x-top) * inverse
			}
			clear(w[count:])
			for j := range ds[:count] {
				var sum F
				for p := range s.ValueSize {
					sum = fma(dy[row*s.LdY+n*s.ValueSize+p], v[(int(r.Key)+j)*s.LdV+n*s.ValueSize+p], sum)
				}
				ds[j] = sum
			}
			softmaxRowsBackwardReference(1, count, ds, w, ds, limit, F(s.Scale))
			clear(ds[count:])
			for j := range w {
				key := int(r.Key) + j
				for p := range s.ValueSize {
					if at := key*s.LdV + n*s.ValueSize + p; dv != nil {
						dv[at] = fma(w[j], dy[row*s.LdY+n*s.ValueSize+p], dv[at])
					}
				}
				for p := range s.KeySize {
					atQ, atK := row*s.LdQ+n*s.KeySize+p, key*s.LdK+n*s.KeySize+p
					if dq != nil {
						dq[atQ] = fma(ds[j], k[atK], dq[atQ])
					}
					if dk != nil {
						dk[atK] = fma(ds[j], q[atQ], dk[atK])
					}
				}
			}
		}
	}
}
