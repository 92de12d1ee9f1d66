package collection_test

import (
	"context"
	"fmt"

	"github.com/universal-server/become/ground/fault"
	"github.com/universal-server/become/keep/collection"
)

func ExampleStore() {
	type Note struct{ Text string }
	var notes collection.Store[Note] = new(collection.Memory[Note])
	ctx := context.Background()

	made, _ := notes.Swap(ctx, "milk", &Note{"buy milk"}, "") // "": there must be none
	_, err := notes.Swap(ctx, "milk", &Note{"mine"}, "")
	fmt.Println(err)

	bought, _ := notes.Swap(ctx, "milk", &Note{"bought"}, made.Revision)
	_, err = notes.Swap(ctx, "milk", nil, made.Revision) // nil deletes; but the revision is an old one
	fmt.Println(fault.KindOf(err))

	page, _ := notes.List(ctx, "", 10)
	fmt.Println(len(page), page[0].ID, page[0].Value.Text, page[0].Revision == bought.Revision)
	// Output:
	// cannot store milk: somebody else was faster
	// conflict
	// 1 milk bought true
}
