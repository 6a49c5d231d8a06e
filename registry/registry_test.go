package registry

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

type mode string

func (mode) Values() []string { return []string{"slow", "fast"} }

func (m *mode) UnmarshalText(text []byte) error { return OneOf(m, text) }

type base struct {
	Size int `toml:"size" doc:"width"`
}

type engineOptions struct {
	base
	Rate   float64           `toml:"rate" doc:"speed"`
	Mode   mode              `toml:"mode" doc:"manner"`
	Loud   bool              `toml:"loud" doc:"noise"`
	Name   string            `toml:"name" doc:"name"`
	Tags   []string          `toml:"tags" doc:"tags"`
	Gears  []int             `toml:"gears" doc:"ratios"`
	Where  map[string]string `toml:"where" doc:"filter"`
	Pairs  int               `toml:"pairs" oneof:"amount" doc:"pairs"`
	Tokens int               `toml:"tokens" oneof:"amount" doc:"tokens"`
}

func (engineOptions) Doc() string  { return "An engine." }
func (engineOptions) Version() int { return 3 }
func (o engineOptions) Validate() error {
	return errors.Join(AtLeast("size", o.Size, 1), InRange("rate", o.Rate, 0, 1))
}

func engines() *Kind[engineOptions, int] {
	k := &Kind[engineOptions, int]{Name: "engine"}
	Add(k, "steam", engineOptions{base: base{Size: 4}, Rate: 0.5, Mode: "slow", Tags: []string{"old"}, Pairs: 64},
		func(o engineOptions, extra int) (engineOptions, error) { o.Size += extra; return o, nil })
	Add(k, "diesel", engineOptions{base: base{Size: 1}, Mode: "fast"},
		func(o engineOptions, _ int) (engineOptions, error) { return o, nil })
	return k
}

// table makes a table of data, at line 1 and following of engine.toml.
func table(pairs ...any) *Table {
	t := NewTable("model.engine", Origin{"engine.toml", 1})
	for i := 0; i < len(pairs); i += 2 {
		t.Set(pairs[i].(string), Value{pairs[i+1], Origin{"engine.toml", 2 + i/2}})
	}
	return t
}

func TestDecode(t *testing.T) {
	where := NewTable("model.engine.where", Origin{})
	where.Set("lr", Value{Data: 0.001})
	where.Set("variant", Value{Data: "lstm"})
	choice, err := engines().Decode(table("type", "steam", "size", int64(7), "rate", int64(0), "mode", "fast",
		"tags", []Value{{Data: "a"}}, "gears", []Value{{Data: int64(3)}, {Data: int64(1)}}, "where", where, "tokens", int64(100)))
	if err != nil {
		t.Fatal(err)
	}
	if choice.Name != "steam" || choice.Version != 3 || choice.Doc != "An engine." {
		t.Errorf("got component %q version %d doc %q", choice.Name, choice.Version, choice.Doc)
	}
	built, err := choice.Build(1)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%+v", built)
	want := "{base:{Size:8} Rate:0 Mode:fast Loud:false Name: Tags:[a] Gears:[3 1] Where:map[lr:0.001 variant:lstm] Pairs:0 Tokens:100}"
	if got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	var stated []string
	for _, o := range choice.Options {
		if !o.IsDefault() {
			stated = append(stated, o.Key+"="+Format(o.Value))
		}
	}
	if got, want := strings.Join(stated, " "), `size=7 rate=0.0 mode="fast" tags=["a"] gears=[3, 1] where={ lr = "0.001", variant = "lstm" } pairs=0 tokens=100`; got != want {
		t.Errorf("got options %s\nwant %s", got, want)
	}
	if component, _ := engines().Describe("steam"); Format(component.Options[0].Value) != "4" {
		t.Errorf("decoding changed the default to %v", component.Options[0].Value)
	}
}

func TestDecodeReportsEveryFaultAtItsPlace(t *testing.T) {
	for _, c := range []struct {
		name string
		in   *Table
		want string
	}{
		{"no type", table("size", int64(1)), `engine.toml:1: model.engine: needs a type; engines are diesel and steam`},
		{"misspelt type", table("type", "stem"), `engine.toml:2: model.engine.type: there is no engine "stem"; did you mean "steam"?`},
		{"unknown type", table("type", "rocket"), `engine.toml:2: model.engine.type: there is no engine "rocket"; engines are diesel and steam`},
		{"unknown keys", table("type", "steam", "sise", int64(1), "Rate", 0.1, "wing", true), strings.Join([]string{
			`engine.toml:3: model.engine.sise: engine "steam" has no such option; did you mean "size"?`,
			`engine.toml:4: model.engine.Rate: engine "steam" has no such option; did you mean "rate"?`,
			`engine.toml:5: model.engine.wing: engine "steam" has no such option; there is size, rate, mode, loud, name, tags, gears, where, pairs and tokens`}, "\n")},
		{"wrong types", table("type", "steam", "size", "12", "rate", "x", "loud", int64(1), "tags", []Value{{Data: int64(1)}}, "where", "x", "name", 0.5, "gears", []Value{{Data: 0.5}}), strings.Join([]string{
			`engine.toml:3: model.engine.size: must be an integer, is the string "12"`,
			`engine.toml:4: model.engine.rate: must be a float, is the string "x"`,
			`engine.toml:5: model.engine.loud: must be a boolean, is the integer 1`,
			`engine.toml:6: model.engine.tags: must be a list of strings, is a list`,
			`engine.toml:7: model.engine.where: must be a table, is the string "x"`,
			`engine.toml:8: model.engine.name: must be a string, is the float 0.5`,
			`engine.toml:9: model.engine.gears: must be a list of integers, is a list`}, "\n")},
		{"float for integer", table("type", "steam", "size", 1.0), `engine.toml:3: model.engine.size: must be an integer, is the float 1.0`},
		{"out of range", table("type", "steam", "size", int64(0), "rate", 1.0), strings.Join([]string{
			`engine.toml:3: model.engine.size: must be at least 1, is 0`,
			`engine.toml:4: model.engine.rate: must be in [0, 1), is 1`}, "\n")},
		{"not finite", table("type", "steam", "rate", math.NaN()), `engine.toml:3: model.engine.rate: must be finite, is nan`},
		{"enum", table("type", "steam", "mode", "slwo"), `engine.toml:3: model.engine.mode: must be slow or fast, is "slwo"; did you mean "slow"?`},
		{"one of", table("type", "steam", "pairs", int64(1), "tokens", int64(1)), `engine.toml:4: model.engine.tokens: is given beside pairs; give one of them`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := engines().Decode(c.in)
			if err == nil {
				t.Fatal("no error")
			}
			if err.Error() != c.want {
				t.Errorf("got\n%v\nwant\n%s", err, c.want)
			}
			for _, e := range Split(err) {
				var located *Error
				if !errors.As(e, &located) {
					t.Errorf("%v is no *Error", e)
				}
			}
		})
	}
}

