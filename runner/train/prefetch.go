package train

import (
	"time"

	"exp/components"
)

// ahead is how many batches are filled before they are wanted: more than are
// trained on while an epoch is dealt.
const ahead = 8

// prefetch fills batches, in their order, on a goroutine of its own.
type prefetch struct {
	ready chan filled
	free  chan *components.Batch
	stop  chan struct{}

	current   *components.Batch
	epochEnds bool          // with it
	waited    time.Duration // of those who asked, all together
}

// filled is a batch, or the panic that there was in its place.
type filled struct {
	batch     *components.Batch
	epochEnds bool
	panicked  any
}

// newPrefetch takes order over: nobody else may use it until close. fill makes a
// batch of pairs.
func newPrefetch(o *order, fill func(*components.Batch, []components.Pair)) *prefetch {
	p := &prefetch{ready: make(chan filled, ahead), free: make(chan *components.Batch, ahead), stop: make(chan struct{})}
	for range ahead {
		p.free <- &components.Batch{}
	}
	go p.run(o, fill)
	return p
}

// run never waits to send: there are as many batches as ready has room for.
func (p *prefetch) run(o *order, fill func(*components.Batch, []components.Pair)) {
	defer close(p.ready)
	defer func() {
		if r := recover(); r != nil {
			p.ready <- filled{panicked: r}
		}
	}()
	for {
		select {
		case <-p.stop:
			return
		case b := <-p.free:
			fill(b, o.batch())
			p.ready <- filled{batch: b, epochEnds: o.dealtOut()}
		}
	}
}

// next returns the next batch, valid until the next call. What the filling
// panicked with it panics with here.
func (p *prefetch) next() *components.Batch {
	if p.current != nil {
		p.free <- p.current
	}
	var f filled
	select {
	case f = <-p.ready:
	default:
		started := time.Now()
		f = <-p.ready
		p.waited += time.Since(started)
	}
	if f.panicked != nil {
		panic(f.panicked)
	}
	p.current, p.epochEnds = f.batch, f.epochEnds
	return f.batch
}

// close ends the goroutine, and returns when it has.
func (p *prefetch) close() {
	close(p.stop)
	for range p.ready {
	}
}
