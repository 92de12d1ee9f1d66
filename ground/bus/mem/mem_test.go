package mem_test

import (
	"os"
	"testing"

	"github.com/universal-server/become/ground/bus"
	"github.com/universal-server/become/ground/bus/bustest"
	"github.com/universal-server/become/ground/bus/mem"
)

func TestMain(m *testing.M) { os.Exit(bustest.Main(m)) }

func TestMem_IsABus(t *testing.T) {
	server := mem.New()
	bustest.Exercise(t, func(*testing.T) bus.Bus { return server.Connect() })
}
