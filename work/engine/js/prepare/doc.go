// Package prepare turns JavaScript and TypeScript as people write it into the
// one script an engine runs. It is used where a bundle is made, never where one runs.
//
//	file → [prepare] → bundle → engine/js
//
// ES modules, CommonJS, TypeScript, and relative imports of local files (JSON
// too) go in; one CommonJS source comes out, in the language engine/js has:
// async generators, for await, using and decorators are rewritten.
//
// # Guarantees
//
//   - The same files give the same bytes, wherever they lie.
//   - Nothing is fetched and nothing is run. Only relative imports are followed; any other
//     one, the modules of Node included, is refused by its name.
//   - Errors are fault.Invalid and begin with file:line:column.
//   - A source map without sources is part of the script, so that stacks name the lines
//     people wrote.
//
// # A first program
//
//	script, err := prepare.File("crunch.ts")
//	if err != nil {
//		return err // cannot prepare crunch.ts: crunch.ts:3:7: Expected ";" but found "x"
//	}
//	eng, err := js.Open(script, nil)
package prepare
