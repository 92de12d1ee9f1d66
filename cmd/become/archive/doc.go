// Package archive is a fleet in a file: its services with their settings, its names, and the code behind them.
//
//	fleet → become snapshot → [archive] → become restore → another fleet, or the same one later
//
// The file is a zip archive: fleet.json, see Fleet, and the code of each bundle as code/DIGEST.
//
// # Guarantees
//
//   - Open believes nothing: each piece of code is the one its digest says, everything that is named is there, and
//     what a record says can be served. What is wrong is one error that names it, before anything was done with the archive.
//   - Reading takes memory for the records only, which are bounded; a piece of code is never longer than its record says.
//   - Write leaves a whole file or none, for its owner only: settings may hold secrets.
//
// # A first program
//
//	a, err := archive.Open("fleet.zip")
//	if err != nil {
//		return err
//	}
//	defer a.Close()
//	for _, r := range a.Roles {
//		fmt.Println(r.Name, r.Now.What())
//	}
package archive
