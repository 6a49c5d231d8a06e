package autodiff

import (
	"cmp"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Profile is where the time of a tape's steps goes, by operation. It is made by
// [Tape.Profile].
type Profile struct {
	last time.Time // up to which time is accounted for
	ops  map[reflect.Type]*ProfileRow
	rest map[string]*ProfileRow // by the name of the mark
}

// ProfileRow is the time of one kind of operation, or of what lies between two
// marks.
type ProfileRow struct {
	Name              string // of the operation, as in "linear"; that of another package as in "recurrent.unroll"
	Calls             int
	Time              time.Duration // the whole
	Forward, Backward time.Duration // its parts; zero for a mark
}

// Profile makes the tape say where time goes, from the next [Profile.Begin] on.
func (t *Tape) Profile() *Profile {
	t.profile = &Profile{ops: map[reflect.Type]*ProfileRow{}, rest: map[string]*ProfileRow{}}
	return t.profile
}

// Mark ends a part of the step that is not on the tape, and gives the time since
// the last operation or mark to a row of that name. Without a profile it does
// nothing.
func (t *Tape) Mark(name string) {
	if t.profile != nil {
		t.profile.mark(name)
	}
}

// Begin begins a step: the time before it is nobody's.
func (p *Profile) Begin() { p.last = time.Now() }

// Rows returns what there is, the longest time first.
func (p *Profile) Rows() []ProfileRow {
	var rows []ProfileRow
	for _, r := range p.ops {
		rows = append(rows, *r)
	}
	for _, r := range p.rest {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b ProfileRow) int {
		return cmp.Or(cmp.Compare(b.Time, a.Time), cmp.Compare(a.Name, b.Name))
	})
	return rows
}

// lap is the time since the last call.
func (p *Profile) lap() time.Duration {
	now := time.Now()
	d := now.Sub(p.last)
	p.last = now
	return d
}

// forward gives the time since the last entry to op: it is recorded when its
// result has been computed.
func (p *Profile) forward(op Op) {
	d, r := p.lap(), p.row(op)
	r.Calls++
	r.Time += d
	r.Forward += d
}

func (p *Profile) backward(op Op) {
	d, r := p.lap(), p.row(op)
	r.Time += d
	r.Backward += d
}

func (p *Profile) mark(name string) {
	r := p.rest[name]
	if r == nil {
		r = &ProfileRow{Name: name}
		p.rest[name] = r
	}
	r.Calls++
	r.Time += p.lap()
}

func (p *Profile) row(op Op) *ProfileRow {
	typ := reflect.TypeOf(op).Elem()
	r := p.ops[typ]
	if r == nil {
		r = &ProfileRow{Name: opName(typ)}
		p.ops[typ] = r
	}
	return r
}

// opName names an operation by its type: "layer_norm" for layerNormOp[float32].
func opName(typ reflect.Type) string {
	name, _, _ := strings.Cut(typ.Name(), "[")
	var b strings.Builder
	if pkg := path.Base(typ.PkgPath()); pkg != "autodiff" {
		b.WriteString(pkg + ".")
	}
	for i, r := range strings.TrimSuffix(name, "Op") {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
