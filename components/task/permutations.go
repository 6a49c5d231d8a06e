package task

import (
	"slices"

	"exp/components"
)

// CopyOptions configures the copy task.
type CopyOptions struct{ permutation }

// Doc describes the component.
func (CopyOptions) Doc() string {
	return "The target is the source: integers drawn evenly. No two pairs have the same source."
}

// NewCopy makes the task.
func NewCopy(o CopyOptions, _ components.TaskDeps) (components.Task, error) {
	return o.task(func([]int) {})
}

// ReverseOptions configures the reverse task.
type ReverseOptions struct{ permutation }

// Doc describes the component.
func (ReverseOptions) Doc() string {
	return "The target is the source from its end: integers drawn evenly. No two pairs have the same source."
}

// NewReverse makes the task.
func NewReverse(o ReverseOptions, _ components.TaskDeps) (components.Task, error) {
	return o.task(slices.Reverse[[]int])
}

// SortOptions configures the sort task.
type SortOptions struct{ permutation }

// Doc describes the component.
func (SortOptions) Doc() string {
	return "The target is the source in ascending order: integers drawn evenly, each as often as it comes. No two pairs have the same source."
}

// NewSort makes the task.
func NewSort(o SortOptions, _ components.TaskDeps) (components.Task, error) {
	return o.task(slices.Sort[[]int])
}
