package runner

import (
	"bufio"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"exp/components/kernel"
	"exp/experiments"
	"exp/tracking"
)

// Code is the version of this program.
type Code struct {
	Version string // a commit, or "unknown"
	Dirty   bool   // the code differs from it
}

func (c Code) String() string {
	if c.Dirty {
		return c.Version + " with changes"
	}
	return c.Version
}

// CodeVersion reads the version from the stamp of the build, or where there is
// none, as with go run, asks git in the working directory if that is this
// module's source.
func CodeVersion() Code {
	if info, ok := debug.ReadBuildInfo(); ok {
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if revision := settings["vcs.revision"]; revision != "" {
			return Code{revision, settings["vcs.modified"] == "true"}
		}
		if text, err := os.ReadFile("go.mod"); err != nil || !strings.HasPrefix(string(text), "module "+info.Main.Path+"\n") {
			return Code{Version: "unknown"}
		}
	}
	revision, err := exec.Command("git", "rev-parse", "HEAD").Output()
	if err != nil {
		return Code{Version: "unknown"}
	}
	changes, err := exec.Command("git", "status", "--porcelain").Output()
	return Code{strings.TrimSpace(string(revision)), err != nil || len(changes) > 0}
}

// provenance is what it takes to repeat a run.
func provenance(c *experiments.Cell, dataHash string, o Options) tracking.Provenance {
	return tracking.Provenance{
		Config:      c.Resolved(),
		CodeVersion: o.Code.Version,
		Dirty:       o.Code.Dirty,
		DataHash:    dataHash,
		CPU:         cpuModel(),
		Kernel:      kernel.Path(),
		Workers:     o.Workers,
	}
}

// cpuModel names the processor.
var cpuModel = sync.OnceValue(func() string {
	if out, err := exec.Command("sysctl", "-n", "machdep.cpu.brand_string").Output(); runtime.GOOS == "darwin" && err == nil {
		return strings.TrimSpace(string(out))
	}
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if key, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
})
