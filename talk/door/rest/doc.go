// Package rest is a door for things that are kept: items of one type as resources of HTTP, read and changed by its methods.
//
//	HTTP request → [rest] → item → store
//
//	GET, HEAD    /notes          a page of the collection: ?limit=100&cursor=…, and a filter for each field: ?done=true
//	POST         /notes          makes an item under a new id: 201, Location
//	GET, HEAD    /notes/milk     the item
//	PUT          /notes/milk     makes or replaces it: 201 or 200
//	PATCH        /notes/milk     changes parts of it, by a merge patch (RFC 7396): application/merge-patch+json, or application/json
//	DELETE       /notes/milk     deletes it: 204
//	OPTIONS                      what there is: Allow, Accept-Patch, Accept-Post
//
// Items are written as Accept says, and read as Content-Type says: JSON, XML, CBOR or text, see package talk/door/media; HTML,
// a page for people, is written only, and a form read only. What changes something answers with the item as it is now, or with
// Prefer: return=minimal (RFC 7240) with nothing. A page of a collection links to the next one (RFC 8288), and says its
// cursor as next. Errors are problem details, see package talk/door/problem.
//
// # Conditions
//
// Every answer with an item has an ETag, which names this value of it in this format. With If-Match a change is made only if the
// item is still what the client knows, and with If-None-Match: * only if there is none: that is compare-and-swap. Otherwise the
// answer is 412. Options.RequireMatch refuses changes of what exists without a condition: 428. A GET with If-None-Match, or
// If-Modified-Since if the store knows when, is answered with 304 when the client has it already.
//
// # Guarantees
//
//   - Of several clients that change an item with the same If-Match one succeeds; no update is lost. A change without a condition
//     is made as one too, to whatever is there.
//   - The door keeps nothing between requests: any number of servers on one store are one to their clients.
//   - A message that breaks its type's rules changes nothing.
//   - Bodies are read up to MaxBody bytes, unpacked ones too; a page has at most MaxPage items, and looks at no more than
//     a thousand more for a filter.
//   - A store that fails, panics or ends its goroutine fails its request alone.
//   - No web page of another origin changes anything unless its origin is allowed.
//
// # A first program
//
//	notes, err := rest.New("notes", new(collection.Memory[Note]), nil)
//	if err != nil {
//		return err
//	}
//	http.ListenAndServe("127.0.0.1:8080", notes)
package rest
