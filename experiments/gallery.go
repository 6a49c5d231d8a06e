package experiments

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed *.toml
var gallery embed.FS

// Gallery returns the names of the experiments that come with the program, in
// alphabetical order.
func Gallery() []string {
	entries, err := gallery.ReadDir(".")
	if err != nil {
		panic(err) // the files are part of the program
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = strings.TrimSuffix(entry.Name(), ".toml")
	}
	return names
}

// GallerySource returns the text of an experiment of the gallery.
func GallerySource(name string) ([]byte, error) {
	source, err := gallery.ReadFile(name + ".toml")
	if err != nil {
		return nil, fmt.Errorf("there is no experiment %q in the gallery, which has %s", name, strings.Join(Gallery(), ", "))
	}
	return source, nil
}
