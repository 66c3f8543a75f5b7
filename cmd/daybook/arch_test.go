package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/daybook-ledger/daybook"
)

// may lists what the code of each layer may import besides the standard
// library. A path ending in "/" stands for everything below it.
// ARCHITECTURE.md gives the reasons; this test keeps the rules.
var may = map[string][]string{
	"domain": {
		module + "/domain", module + "/domain/",
		"github.com/oklog/ulid/v2", "github.com/shopspring/decimal", "golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog",
	},
	"projections": {
		module + "/domain", module + "/domain/", module + "/projections",
		"github.com/shopspring/decimal", "golang.org/x/mod/sumdb/note",
	},
	"migrations": {},
	"adapters": {
		module + "/domain", module + "/domain/", module + "/projections", module + "/projections/",
		module + "/migrations",
		"github.com/ThreeDotsLabs/", "github.com/lib/pq", "github.com/lib/pq/", "github.com/oklog/ulid/v2",
		"github.com/pressly/goose/v3", "github.com/pressly/goose/v3/", "github.com/shopspring/decimal", "golang.org/x/sys/",
		"github.com/nats-io/nats.go", "github.com/nats-io/nats.go/jetstream", "github.com/sony/gobreaker/v2", "golang.org/x/mod/sumdb/note", "golang.org/x/oauth2", "golang.org/x/oauth2/", "golang.org/x/time/rate",
	},
}

// pure are the layers that read no clock, no randomness and nothing outside.
var pure = []string{"domain", "projections"}

// A sourceFile is one parsed file of the module.
type sourceFile struct {
	path string // from the module's root
	pkg  string // its folder
	test bool   // a test, or of a package that supports tests
	file *ast.File
	fset *token.FileSet
}

// layer returns the top folder of the file.
func (f sourceFile) layer() string {
	layer, _, _ := strings.Cut(f.pkg, "/")
	return layer
}

// sources parses every Go file. It does not ask "go list", whose answer the test
// cache would not notice changing.
func sources(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin") {
			return fs.SkipDir
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		f := sourceFile{path: filepath.ToSlash(rel), pkg: filepath.ToSlash(filepath.Dir(rel)), fset: token.NewFileSet()}
		f.test = strings.HasSuffix(path, "_test.go") || strings.HasSuffix(f.pkg, "test")
		f.file, err = parser.ParseFile(f.fset, path, nil, parser.ParseComments)
		files = append(files, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 50 {
		t.Fatalf("only %d files were found: the rules were checked on next to nothing", len(files))
	}
	return files
}

func (f sourceFile) imports(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, spec := range f.file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, path)
	}
	return list
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func listed(path string, list []string) bool {
	return slices.ContainsFunc(list, func(l string) bool {
		return path == l || strings.HasSuffix(l, "/") && strings.HasPrefix(path, l)
	})
}

func TestImports(t *testing.T) {
	for _, f := range sources(t) {
		allowed, ruled := may[f.layer()]
		if !ruled || f.test {
			continue
		}
		for _, path := range f.imports(t) {
			if !standard(path) && !listed(path, allowed) && path != module+"/"+f.pkg {
				t.Errorf("%s imports %s: %s may not", f.path, path, f.layer())
			}
		}
	}
}

func TestPackageComments(t *testing.T) {
	documented := make(map[string]bool)
	for _, f := range sources(t) {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		documented[f.pkg] = documented[f.pkg] || f.file.Doc != nil
	}
	for pkg, ok := range documented {
		if !ok {
			t.Errorf("package %s has no comment that says what it keeps true", pkg)
		}
	}
}

// TestNoFloat keeps binary floating point off the way of amounts: no layer that
// money passes through knows the type.
func TestNoFloat(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.layer() == "cmd" || strings.HasPrefix(f.pkg, "adapters/embeddedpg") {
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Ident:
				if slices.Contains([]string{"float32", "float64", "ParseFloat", "InexactFloat64", "NewFromFloat", "Float64", "FormatFloat"}, n.Name) {
					t.Errorf("%s: %s", f.fset.Position(n.Pos()), n.Name)
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT {
					t.Errorf("%s: %s", f.fset.Position(n.Pos()), n.Value)
				}
			}
			return true
		})
	}
}

// TestPure keeps clocks, randomness and the outside out of the folds.
func TestPure(t *testing.T) {
	impure := []string{"os", "os/exec", "net", "database/sql", "math/rand", "math/rand/v2", "crypto/rand", "syscall", "log", "log/slog"}
	for _, f := range sources(t) {
		if f.test || !slices.Contains(pure, f.layer()) {
			continue
		}
		for _, path := range f.imports(t) {
			if slices.Contains(impure, path) {
				t.Errorf("%s imports %s", f.path, path)
			}
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			if call, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := call.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "After", "Tick", "NewTimer", "Local"}, call.Sel.Name) {
					t.Errorf("%s: time.%s", f.fset.Position(n.Pos()), call.Sel.Name)
				}
			}
			return true
		})
	}
}

