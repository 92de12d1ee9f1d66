// Package js is the engine for JavaScript: it runs the functions a script
// exports, inside this process and away from it.
//
//	boss → queue → worker → [engine/js] → result
//
// The script is one CommonJS source without imports, as package
// [github.com/universal-server/become/work/engine/js/prepare] makes of any
// JavaScript or TypeScript file. Every exported function is a function of the
// bundle; module.exports = f and export default f are called "default".
//
// # Guarantees
//
//   - One runtime runs one call at a time; at most Options.Slots exist, further
//     callers wait until one is free or their context ends.
//   - Invoke runs the script in the caller's goroutine and returns only when no
//     JavaScript of the call runs any more.
//   - When ctx ends the script is stopped between two instructions, be it in
//     while(true){}, in a promise job or asleep in a timer. A built-in at work
//     (see below) is stopped when it returns. The runtime is thrown away then.
//   - Whatever a script throws is an error of kind fault.Remote with its stack; a
//     thrown value whose property kind names a fault kind ("invalid", "busy", …)
//     is of that kind. Recursion beyond 4000 calls is a RangeError, which the script
//     cannot catch. A panic of the
//     interpreter is fault.Internal for that call alone.
//   - The answer of an async function is awaited: timers and promise jobs run
//     until it settles, and what is pending then is dropped. A promise nothing
//     can settle any more is the error "promise never settles".
//   - A script's top level must end within five seconds, or Open refuses it.
//
// Global variables live as long as their runtime and are seen by later calls
// that happen to run there. They are a cache at best: nothing is shared between
// runtimes, and a runtime goes away whenever a call in it was stopped or recursed too deep.
//
// # What a script can and cannot
//
// It has no files, network, process, environment or Go value, and no require. It
// has the language up to about ES2023 and console, setTimeout, setInterval,
// queueMicrotask, structuredClone, TextEncoder, TextDecoder (UTF-8), atob, btoa,
// performance.now, crypto.getRandomValues and crypto.randomUUID.
//
// It can still eat the memory and the time of its process: a single built-in over a huge
// length ('x'.repeat(2**29), Array(1e9).fill(0), Array.from({length: 1e9}), join,
// sort without a comparator, JSON, BigInt powers) and a regular expression with
// look-around or back references cannot be interrupted, and neither allocation
// (new ArrayBuffer(2**45)) nor nesting (JSON.parse of a million brackets) is
// bounded. So a worker runs scripts in a process of its own, watches that
// process's memory and kills it when a call outlives its context.
//
// Not in the language here: WeakRef, FinalizationRegistry, Atomics, Intl,
// Temporal, RegExp flags d and v. Async generators, for await, using and
// decorators work when prepared.
//
// # Arguments
//
// A function is called with one value. An array is spread over the parameters
// when fn.length is not 1: (a, b) => … with [1, 2] is f(1, 2), and so is
// (...all) => …, whose length is 0; list => … gets the array. No input at all is
// no argument, and so is null for a function whose length is 0.
//
// # Values
//
//	CBOR                     JSON            JavaScript
//	integer within ±2^53     number          number
//	other integer, bignum    number          bigint
//	float                    number          number (NaN, ±Infinity: CBOR only)
//	text, bool, null         the same        string, boolean, null
//	bytes                    base64 string   Uint8Array (out: ArrayBuffer, DataView too)
//	tag 0 and 1              ISO string      Date
//	array                    array           array (out: Set, typed arrays too)
//	map of text keys         object          plain object
//	map of other keys        object          Map
//
// On the way out a whole number within ±2^53 is an integer, undefined is null or
// a missing property, an object with toJSON is what toJSON returns, and an Error
// is its name and message. Functions, symbols, promises and cycles have no value
// form: fault.Invalid, naming where. On the way in JSON strings stay strings.
//
// # A first program
//
//	eng, err := js.Open([]byte(`exports.square = n => n * n`), nil)
//	if err != nil {
//		return err
//	}
//	defer eng.Close()
//	square, err := eng.Lookup("square")
//	if err != nil {
//		return err
//	}
//	out, err := square.Invoke(ctx, engine.JSON, []byte("12"), nil) // 144
package js
