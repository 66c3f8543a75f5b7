package api

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/daybook-ledger/daybook/domain"
	"github.com/daybook-ledger/daybook/projections"
	"github.com/daybook-ledger/daybook/projections/render"
)

// list says which views there are, and how to ask them.
func (h *handler) list(w http.ResponseWriter, r *http.Request) error {
	type view struct {
		View    string               `json:"view"`
		Title   string               `json:"title"`
		URL     string               `json:"url"`
		Columns []projections.Column `json:"columns"`
	}
	answer := struct {
		Views      []view   `json:"views"`
		Formats    []string `json:"formats"`
		Parameters []string `json:"parameters"` // beside the columns
	}{Views: []view{}, Parameters: []string{"as_of", "known", "sort", "limit", "after"}}
	for _, p := range h.Projections {
		for _, v := range p.Views {
			name := p.Name + "/" + v.Name
			answer.Views = append(answer.Views, view{name, v.Title, "/v1/" + name, render.Columns(v)})
		}
	}
	for _, f := range h.formats {
		answer.Formats = append(answer.Formats, f.Name)
	}
	return h.writeJSON(w, r, http.StatusOK, answer)
}

// ask answers a question to a view.
func (h *handler) ask(w http.ResponseWriter, r *http.Request) error {
	name, suffix, suffixed := strings.Cut(r.PathValue("view"), ".")
	p, v, err := h.view(r.PathValue("projection"), name)
	if err != nil {
		return err
	}
	format, err := h.format(w, r, suffix, suffixed)
	if err != nil {
		return err
	}
	// Not URL.Query, which drops what it cannot read.
	params, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return domain.Errorf(domain.Invalid, "parameters", "%w", err)
	}
	q, err := projections.ParseQuery(v, params)
	if err != nil {
		return err
	}
	a, err := h.Ledger.Ask(r.Context(), p, v, q)
	if err != nil {
		return err
	}
	a.View, a.Columns = p.Name+"/"+v.Name, render.Columns(v)
	var body bytes.Buffer
	if err := format.Write(&body, a); err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Type", format.MediaType)
	describe(header, a, params)
	if !q.AsOf.IsZero() && q.Known > 0 {
		// The same question has the same answer until a projection is corrected
		// or a person erased, so it may be kept as long as it is asked about.
		sum := sha256.Sum256(body.Bytes())
		tag := `"` + hex.EncodeToString(sum[:]) + `"`
		header.Set("ETag", tag)
		header.Set("Cache-Control", "private, no-cache")
		if matches(r.Header.Values("If-None-Match"), tag) {
			w.WriteHeader(http.StatusNotModified)
			return nil
		}
	}
	h.write(w, r, http.StatusOK, body.Bytes())
	return nil
}

// view returns the view of the given name.
func (h *handler) view(projection, name string) (*projections.Projection, projections.View, error) {
	var names []string
	for _, p := range h.Projections {
		for _, v := range p.Views {
			if p.Name == projection && v.Name == name {
				return p, v, nil
			}
			names = append(names, p.Name+"/"+v.Name)
		}
	}
	return nil, projections.View{}, domain.Errorf(domain.NotFound, "view", "there is no view %.200q", projection+"/"+name).
		WithHint("The views are " + strings.Join(names, ", ") + ".")
}

// format returns the form the client wants: that of the suffix, or the one it
// accepts most gladly, or JSON.
func (h *handler) format(w http.ResponseWriter, r *http.Request, suffix string, suffixed bool) (render.Format, error) {
	if suffixed {
		var names []string
		for _, f := range h.formats {
			if f.Name == suffix {
				return f, nil
			}
			names = append(names, "."+f.Name)
		}
		return render.Format{}, domain.Errorf(domain.NotFound, "view", "there is no form %.20q", "."+suffix).
			WithHint("Use " + strings.Join(names, ", ") + ", or no suffix for JSON.")
	}
	w.Header().Add("Vary", "Accept")
	best, weight := h.formats[0], decimal.Zero
	for _, line := range r.Header.Values("Accept") {
		for wanted := range strings.SplitSeq(line, ",") {
			media, params, err := mime.ParseMediaType(wanted)
			if err != nil {
				continue
			}
			q := decimal.New(1, 0)
			if text, ok := params["q"]; ok {
				if len(text) > len("0.123") || strings.ContainsAny(text, "eE") {
					continue // no qvalue of RFC 9110, section 12.4.2
				}
				if q, err = decimal.NewFromString(text); err != nil {
					continue
				}
			}
			i := slices.IndexFunc(h.formats, func(f render.Format) bool { return accepts(media, f.MediaType) })
			if i >= 0 && q.GreaterThan(weight) {
				best, weight = h.formats[i], q
			}
		}
	}
	return best, nil
}

// accepts reports whether a media type that a client names, which may have a
// star, is that of a format.
func accepts(wanted, offered string) bool {
	media, _, _ := strings.Cut(offered, ";")
	kind, _, _ := strings.Cut(media, "/")
	return wanted == media || wanted == "*/*" || wanted == kind+"/*"
}

// describe says in the header what not every form has room for: which state of
// the log the answer is about and where the next page is. The next page is
// about the same state.
func describe(header http.Header, a render.Answer, params url.Values) {
	asOf := a.AsOf.UTC().Format(time.RFC3339Nano)
	header.Set("Daybook-As-Of", asOf)
	header.Set("Daybook-Known", strconv.FormatInt(a.Known, 10))
	if a.Root != "" {
		header.Set("Daybook-Root", a.Root)
	}
	if a.Next == "" {
		return
	}
	params.Set("as_of", asOf)
	if a.Known > 0 {
		params.Set("known", strconv.FormatInt(a.Known, 10))
	}
	params.Set("after", a.Next)
	header.Set("Link", "<?"+params.Encode()+`>; rel="next"`)
}

// matches reports whether an If-None-Match names the tag.
func matches(lines []string, tag string) bool {
	for _, line := range lines {
		for t := range strings.SplitSeq(line, ",") {
			if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == tag {
				return true
			}
		}
	}
	return false
}
