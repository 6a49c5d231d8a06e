package task

import (
	"exp/components"
	"exp/registry"
)

// Register enters this package's tasks and tokenizers.
func Register(c *components.Catalog) {
	registerTokenizers(c)
	registry.Add(&c.Tasks, "copy", CopyOptions{defaultPermutation()}, NewCopy)
	registry.Add(&c.Tasks, "reverse", ReverseOptions{defaultPermutation()}, NewReverse)
	registry.Add(&c.Tasks, "sort", SortOptions{defaultPermutation()}, NewSort)
	registry.Add(&c.Tasks, "addition", AdditionOptions{SyntheticOptions: defaultSynthetic(1, 3)}, NewAddition)
	registry.Add(&c.Tasks, "recall", RecallOptions{defaultSynthetic(2, 6), 26, 10}, NewRecall)
	registry.Add(&c.Tasks, "dyck", DyckOptions{defaultSynthetic(8, 16), 2, 0}, NewDyck)
	registry.Add(&c.Tasks, "dates", DatesOptions{defaultSynthetic(shortestDate, longestDate), 1900, 2099}, NewDates)
	registry.Add(&c.Tasks, "number_words", NumberWordsOptions{defaultSynthetic(1, 6), ToDigits}, NewNumberWords)
	registry.Add(&c.Tasks, "parallel", ParallelOptions{TextOptions: defaultText(c), SourceColumn: 1, TargetColumn: 2}, NewParallel)
	registry.Add(&c.Tasks, "dialogue", DialogueOptions{defaultText(c), "__eou__"}, NewDialogue)
	registry.Add(&c.Tasks, "speech", defaultSpeech(c), NewSpeech)
	registry.Add(&c.Tasks, "labels", DefaultLabels(), NewLabels)
	registry.Add(&c.Tasks, "scan", ScanOptions{Split: Simple, Seed: 1, ValidFraction: 0.05}, NewScan)
}
