// Package stock is the list of servers that the binary can become out of the box: what each is called, where it
// listens, which arguments and settings it takes, and the service that it is.
//
//	command line → [stock] → settings (JSON) → keeper → process → [stock] → the server
//
// The command line and the process that serves are two ends of one table: what [Server.Settings] made of
// arguments is what the service of [Services] is configured with, on this machine or on another one.
//
// # Guarantees
//
//   - Settings are complete: every default is in them, paths are absolute.
//   - A setting that is not known or makes no sense is one error that names it, before anything starts; so is, for
//     [Server.Check], a folder or program that is not there.
//
// # A first program
//
//	s, _ := stock.Find("static")
//	settings, err := s.Settings(stock.Words{Args: []string{"./site"}, Dir: "/home/me"})
//	if err != nil {
//		return err
//	}
//	fmt.Println(string(settings)) // {"dir":"/home/me/site","listing":false,…}
package stock