func TestAddPanics(t *testing.T) {
	for name, add := range map[string]func(){
		"name taken": func() {
			Add(engines(), "steam", engineOptions{}, func(o engineOptions, _ int) (engineOptions, error) { return o, nil })
		},
		"no doc": func() {
			Add(&Kind[int, int]{}, "x", undocumented{}, func(undocumented, int) (int, error) { return 0, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			add()
		})
	}
}

func TestDecodeOptions(t *testing.T) {
	in := table("size", int64(7), "wheels", int64(4), "type", "steam")
	o, options, err := DecodeOptions(in, engineOptions{Rate: 0.5}, "wheels")
	want := `engine.toml:4: model.engine.type: [model.engine] has no such option; there is size, rate, mode, loud, name, tags, gears, where, pairs, tokens and wheels`
	if err == nil || err.Error() != want {
		t.Errorf("got %v\nwant %s", err, want)
	}
	if o.Size != 7 || o.Rate != 0.5 || options[0].IsDefault() || !options[1].IsDefault() {
		t.Errorf("got %+v, %+v", o, options[:2])
	}
}

func TestListOfNothingIsTheDefault(t *testing.T) {
	choice, err := engines().Decode(table("type", "diesel", "tags", []Value{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range choice.Options {
		if !o.IsDefault() {
			t.Errorf("%s = %s is not the default %s", o.Key, Format(o.Value), Format(o.Default))
		}
	}
	if got := choice.Decoded.(engineOptions).Mode; got != "fast" {
		t.Errorf("got mode %q, want fast", got)
	}
}

func TestClone(t *testing.T) {
	in := table("type", "steam")
	in.Set("where", Value{Data: NewTable("model.engine.where", Origin{})})
	c := in.Clone("model.motor")
	c.Set("type", Value{Data: "diesel"})
	where, _ := c.Get("where")
	if v, _ := in.Get("type"); v.Data != "steam" || where.Data.(*Table).Path != "model.motor.where" {
		t.Errorf("got type %v of the original, path %s", v.Data, where.Data.(*Table).Path)
	}
}

type undocumented struct {
	Size int `toml:"size"`
}

func (undocumented) Doc() string     { return "" }
func (undocumented) Validate() error { return nil }

func TestUnder(t *testing.T) {
	err := Under("model.encoder", errors.Join(Fault{"num_heads", "is odd"}, Fault{"", "is wrong"}, errors.New("plain")))
	if got, want := err.Error(), "model.encoder.num_heads: is odd\nmodel.encoder: is wrong\nmodel.encoder: plain"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if again := Under("model.decoder", err); again.Error() != err.Error() {
		t.Errorf("twice: got %v", again)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"lstm", "gru", "rnn", "transformer"}
	for in, want := range map[string]string{"ltsm": "lstm", "LSTM": "lstm", "transfromer": "transformer", "gro": "gru", "cnn": "rnn", "x": "", "convolution": ""} {
		if got := Nearest(in, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzFormat(f *testing.F) {
	f.Add("plain", 0.5, int64(3), true)
	f.Add("quo\"te\\ \n\t\x01é", -1e300, int64(math.MinInt64), false)
	f.Add("", math.Inf(-1), int64(0), false)
	f.Fuzz(func(t *testing.T, s string, x float64, n int64, b bool) {
		if s != strings.ToValidUTF8(s, "") {
			t.Skip()
		}
		in := map[string]any{"s": s, "x": x, "n": n, "b": b, "list": []any{s, s}, "table": map[string]any{s: x}}
		var text strings.Builder
		for key, value := range in {
			fmt.Fprintf(&text, "%s = %s\n", key, Format(value))
		}
		out := map[string]any{}
		if _, err := toml.Decode(text.String(), &out); err != nil {
			t.Fatalf("%v in\n%s", err, text.String())
		}
		if got, want := fmt.Sprintf("%#v", out), fmt.Sprintf("%#v", in); got != want {
			t.Errorf("got %s\nwant %s", got, want)
		}
	})
}
