package node_test

import "github.com/universal-server/become/ground/key"

func newKey(path string) error { return key.New().Save(path) }