// changing are statements that change something.
var changing = regexp.MustCompile(`(?is)^\s*(insert|update|delete|merge|truncate|create|alter|drop|copy|grant|with\b.*\b(insert|update|delete)\b)`)

// autocommit lists the places that may run a changing statement outside an
// explicit transaction, each with the reason.
var autocommit = map[string]string{
	"adapters/postgres/appender.go": "append.sql compares and swaps the head: run again, it changes nothing",
	"adapters/bus/tx.go":            "it wraps the transaction that Watermill works in",
	"adapters/postgres/copy.go":     "the driver refuses COPY outside a transaction",
}

// TestNoAutocommitWrite keeps changing statements inside explicit transactions:
// database/sql runs a statement a second time when the reply to the first is
// lost. What is not a transaction, which is always called tx, may only read; a
// prepared statement, stmt, is judged where it is prepared.
func TestNoAutocommitWrite(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || f.layer() != "adapters" && f.layer() != "cmd" || strings.HasPrefix(f.pkg, "adapters/embeddedpg") ||
			f.pkg == "cmd/bench" { // which measures, among others, just such statements
			continue
		}
		ast.Inspect(f.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !regexp.MustCompile(`^(Exec|Query|QueryRow|Prepare)(Context)?$`).MatchString(method.Sel.Name) {
				return true
			}
			if on, ok := method.X.(*ast.Ident); ok && (on.Name == "tx" || on.Name == "stmt") {
				return true
			}
			at := f.fset.Position(call.Pos())
			sql, found := statement(call)
			switch {
			case autocommit[f.path] != "":
			case !strings.HasPrefix(method.Sel.Name, "Query") && !found:
				t.Errorf("%s:%d: a statement that this test cannot read runs outside a transaction", f.path, at.Line)
			case changing.MatchString(sql):
				t.Errorf("%s:%d: %.60q runs outside a transaction", f.path, at.Line, sql)
			}
			return true
		})
	}
}

// statement returns the beginning of the SQL that a call runs, if it is written
// there.
func statement(call *ast.CallExpr) (string, bool) {
	for _, arg := range call.Args {
		for {
			sum, ok := arg.(*ast.BinaryExpr)
			if !ok {
				break
			}
			arg = sum.X
		}
		if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if s, err := strconv.Unquote(lit.Value); err == nil {
				return s, true
			}
		}
	}
	return "", false
}

// topLevel is exactly what stands in the root of the repository, besides files
// whose names begin with a dot.
var topLevel = []string{
	"ARCHITECTURE.md", "LICENSE", "Makefile", "README.md", "adapters", "cmd", "domain", "go.mod", "go.sum", "migrations", "projections",
}

func TestTopLevel(t *testing.T) {
	for _, name := range topLevel {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			t.Error(err)
		}
	}
	// What else lies about is nobody's business unless it is kept.
	out, err := exec.CommandContext(t.Context(), "git", "-C", root, "ls-files").Output()
	if err != nil {
		t.Logf("no repository to look at: %v", err)
		return
	}
	for file := range strings.Lines(string(out)) {
		top, _, _ := strings.Cut(strings.TrimSpace(file), "/")
		if !strings.HasPrefix(top, ".") && !slices.Contains(topLevel, top) {
			t.Errorf("%s does not belong in the root", top)
		}
	}
}

// smallAudit is what the program daybook-audit may be made of besides the standard
// library, and what of that it may not be made of. Whoever has to trust an audit
// reads the former, and sees from the latter that it asks nobody.
var smallAudit = struct{ may, not []string }{
	may: []string{
		module + "/cmd/daybook-audit", module + "/cmd/internal/auditor",
		module + "/domain", module + "/domain/", module + "/projections", module + "/projections/",
		"github.com/oklog/ulid/v2", "github.com/shopspring/decimal", "golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog",
	},
	not: []string{"net", "net/http", "os/exec", "plugin", "database/sql"},
}

// TestAuditIsSmall asks "go list" for what the program is made of, since what it
// imports imports more. That every source is looked at as well is what has the
// test cache notice a change.
func TestAuditIsSmall(t *testing.T) {
	sources(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}}", module+"/cmd/daybook-audit").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if !slices.Contains(packages, module+"/projections/audit") {
		t.Fatalf("it is made of %d packages, and the audit is not among them", len(packages))
	}
	for _, path := range packages {
		if !standard(path) && !listed(path, smallAudit.may) || slices.Contains(smallAudit.not, path) {
			t.Errorf("daybook-audit is made of %s among others, and may not be", path)
		}
	}
}
