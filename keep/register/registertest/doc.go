// Package registertest says what a register is, as tests: every [register.Swapper] passes [Exercise].
//
//	Memory, File, Remote, Stored → [registertest]
//
// # Guarantees
//
//   - [Model] is the register for porcupine, with operations whose outcome nobody knows.
//   - A history that [Check] finds linearizable has an order of its operations that explains every
//     answer and agrees with the times.
//
// # A first program
//
//	func TestMine(t *testing.T) {
//		registertest.Exercise(t, func(t *testing.T) func() register.Swapper {
//			mine := NewMine(t)
//			return func() register.Swapper { return mine.Connect(t) }
//		})
//	}
package registertest
