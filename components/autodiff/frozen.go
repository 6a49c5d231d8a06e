package autodiff

// Freeze takes v, a parameter, out of those that are trained. Gradients that
// reach it, or not, mean nothing.
func (v *Var) Freeze() { v.storage.leaf.frozen = true }

// Frozen says whether v is a parameter that is not trained.
func (v *Var) Frozen() bool { return v.storage.leaf != nil && v.storage.leaf.frozen }

// Trainable returns the parameters that are not frozen, in the order of
// [Params.All].
func (p *Params) Trainable() []*Var {
	var trainable []*Var
	for _, v := range p.All() {
		if !v.Frozen() {
			trainable = append(trainable, v)
		}
	}
	return trainable
}
