package logs_test

import (
	"context"
	"fmt"
	"os"

	"github.com/universal-server/become/ground/logs"
)

func ExampleStore_Sink() {
	dir, err := os.MkdirTemp("", "logs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	store, err := logs.Open(dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	out := store.Sink(logs.Line{Worker: "w1", Stream: logs.Stdout})
	fmt.Fprintln(out, "hello")
	out.Close()
	store.Read(context.Background(), logs.Query{Count: 10}, func(l logs.Line) error {
		fmt.Println(l.Worker, l.Text)
		return nil
	})
	// Output: w1 hello
}
