// Package codec turns Go values into bytes and back: CBOR (RFC 8949) between
// programs, JSON (RFC 8259) at doors, and describes types as JSON Schema (2020-12).
//
// # What travels
//
// Booleans, numbers, strings, byte slices, slices, arrays, maps, pointers,
// structs (exported fields; `cbor` or `json` tags name them), time.Time,
// *big.Int, any type with MarshalCBOR/UnmarshalCBOR, MarshalBinary/UnmarshalBinary or
// MarshalText/UnmarshalText, and `any` holding one of these. Channels, functions, complex
// numbers, unsafe pointers, and structs with fields but no exported one do not:
// [Check] says so, with the path of the field, before anything is sent.
//
// # Guarantees
//
//   - Decoding never runs code that came with the data.
//   - Nesting is bounded, and memory grows with the bytes that are there, never with the
//     lengths that are announced.
//   - A value decoded as the type it was encoded from is equal to it.
package codec
