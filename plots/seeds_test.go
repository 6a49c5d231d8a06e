package plots

import "testing"

func TestSeedsNote(t *testing.T) {
	for want, counts := range map[string][]int{
		"one seed":                    {1, 1},
		"mean over 3 seeds; band: sd": {3, 3},
		"mean over seeds; band: sd":   {1, 3},
	} {
		var s seedCounts
		for group, n := range counts {
			s.add(group, n, n)
		}
		if got := s.note("mean", "band: sd"); got != want {
			t.Errorf("of %v seeds the note is %q, want %q", counts, got, want)
		}
	}
}
