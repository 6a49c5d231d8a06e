package kernel

import "sync/atomic"

// counting says whether products are counted, multiplyAdds how much there was.
var (
	counting     atomic.Bool
	multiplyAdds atomic.Int64
)

// StartCount begins to count, from zero, the multiply-adds of products, M·N·K each, on
// all goroutines together.
func StartCount() {
	multiplyAdds.Store(0)
	counting.Store(true)
}

// StopCount ends the count and returns it.
func StopCount() int64 {
	counting.Store(false)
	return multiplyAdds.Load()
}

// count adds a product of [m,k] and [k,n].
func count(m, n, k int) {
	if counting.Load() {
		multiplyAdds.Add(int64(m) * int64(n) * int64(k))
	}
}
