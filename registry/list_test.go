package registry

import (
	"errors"
	"testing"
)

type trainOptions struct {
	Engines ListOf[engineOptions, int] `toml:"engines" doc:"the engines from the first"`
}

func (trainOptions) Doc() string { return "A train." }
func (o trainOptions) Validate() error {
	var errs []error
	for i, choice := range o.Engines.Choices {
		if choice.Name == "diesel" && i > 0 {
			errs = append(errs, Fault{"engines[1].rate", "is low"})
		}
	}
	return errors.Join(errs...)
}

func engine(line int, pairs ...any) Value {
	t := NewTable("", Origin{"train.toml", line})
	for i := 0; i < len(pairs); i += 2 {
		t.Set(pairs[i].(string), Value{pairs[i+1], Origin{"train.toml", line}})
	}
	return Value{t, t.Origin}
}

func train(v Value) *Table {
	t := NewTable("train", Origin{"train.toml", 1})
	t.Set("engines", v)
	return t
}

func TestListOf(t *testing.T) {
	k := engines()
	defaults := trainOptions{NewListOf(k, "steam")}
	options := Describe(defaults)
	if o := options[0]; o.Type != "list of engines" || o.Family != Family(k) ||
		Format(o.Default) != `[{ type = "steam" }]` {
		t.Errorf("described as %+v, default %s", o, Format(o.Default))
	}
	list := Value{Data: []Value{engine(2, "type", "diesel", "size", int64(9)), engine(3, "type", "steam", "tokens", int64(5))}}
	o, decoded, err := DecodeOptions(train(list), defaults)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for _, choice := range o.Engines.Choices {
		built, err := choice.Build(1)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, built.Size)
	}
	if len(sizes) != 2 || sizes[0] != 9 || sizes[1] != 5 { // steam's constructor adds 1
		t.Errorf("built %v", sizes)
	}
	if got, want := Format(decoded[0].Value), `[{ type = "diesel", size = 9 }, { type = "steam", pairs = 0, tokens = 5 }]`; got != want {
		t.Errorf("formatted as %s, want %s", got, want)
	}
	elements := decoded[0].Value.([]Component)
	if len(elements) != 2 || elements[0].Name != "diesel" || elements[1].Version != 3 || decoded[0].IsDefault() {
		t.Errorf("decoded as %+v", elements)
	}
	if len(defaults.Engines.Choices) != 1 {
		t.Error("the defaults have changed")
	}
	if _, decoded, err := DecodeOptions(NewTable("train", Origin{}), defaults); err != nil || !decoded[0].IsDefault() {
		t.Errorf("a table that says nothing is not the default: %+v, %v", decoded, err)
	}
}

// Faults of the elements are told with their place in the list, all together.
func TestListOfFaults(t *testing.T) {
	defaults := trainOptions{NewListOf(engines(), "steam")}
	for want, v := range map[string]Value{
		`train.toml:2: train.engines: must be a list of tables with a type, is the string "steam"`: {Data: "steam", Origin: Origin{"train.toml", 2}},
		"train.toml:2: train.engines[0].type: there is no engine \"stem\"; did you mean \"steam\"?\n" +
			"train.toml:3: train.engines[1].sise: engine \"steam\" has no such option; did you mean \"size\"?\n" +
			"train.toml:3: train.engines[1].rate: must be a float, is the string \"fast\"\n" +
			"train.toml:4: train.engines[2]: needs a type; engines are diesel and steam\n" +
			"train.toml:5: train.engines[3]: must be a table with a type, is the integer 3": {Data: []Value{
			engine(2, "type", "stem"), engine(3, "type", "steam", "sise", int64(1), "rate", "fast"), engine(4), {int64(3), Origin{"train.toml", 5}},
		}},
		"train.toml:3: train.engines[1].rate: is low": {Data: []Value{engine(2, "type", "steam"), engine(3, "type", "diesel")}},
	} {
		if _, _, err := DecodeOptions(train(v), defaults); err == nil || err.Error() != want {
			t.Errorf("error is\n%v, want\n%s", err, want)
		}
	}
}
