// Package origin is which web pages may call a door: its own, and those of the origins that it allows.
//
//	page → browser → [origin] → door
//
// Origins are what the Fetch standard means by them: scheme, host and port. A browser that asks beforehand (CORS) is told what
// is allowed. What it does not ask about, a form that some page sends, is refused by
// Forged and Uninvited where it matters.
//
// # Guarantees
//
//   - No page of another origin reads an answer unless its origin is allowed.
//   - No page of another origin that is not allowed changes anything through a browser that sends Sec-Fetch-Site (those since 2023), by
//     itself. A link that a user follows is a GET of the user's, wherever it stands: what must not happen by a click takes POST.
//   - What is no browser is not concerned.
//
// # A first program
//
//	var pages = origin.Policy{Origins: []string{"https://example.org"}, Methods: "GET, POST"}
//
//	if pages.Allow(w, r); r.Method == http.MethodOptions {
//		w.WriteHeader(http.StatusNoContent)
//		return
//	}
package origin
