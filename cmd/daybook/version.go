package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A buildVersion says which program this is.
type buildVersion struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from changed sources
	Go       string `json:"go"`
}

// readVersion returns what the Go toolchain wrote into the program.
func readVersion() buildVersion {
	v := buildVersion{Version: "(devel)"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Show which version this is",
		Example: "  daybook version --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := readVersion()
			if a.output == "json" || a.output == "ndjson" {
				return a.writeJSON(v)
			}
			_, err := fmt.Fprintf(a.stdout, "daybook %s %s %s\n", v.Version, v.Revision, v.Go)
			return err
		},
	}
}
