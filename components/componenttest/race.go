//go:build race

package componenttest

// raceEnabled: the race detector allocates.
const raceEnabled = true
