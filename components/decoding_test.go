package components

import "testing"

func TestDecodingOptions(t *testing.T) {
	sampling := DefaultDecodingOptions()
	sampling.Search, sampling.Temperature, sampling.TopK, sampling.TopP = Sample, 0.5, 3, 0.5
	for _, o := range []DecodingOptions{DefaultDecodingOptions(), sampling} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for want, change := range map[string]func(o *DecodingOptions){
		"beam_size: must be at least 1, is 0":                            func(o *DecodingOptions) { o.BeamSize = 0 },
		"temperature: must be at least 1e-06, is 1e-40":                  func(o *DecodingOptions) { o.Temperature, o.Search = 1e-40, Sample },
		"top_p: must be in (0, 1], is 1.5":                               func(o *DecodingOptions) { o.TopP, o.Search = 1.5, Sample },
		"max_length: must be at least 1, is 0":                           func(o *DecodingOptions) { o.MaxLength = 0 },
		"max_length: must be at least 200, is 100":                       func(o *DecodingOptions) { o.MinLength = 200 },
		`top_k: is for search = "sample", and search is "beam"`:          func(o *DecodingOptions) { o.TopK = 2 },
		`beam_size: is for search = "beam", and search is "sample"`:      func(o *DecodingOptions) { o.BeamSize, o.Search = 2, Sample },
		`length_penalty: is for search = "beam", and search is "sample"`: func(o *DecodingOptions) { o.LengthPenalty, o.Search = Wu, Sample },
		"length_alpha: must be at least 0, is -1":                        func(o *DecodingOptions) { o.LengthAlpha = -1 },
	} {
		o := DefaultDecodingOptions()
		change(&o)
		if err := o.Validate(); err == nil || err.Error() != want {
			t.Errorf("%+v: error is %v, want %q", o, err, want)
		}
	}
	var s Search
	if err := s.UnmarshalText([]byte("greedy")); err == nil || err.Error() != `must be beam or sample, is "greedy"` {
		t.Errorf("error is %v", err)
	}
}
