package problem_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/domain/problem"
)

func TestStatus(t *testing.T) {
	want := map[domain.Code]int{
		domain.Usage: 400, domain.Invalid: 400, domain.Unauthenticated: 401, domain.NotAllowed: 403,
		domain.NotFound: 404, domain.Refused: 409, domain.TooLarge: 413, domain.Unsupported: 415,
		domain.Differs: 500, domain.Internal: 500, domain.Unreachable: 503, domain.Unavailable: 503, domain.Limited: 429,
	}
	for code, status := range want {
		if got := problem.Status(code); got != status {
			t.Errorf("%s: status %d, want %d", code, got, status)
		}
	}
	for _, code := range declaredCodes(t) {
		if want[code] == 0 {
			t.Errorf("code %s has no status", code)
		}
	}
	if got := problem.Status("no-such-code"); got != 500 {
		t.Errorf("an unknown code: status %d, want 500", got)
	}
}

// declaredCodes reads the codes from the source, so that a new one is not forgotten.
func declaredCodes(t *testing.T) (codes []domain.Code) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			if typ, ok := spec.Type.(*ast.Ident); ok && typ.Name == "Code" {
				text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, domain.Code(text))
			}
		}
		return true
	})
	if len(codes) == 0 {
		t.Fatal("no codes found")
	}
	return codes
}

func TestJSON(t *testing.T) {
	driver := errors.New(`dial tcp 10.0.0.7:5432: password authentication failed for user "ledger"`)
	invalid := domain.Errorf(domain.Invalid, "parameter limit", "is %q, not a number of rows", "<x>")
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"a message", invalid, `{"error":{"code":"invalid","message":"parameter limit: is \"<x>\", not a number of rows"}}`},
		{"a hint", invalid.WithHint("Write 10."), `{"error":{"code":"invalid","message":"parameter limit: is \"<x>\", not a number of rows","hint":"Write 10."}}`},
		{"joined with another", errors.Join(invalid, driver), `{"error":{"code":"invalid","message":"parameter limit: is \"<x>\", not a number of rows"}}`},
		{"from outside", fmt.Errorf("ask: %w", driver), `{"error":{"code":"internal","message":"something went wrong inside daybook; its log says what"}}`},
		{"unreachable", domain.Errorf(domain.Unreachable, "database", "%w", driver).WithHint("Run: daybook doctor"), `{"error":{"code":"unreachable","message":"the database cannot be reached","hint":"Run: daybook doctor"}}`},
		{"unavailable", domain.Errorf(domain.Unavailable, "append", "%w", driver), `{"error":{"code":"unavailable","message":"not now; the same request may succeed later"}}`},
	} {
		if got := string(problem.JSON(test.err)); got != test.want+"\n" {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
	got := string(problem.Verbose(domain.Errorf(domain.Unreachable, "database", "%w", driver)))
	if !strings.Contains(got, "10.0.0.7") || !strings.HasPrefix(got, `{"error":{"code":"unreachable","message":"database: `) {
		t.Errorf("verbose: %s", got)
	}
}
