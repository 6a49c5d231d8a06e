// Package componenttest has what the tests of components share. It is imported
// by tests only.
//
// [Grad] compares an operation's or a component's gradients with finite
// differences, [Native] those of float32 with those of float64. [Model] holds a
// whole model to the contracts of package components; [Catalog] does so for
// every component of a catalog, with every encoder, decoder and attention it can
// meet and every value of an option that changes what is computed. So a new
// component is tested as soon as it is registered.
package componenttest
