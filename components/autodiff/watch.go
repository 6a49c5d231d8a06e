package autodiff

import (
	"fmt"
	"reflect"
	"strings"
	"unsafe"

	"exp/components/kernel"
)

// Watch makes the tape look at every value that an operation computes, and at the
// gradients of params after every backward pass of one, until [Tape.Watched] is
// called: to do a step again that ended in a number that is not finite. It is slow.
func (t *Tape) Watch(params *Params) { t.watch = &watch{params: params} }

// Watched says which operation was the first to make a number that is not finite,
// and of which parameters, as in "the forward pass of linear, of output.weight", and
// ends the watch. It is "" where there was none.
func (t *Tape) Watched() string {
	w := t.watch
	t.watch = nil
	if w.op == nil {
		return ""
	}
	names := []string{w.parameter}
	if w.parameter == "" {
		names = parameters(w.op)
	}
	text := fmt.Sprintf("the %s pass of %s", w.pass, opName(reflect.TypeOf(w.op).Elem()))
	if len(names) > 0 {
		text += ", of " + strings.Join(names, " and ")
	}
	return text
}

type watch struct {
	params    *Params
	storages  int // looked at
	op        Op  // the first, nil so far
	pass      string
	parameter string // whose gradient it is, "" in a forward pass
}

// forward looks at what was made since the last entry: op is recorded when its
// result has been computed, and filled in later.
func (w *watch) forward(t *Tape, op Op) {
	from := w.storages
	w.storages = t.storages.used
	for n := from; n < w.storages && w.op == nil; n++ {
		if s := t.storages.at(n); s.value != nil && !finite(s, s.value) {
			w.op, w.pass = op, "forward"
		}
	}
}

func (w *watch) backward(op Op) {
	if w.op != nil {
		return
	}
	for _, v := range w.params.All() {
		if s := v.storage; s.grad != nil && !v.Frozen() && !finite(s, s.grad) {
			w.op, w.pass, w.parameter = op, "backward", v.Name()
			return
		}
	}
}

// parameters returns the names of the parameters that an operation reads.
func parameters(op Op) (names []string) {
	v := reflect.ValueOf(op).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Type() == reflect.TypeFor[Columns]() {
			f = f.FieldByName("Var")
		}
		if f.Type() == reflect.TypeFor[*Var]() && !f.IsNil() {
			if name := (*Var)(f.UnsafePointer()).Name(); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

func finite(s *storage, at unsafe.Pointer) bool {
	if s.dtype == Float32 {
		return kernel.AllFinite(unsafe.Slice((*float32)(at), s.size))
	}
	return kernel.AllFinite(unsafe.Slice((*float64)(at), s.size))
}

// FirstNotFinite returns the first parameter with a value that is not finite, nil
// where there is none.
func (p *Params) FirstNotFinite() *Var {
	for _, v := range p.All() {
		if !finite(v.storage, v.storage.value) {
			return v
		}
	}
	return nil
}
