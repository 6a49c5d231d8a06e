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
// n of a sequence. As there, a block of queries gives all its part of dv, then of
// dq, then of dk: the keys may be the values.
func attentionBackwardReference[F Float](s *AttentionShape, r AttentionRows, n int, q, k, v, dy, stats, dq, dk, dv, scratch []F) {
	K, V := s.KeySize, s.ValueSize
	for i := 0; i < int(r.Queries); i += attentionBlock {
		m := min(attentionBlock, int(r.Queries)-i)
		limit := s.visible(r, i+m-1)
		if limit == 0 {
			continue
		}
		w, ds := scratch[:m*limit], scratch[m*limit:2*m*limit]
		for t := range m {
			row, count := int(r.Query)+i+t, s.visible(r, i+t)
			wt, dst := w[t*limit:(t+1)*limit], ds[t*limit:(t+1)*limit]
			attentionScores(s, r, n, row, q, k, wt[:count])
			top, inverse := stats[(row*s.Heads+n)*2], stats[(row*s.Heads+n)*2+1]
			for j, x := range wt[:count] {
				wt[j] = exp(x-top) * inverse
			}
			gemmReference(false, true, 1, count, V, dy[row*s.LdY+n*V:], s.LdY, v[int(r.Key)*s.LdV+n*V:], s.LdV, dst, limit, nil, false)
			softmaxRowsBackwardReference(1, count, dst, wt, dst, limit, F(s.Scale))
			clear(wt[count:])
			clear(dst[count:])
		}
		atQ, atK, atV := (int(r.Query)+i)*s.LdQ+n*K, int(r.Key)*s.LdK+n*K, int(r.Key)*s.LdV+n*V
		if dv != nil {
			gemmReference(true, false, limit, V, m, w, limit, dy[(int(r.Query)+i)*s.LdY+n*V:], s.LdY, dv[atV:], s.LdV, nil, true)
		}
		if dq != nil {
			gemmReference(false, false, m, K, limit, ds, limit, k[atK:], s.LdK, dq[atQ:], s.LdQ, nil, true)
		}
		if dk != nil {
			gemmReference(true, false, limit, K, m, ds, limit, q[atQ:], s.LdQ, dk[atK:], s.LdK, nil, true)
		}
	}
}
