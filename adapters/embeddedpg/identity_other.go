//go:build !linux

package embeddedpg

// namespace reports that there are no user namespaces.
func namespace() (identity, bool) { return identity{}, false }

// onNFS reports whether dir is on a network file system, as far as can be told.
func onNFS(string) bool { return false }
