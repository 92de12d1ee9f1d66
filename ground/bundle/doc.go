// Package bundle is code that travels: named by its SHA-256 digest, signed,
// stored once in the fleet, cached by each node, verified at every load.
//
//	boss, command line → [Store: manifest and code] → [Cache] → node → child
//
// A [Manifest] describes the code; [Seal] signs it, [Unseal] checks and reads it.
// A [Store] keeps manifests and code on the bus. A [Cache] is a node's folder of code
// that is ready to be started.
//
// # Guarantees
//
//   - Nothing in a manifest is parsed before its signature was found right, and its
//     length is bounded by [MaxSealed] before that.
//   - A manifest stands only under its own digest: one signed for other code is
//     refused, though the signature is right.
//   - The code is in the store before its manifest is: what [Store.Manifest] returns
//     can be fetched, and a put that was interrupted left nothing that is believed.
//   - [Cache.Path] returns a file that had the right digest when it returned, in a folder
//     only this user can write to. A damaged file is replaced once; code that is wrong
//     in the store itself is fault.Denied and never gets its final name.
//   - However many ask for a bundle at once, it is fetched once.
//   - A cached file is never deleted while in use. The cache's bound holds for what is
//     not in use.
//
// What the cache writes is not flushed to the disk by force: a file damaged by a power cut is
// found at its next load, as is any other damage.
//
// # Text file busy
//
// A file just written can fail to start with ETXTBSY although it was closed: a child
// forked by another goroutine at the wrong moment holds the open descriptor
// until its exec, microseconds later (https://go.dev/issue/22315). The cache closes a
// file before it gets its name; process.Start tries again.
//
// # A first program
//
//	store := &bundle.Store{KV: kv, Blobs: blobs, Verifier: public}
//	digest, size, err := bundle.FileDigest(exe)
//	m := bundle.Manifest{Digest: digest, Size: size, Kind: bundle.Native, Name: "crunch"}
//	uploaded, err := store.Put(ctx, m, bundle.File(exe), key, nil)
//
//	cache, err := bundle.OpenCache(dir, 0)
//	path, m, release, err := cache.Path(ctx, digest, store)
//	defer release()
//	process.Start(ctx, process.Spec{Path: path})
package bundle
