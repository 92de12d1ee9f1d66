package message

// Shape is what a type is to a format other than JSON.
type Shape int

// The shapes.
const (
	Text   Shape = iota // texts, and what is written as one
	Bool                // booleans
	Whole               // whole numbers
	Number              // other numbers
	Bytes               // bytes
	Time                // times
	Array               // lists, sets, pairs
	Struct              // structs, maps with texts as keys
	Any                 // anything
)

// Shape returns what the type is, or for an optional what is in it.
func (t *Type) Shape() Shape {
	switch t.base().kind {
	case kindBool:
		return Bool
	case kindInt, kindUint, kindBig:
		return Whole
	case kindFloat:
		return Number
	case kindBytes:
		return Bytes
	case kindTime:
		return Time
	case kindList, kindArray, kindSet, kindPairs:
		return Array
	case kindStruct, kindObject:
		return Struct
	case kindAny:
		return Any
	}
	return Text
}

// Field returns the type of a message's field; nil if there is none of that name.
func (t *Type) Field(name string) *Type {
	if f := t.names[name]; f != nil {
		return f.typ
	}
	return nil
}
