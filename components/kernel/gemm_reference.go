package kernel

// gemmReference is the reference twin of Gemm.
func gemmReference[F Float](transA, transB bool, m, n, k int, a []F, lda int, b []F, ldb int, c []F, ldc int, bias []F, accumulate bool) {
	rowA, stepA := lda, 1 // from op(A)[i][p] to op(A)[i+1][p] and op(A)[i][p+1]
	if transA {
		rowA, stepA = 1, lda
	}
	stepB, colB := ldb, 1 // from op(B)[p][j] to op(B)[p+1][j] and op(B)[p][j+1]
	if transB {
		stepB, colB = 1, ldb
	}
	for i := range m {
		for j := range n {
			sum := chainStart(bias, accumulate, j, c[i*ldc+j])
			for p := range k {
				sum = fma(a[i*rowA+p*stepA], b[p*stepB+j*colB], sum)
			}
			c[i*ldc+j] = sum
		}
	}
}

// chainStart is where the chain of an element of column j starts that is c so far.
func chainStart[F Float](bias []F, accumulate bool, j int, c F) F {
	switch {
	case accumulate:
		return c
	case bias != nil:
		return bias[j]
	}
	return 0
}

// packReference is the reference twin of Packed.Pack: dst is [ceil(N/16),panel,16],
// of which it writes the first K rows.
func packReference[F Float](trans bool, k, n int, b []F, ldb int, dst []F, panel int) {
	stepB, colB := ldb, 1
	if trans {
		stepB, colB = 1, ldb
	}
	for first := 0; first < n; first += panelSize {
		for p := range k {
			row := dst[first*panel+p*panelSize:][:panelSize]
			for j := range row {
				row[j] = 0
				if first+j < n {
					row[j] = b[p*stepB+(first+j)*colB]
				}
			}
		}
	}
}

// gemmPackedReference is the reference twin of GemmPacked.
func gemmPackedReference[F Float](transA bool, m int, a []F, lda int, b *Packed[F], c []F, ldc int, bias []F, accumulate bool) {
	rowA, stepA := lda, 1
	if transA {
		rowA, stepA = 1, lda
	}
	for i := range m {
		for j := range b.N {
			panel := b.data[j/panelSize*b.panel*panelSize:]
			sum := chainStart(bias, accumulate, j, c[i*ldc+j])
			for p := range b.K {
				sum = fma(a[i*rowA+p*stepA], panel[p*panelSize+j%panelSize], sum)
			}
			c[i*ldc+j] = sum
		}
	}
}
