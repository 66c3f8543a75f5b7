package embeddedpg

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// programs are the server programs of one PostgreSQL.
type programs struct {
	dir     string
	version string // such as "15.18"
	major   int
}

func (p programs) path(name string) string { return filepath.Join(p.dir, name) }

func (p programs) String() string { return p.version + " in " + p.dir }

// places are the directories that PostgreSQL is usually installed in.
var places = [...]string{
	"/usr/lib/postgresql/*/bin",
	"/usr/pgsql-*/bin",
	"/usr/libexec/postgresql*",
	"/opt/homebrew/opt/postgresql@*/bin",
	"/usr/local/opt/postgresql@*/bin",
	"/Applications/Postgres.app/Contents/Versions/*/bin",
	"/usr/local/pgsql/bin",
	"/usr/bin",
}

// selectPrograms returns the programs for a cluster of the given major version,
// or for a new one if it is 0, best first and at least one. It looks in dir
// alone, or in DAYBOOK_PG_BINDIR alone, or, if both are "", in every place that
// is known.
func selectPrograms(ctx context.Context, dir string, major int, f files) ([]programs, error) {
	if dir = cmp.Or(dir, os.Getenv("DAYBOOK_PG_BINDIR")); dir != "" {
		return choose(findPrograms(ctx, []string{dir}), "in "+dir, major, f)
	}
	return choose(findPrograms(ctx, searchDirs(ctx)), "on this machine", major, f)
}

// searchDirs returns the directories where server programs may be.
func searchDirs(ctx context.Context) []string {
	dirs := toolDirs()
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		if path, err := exec.LookPath(name); err == nil {
			if path, err = filepath.EvalSymlinks(path); err == nil {
				dirs = append(dirs, filepath.Dir(path))
			}
		}
	}
	for _, place := range places {
		found, err := filepath.Glob(place)
		if err != nil {
			panic(err) // a pattern in places is malformed
		}
		dirs = append(dirs, found...)
	}
	return dirs
}

// toolDirs returns the directories named .tools/pg/bin, where "make pg" puts
// programs, above the working directory and above daybook itself. One that
// belongs to another user is passed over: who runs daybook in somebody else's
// directory has not chosen to run the programs in it.
func toolDirs() []string {
	var starts, dirs []string
	if dir, err := os.Getwd(); err == nil {
		starts = append(starts, dir)
	}
	if exe, err := os.Executable(); err == nil {
		if exe, err = filepath.EvalSymlinks(exe); err == nil {
			starts = append(starts, filepath.Dir(exe))
		}
	}
	for _, dir := range starts {
		for {
			bin := filepath.Join(dir, ".tools/pg/bin")
			if o, _, err := ownerOf(filepath.Join(bin, "postgres")); err == nil && (o.uid == 0 || o.uid == os.Geteuid()) {
				dirs = append(dirs, bin)
			}
			up := filepath.Dir(dir)
			if up == dir {
				break
			}
			dir = up
		}
	}
	return dirs
}

var versionOutput = regexp.MustCompile(`^postgres \(PostgreSQL\) ((\d+)[^ \n]*)`)

// findPrograms returns the server programs in dirs, newest first, and of the
// same version in the order of dirs.
func findPrograms(ctx context.Context, dirs []string) []programs {
	var found []programs
	seen := make(map[string]bool)
	for _, dir := range dirs {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil || seen[real] {
			continue
		}
		seen[real] = true
		if p, ok := inspect(ctx, dir); ok {
			found = append(found, p)
		}
	}
	slices.SortStableFunc(found, func(a, b programs) int {
		return cmp.Or(b.major-a.major, compareVersions(b.version, a.version))
	})
	return found
}

// inspect reports whether dir holds server programs that run here.
func inspect(ctx context.Context, dir string) (programs, bool) {
	for _, name := range []string{"postgres", "initdb", "pg_ctl"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return programs{}, false
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	m := versionOutput.FindSubmatch(out)
	if err != nil || m == nil {
		return programs{}, false
	}
	major, err := strconv.Atoi(string(m[2]))
	return programs{dir: dir, version: string(m[1]), major: major}, err == nil
}

// compareVersions compares the numbers in versions such as "15.18".
func compareVersions(a, b string) int {
	numbers := func(v string) (n []int) {
		for part := range strings.FieldsFuncSeq(v, func(r rune) bool { return r < '0' || r > '9' }) {
			i, _ := strconv.Atoi(part)
			n = append(n, i)
		}
		return n
	}
	return slices.Compare(numbers(a), numbers(b))
}

// choose returns those of found that will do for a cluster of the given major
// version, or for a new cluster if it is 0, and an error if none will.
// where says in what places found was found.
func choose(found []programs, where string, major int, f files) ([]programs, error) {
	var fit []programs
	for _, p := range found {
		if p.major == major || major == 0 && p.major >= MinimumMajor {
			fit = append(fit, p)
		}
	}
	if len(fit) > 0 {
		return fit, nil
	}
	var have []string
	for _, p := range found {
		have = append(have, p.String())
	}
	switch {
	case major != 0 && len(found) == 0:
		return nil, unreachable("%s is of PostgreSQL %d, and there are no server programs %s. Nothing was changed", f.data, major, where).
			WithHint(installHint(strconv.Itoa(major)))
	case major != 0:
		return nil, unreachable("%s is of PostgreSQL %d, and %s there is only %s. Nothing was changed", f.data, major, where, strings.Join(have, ", ")).
			WithHint(installHint(strconv.Itoa(major)))
	case len(found) > 0:
		return nil, unreachable("PostgreSQL %d or newer is needed, and %s there is only %s", MinimumMajor, where, strings.Join(have, ", ")).
			WithHint(installHint(""))
	}
	return nil, unreachable("there are no PostgreSQL server programs (postgres, initdb, pg_ctl) %s", where).WithHint(installHint(""))
}

// installHint says how to get the programs of the given major version, or of
// any if it is "".
func installHint(major string) string {
	install := map[bool]string{true: "brew install postgresql@" + cmp.Or(major, "17")}[runtime.GOOS == "darwin"]
	if install == "" {
		for _, w := range []struct{ tool, command string }{
			{"apt-get", "apt-get install postgresql" + dash(major)},
			{"dnf", "dnf install postgresql-server"},
			{"apk", "apk add postgresql" + cmp.Or(major, "17")},
			{"pacman", "pacman -S postgresql"},
		} {
			if _, err := exec.LookPath(w.tool); err == nil {
				install = w.command
				break
			}
		}
	}
	if install == "" {
		install = "your system's package of the PostgreSQL server"
	}
	return fmt.Sprintf("Install PostgreSQL (%s, or \"make pg\" in the source directory), set DAYBOOK_PG_BINDIR to the directory of initdb and postgres, or set DATABASE_URL to use a PostgreSQL of your own.", install)
}

func dash(major string) string {
	if major == "" {
		return ""
	}
	return "-" + major
}
