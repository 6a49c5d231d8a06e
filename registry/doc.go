// Package registry turns TOML tables into things that are built from typed
// options.
//
// A [Kind] is one family of interchangeable components. [Add] enters one with
// the defaults of its options, and the struct of the defaults is the schema: its
// fields are the options, their tags the keys and the documentation. A table
// that names a component with type is decoded by [Kind.Decode] into a [Choice]:
// the component's name, every option with its value, and a [Build] function. A
// table that names no component, only options, is decoded by [DecodeOptions].
//
// Decoding is strict. A key that is not an option, a value of the wrong type and
// a value out of range are each an [Error] that says where it was written, what
// is allowed and which name is near; all are returned together. A key that is
// left out keeps its default, and a zero that is stated stays zero.
//
// A [Table] is a TOML table in which every [Value] remembers its [Origin], so
// that a table merged from several files can still be reported on.
//
// The package knows no component and no model.
package registry
