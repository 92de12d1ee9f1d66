package bundle_test

import (
	"fmt"

	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/ground/fault"
)

func ExampleUnseal() {
	m := bundle.Manifest{
		Digest: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
		Kind:   bundle.JS, Name: "square.js", Size: 3,
	}
	sealed, err := bundle.Seal(m, fleet)
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := bundle.Unseal(sealed, fleet)
	fmt.Println(got.Name, err)
	sealed[len(sealed)-2] = '4' // three bytes become four
	_, err = bundle.Unseal(sealed, fleet)
	fmt.Println(fault.KindOf(err))
	// Output:
	// square.js <nil>
	// denied
}
