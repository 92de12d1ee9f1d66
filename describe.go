package become

import (
	"github.com/universal-server/become/ground/bundle"
	"github.com/universal-server/become/serve/service"
)

// description is what the program prints for [EnvDescribe].
type description struct {
	Exports  []bundle.Export  `json:"exports"`
	Services []bundle.Service `json:"services,omitempty"`
}

// describe fails when the program's services cannot be served.
func describe() (description, error) {
	all := registered()
	if len(all) == 0 {
		return description{Exports: exports()}, nil
	}
	return description{exports(), services()}, service.Check(all)
}

// exports describes this program's functions.
func exports() []bundle.Export { return engineOfProgram().Exports() }

// services describes what this program serves as.
func services() (all []bundle.Service) {
	for _, s := range registered() {
		one := bundle.Service{Name: s.Name, Kind: string(s.Kind)}
		if s.Factory != nil {
			if data, err := s.Factory(); err == nil && len(data) <= bundle.MaxSettings { // who wants them otherwise asks for --dump-settings
				one.Settings = data
			}
		}
		all = append(all, one)
	}
	return all
}

func registered() []service.Service {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	return registry.services
}

// register keeps what Serve was given, for Init.
func register(all []service.Service) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	registry.services = all
}
