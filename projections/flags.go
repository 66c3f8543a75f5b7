package projections

import (
	"slices"
	"strings"
)

// AddFlags returns the flags with the words added: a set of short words as one
// text, sorted, no word twice, commas between them. No flags are the empty text.
func AddFlags(flags string, words ...string) string {
	if len(words) == 0 {
		return flags
	}
	all := append(SplitFlags(flags), words...)
	slices.Sort(all)
	return strings.Join(slices.Compact(all), ",")
}

// RemoveFlag returns the flags without the word.
func RemoveFlag(flags, word string) string {
	return strings.Join(slices.DeleteFunc(SplitFlags(flags), func(f string) bool { return f == word }), ",")
}

// SplitFlags returns the words of flags.
func SplitFlags(flags string) []string {
	if flags == "" {
		return nil
	}
	return strings.Split(flags, ",")
}
