package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"exp/components/kernel"
	"exp/runner"
)

func newVersion() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version",
		Short:   "Say which code this is and how it computes",
		Example: "  exp version --json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			code := runner.CodeVersion()
			if asJSON {
				return writeJSON(c.OutOrStdout(), struct {
					Version  string `json:"version"`
					Dirty    bool   `json:"dirty"`
					Go       string `json:"go"`
					Platform string `json:"platform"`
					Kernel   string `json:"kernel"`
				}{code.Version, code.Dirty, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, kernel.Path()})
			}
			fmt.Fprintf(c.OutOrStdout(), "exp %s, %s, %s/%s, %s kernels\n", code, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernel.Path())
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}
