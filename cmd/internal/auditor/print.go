package auditor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections/audit"
	"github.com/daybook-ledger/daybook/projections/render"
)

// bundle prints what came of a bundle.
func (c Command) bundle(file string, r *audit.Report, answers []audit.Answer) error {
	var err error
	switch {
	case c.rowsOnly():
		c.lines(c.Stderr, file, r.Result, bundleLines(r), r.Findings, r.Missing)
		err = c.rows(answers)
	case c.Format == "json":
		err = c.bundleJSON(file, r, answers)
	default:
		c.lines(c.Stdout, file, r.Result, bundleLines(r), r.Findings, r.Missing)
		for _, a := range answers {
			fmt.Fprintf(c.Stdout, "\n%s · as of %s · known %d\n", a.View, a.AsOf.Format("2006-01-02 15:04:05Z"), a.Known)
			if err = render.Table(c.Stdout, rendered(a), c.Width); err != nil {
				return err
			}
			if a.Next != "" {
				fmt.Fprintf(c.Stderr, "there are more rows: add limit=0 to the question for all\n")
			}
		}
	}
	if err != nil {
		return err
	}
	return verdict(file, r.Result, r.Findings, r.Missing)
}

// statement prints what came of a certificate or a row.
func (c Command) statement(file string, r *audit.StatementReport) error {
	if c.Format == "json" {
		if err := c.json(struct {
			File string `json:"file"`
			*audit.StatementReport
		}{file, r}); err != nil {
			return err
		}
	} else {
		c.lines(c.Stdout, file, r.Result, statementLines(r), r.Findings, r.Missing)
	}
	return verdict(file, r.Result, r.Findings, r.Missing)
}

// verdict returns the error that anything but OK is.
func verdict(file string, result domain.Verdict, findings []audit.Finding, missing []string) error {
	hint := "What is missing is said above. Get it, or take the rest for what it is."
	reason := ""
	switch {
	case result == domain.OK:
		return nil
	case len(findings) > 0:
		reason, hint = findings[0].String(), "Keep the file as it is, and ask whoever gave it to you for the log's own: daybook log verify"
	case len(missing) > 0:
		reason = missing[0]
	}
	return domain.Errorf(domain.Differs, "audit "+file, "%s: %s", result, visible(reason)).WithHint(hint)
}

// rows writes the rows of the one view that was asked for.
func (c Command) rows(answers []audit.Answer) error {
	for _, a := range answers {
		for _, f := range render.Formats() {
			if f.Name == c.Format {
				return f.Write(c.Stdout, rendered(a))
			}
		}
	}
	return nil
}

func rendered(a audit.Answer) render.Answer {
	return render.Answer{
		View: a.View, AsOf: a.AsOf, Known: a.Known, Root: a.Root, Columns: render.Columns(a.Of), Rows: a.Rows, Next: a.Next,
	}
}

func (c Command) bundleJSON(file string, r *audit.Report, answers []audit.Answer) error {
	views := []json.RawMessage{}
	for _, a := range answers {
		var b bytes.Buffer
		if err := render.JSON(&b, rendered(a)); err != nil {
			return err
		}
		views = append(views, bytes.TrimSpace(b.Bytes()))
	}
	return c.json(struct {
		File string `json:"file"`
		Type string `json:"type"`
		*audit.Report
		Views []json.RawMessage `json:"views,omitempty"`
	}{file, "bundle", r, views})
}

func (c Command) json(v any) error {
	enc := json.NewEncoder(c.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// A line is a name and what there is to say.
type line struct{ name, text string }

// lines prints the result, and what it is about.
func (c Command) lines(w io.Writer, file string, result domain.Verdict, list []line, findings []audit.Finding, missing []string) {
	for _, f := range findings {
		list = append(list, line{"wrong", f.String()})
	}
	for _, m := range missing {
		list = append(list, line{"missing", m})
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s: %s\n", file, result)
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	last := ""
	for _, l := range list {
		name := l.name
		if name == last {
			name = ""
		}
		last = l.name
		fmt.Fprintf(t, "  %s\t%s\n", name, visible(l.text))
	}
	_ = t.Flush()             // into a buffer
	_, _ = w.Write(b.Bytes()) // a reader that went away shows in the status of what follows
}

func bundleLines(r *audit.Report) []line {
	if r.Origin == "" {
		return nil
	}
	bodies := ""
	if r.Bodies > 0 {
		bodies = fmt.Sprintf(", with the sealed bytes of %d", r.Bodies)
	}
	records := "none is checked"
	if r.Checked >= r.From {
		records = fmt.Sprintf("%d to %d are as they were hashed, of %d deliveries%s", r.From, r.Checked, r.Deliveries, bodies)
	}
	list := []line{
		{"log", r.Origin},
		{"records", records},
		{"root", r.Root},
	}
	for _, c := range r.Checkpoints {
		state := "not compared"
		if c.Fits {
			state = "fits"
		}
		list = append(list, line{"checkpoint", fmt.Sprintf("%d records, %s, %s: %s", c.Size, c.Origin, signedBy(c.By), state)})
	}
	for _, f := range r.Forks {
		list = append(list, line{"fork", fmt.Sprintf("record %d begins epoch %d, by %s: %s; before it %d records had been signed", f.Position, f.Epoch, f.By, f.Reason, f.Lost)})
	}
	for _, p := range r.Projections {
		list = append(list, line{p.Name, fmt.Sprintf("version %d at record %d: %s · %s", p.Version, p.Position, p.Digest, tableText(p.Tables))})
		for _, t := range p.Totals {
			list = append(list, line{p.Name, totalText(t)})
		}
		for _, c := range p.Certificates {
			state := "is what the log gives"
			if !c.Fits {
				state = "is NOT what the log gives"
			}
			list = append(list, line{p.Name, fmt.Sprintf("the certificate at record %d, %s, %s", c.Position, signedBy(c.By), state)})
		}
	}
	return list
}

func statementLines(r *audit.StatementReport) []line {
	list := []line{{"of", r.Type}}
	if r.Projection == "" {
		return list
	}
	list = append(
		list,
		line{"log", fmt.Sprintf("%s at record %d", r.Origin, r.Position)},
		line{"root", r.Root},
		line{"signature", signedBy(r.By)},
		line{r.Projection, fmt.Sprintf("version %d: %s · %s", r.Version, r.Digest, tableText(r.Tables))},
	)
	if r.Row != nil {
		return append(list, line{r.Projection, "a row of " + r.Table + ": " + string(r.Row)})
	}
	for _, t := range r.Totals {
		list = append(list, line{r.Projection, totalText(t)})
	}
	return list
}

func signedBy(keys []string) string {
	if len(keys) == 0 {
		return "signed by none of the keys given"
	}
	return "signed by " + strings.Join(keys, ", ")
}

func tableText(tables []audit.Table) string {
	list := make([]string, len(tables))
	for i, t := range tables {
		list[i] = strconv.FormatInt(t.Rows, 10) + " " + t.Name
	}
	return strings.Join(list, ", ")
}

func totalText(t audit.Total) string {
	return fmt.Sprintf("%s.%s of %s: %s", t.Table, t.Column, t.Unit, t.Sum)
}

// visible returns a text from a file without what a terminal would take for a
// command, or for the end of the line.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsGraphic(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
