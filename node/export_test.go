package node

// RunDir is where the sockets of n's processes are.
func RunDir(n *Node) string { return n.home.Run() }

// Answer is what a node says of its services, in bounds.
var Answer = answer
