package network

// Problem is something that keeps Open from working on this machine.
type Problem struct {
	What string // what is missing or refused
	Fix  string // what to do about it
}

// Error makes a Problem an error.
func (p Problem) Error() string { return "network: " + p.What + ": " + p.Fix }
func Check() []Problem          { return nil }
