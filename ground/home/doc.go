// Package home is a node's folder: everything it keeps on its machine, the
// lock that makes it the only one, and the note by which others find it.
//
//	node → [home] ← command line, boss
//
// # Guarantees
//
//   - One process at a time has a home open. The lock is the kernel's: it ends with the
//     process, however that ends.
//   - A folder is taken only if it is empty or a home already, belongs to this user, and
//     nobody else may write to it. Nothing in another folder is ever touched.
//   - [Find] returns the contact of the process that holds the lock now, never one
//     left behind by a crash, even if the number of the process was given out again.
//   - [Home.Run] is short enough for Unix sockets, whose paths end at 103 bytes, and holds
//     nothing of an earlier node.
//   - [Destroy] removes a home whole, and refuses a folder that is none, is in use, or holds anything else.
//   - [Home.ID] never changes as long as the folder lives.
//
// # What is inside
//
//	become-home   format version; says that the folder is ours
//	lock          locked while a node runs; its process id
//	alive         locked while node.json, if there, is that node's
//	node.json     how to reach that node (Contact)
//	id            the node's id
//	key           the fleet's key
//	bus/ cache/ logs/ run/
//	runs/         history of services' processes
//	address       where the bus listened last
//	tls/          self-made certificates (Share)
//
// # A first program
//
//	h, err := home.Open(home.Default())
//	if err != nil {
//		return err // cannot open home /home/ann/.become: in use by process 4711
//	}
//	defer h.Close()
//	fmt.Println(h.ID(), h.Logs())
package home
