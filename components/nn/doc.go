// Package nn has the parts that components are built of and that no
// configuration names: linear maps, embeddings, layer normalisation, multi-head
// attention with its projections, positions, and initialisers.
//
// Each part is made once, when it adds its parameters to an [autodiff.Params],
// and used on every step with that step's tape. Weights are [out, in], so a
// parameter of PyTorch can be read as it is.
package nn
