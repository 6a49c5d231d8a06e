package standard_test

import (
	"testing"

	"exp/components/componenttest"
	"exp/components/standard"
)

func TestConformance(t *testing.T) { componenttest.Catalog(t, standard.Catalog()) }
