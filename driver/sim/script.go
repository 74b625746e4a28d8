package sim

import (
	"strconv"
	"strings"
	"time"
)

// script is what a command does as far as the simulation understands it:
// sleep, exit, true, false, echo, printf without formats, and trap of TERM,
// joined by ";", "&&", "&" and newlines, alone or in `sh -c`. A word that it
// does not know runs for ever, and ends the script: a server is like that.
type script struct {
	Known   bool // some of it was understood, so that it replaces the image's behaviour
	Ends    bool
	After   time.Duration
	Exit    int
	Output  string
	Trapped bool // TERM ends it with code trap
	Trap    int
	Ignores bool // TERM does nothing
}

// parseCommand reads entry point and command as one argument list.
func parseCommand(args []string) script {
	var s script
	if len(args) == 0 {
		return s
	}
	if sh := base(args[0]); (sh == "sh" || sh == "bash" || sh == "ash") && len(args) >= 3 && args[1] == "-c" {
		for _, line := range statements(args[2]) {
			if !s.step(line) || s.Ends {
				return s
			}
		}
		s.Ends = true
		return s
	}
	if s.step(args) && s.Known {
		s.Ends = true
	}
	return s
}

// step runs one statement and reports whether the script goes on after it.
func (s *script) step(words []string) bool {
	words = trimWords(words)
	if len(words) == 0 {
		return true
	}
	if words[0] == "exec" {
		words = words[1:]
	}
	arg := ""
	if len(words) > 1 {
		arg = words[1]
	}
	switch base(words[0]) {
	case "sleep":
		d, ok := sleepTime(arg)
		s.Known = true
		if s.Exit = 0; !ok || s.After+d < 0 {
			return false // sleep infinity
		}
		s.After += d
	case "exit":
		n, err := strconv.ParseUint(arg, 10, 8)
		s.Known, s.Ends = true, true
		if err == nil {
			s.Exit = int(n)
		}
	case "true":
		s.Known, s.Exit = true, 0
	case "false":
		s.Known, s.Exit = true, 1
	case "echo", "printf":
		s.Known, s.Exit = true, 0
		s.Output += strings.Join(words[1:], " ") + "\n"
	case "trap":
		s.Known = true
		s.setTrap(words[1:])
	case "wait":
		s.Known = true
	default:
		return false
	}
	return true
}

func (s *script) setTrap(args []string) {
	if len(args) < 2 {
		return
	}
	for _, sig := range args[1:] {
		if sig != "TERM" && sig != "SIGTERM" && sig != "15" {
			continue
		}
		s.Ignores = args[0] == ""
		if rest, ok := strings.CutPrefix(args[0], "exit"); ok {
			n, _ := strconv.ParseUint(strings.TrimSpace(rest), 10, 8)
			s.Trapped, s.Trap = true, int(n)
		}
	}
}

// sleepTime reads sleep's argument; seconds unless it has a unit. It is false
// for ever.
func sleepTime(arg string) (time.Duration, bool) {
	unit := time.Second
	if n := len(arg); n > 0 {
		if u, ok := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[arg[n-1]]; ok {
			unit, arg = u, arg[:n-1]
		}
	}
	f, err := strconv.ParseFloat(arg, 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, false
	}
	return time.Duration(f * float64(unit)), true
}

func base(word string) string {
	return word[strings.LastIndexByte(word, '/')+1:]
}

func trimWords(words []string) []string {
	for len(words) > 0 && words[0] == "" {
		words = words[1:]
	}
	return words
}

// statements splits a shell script at separators outside quotes, and each
// statement into words. A statement put in the background counts as run, as
// its `wait` follows.
func statements(src string) [][]string {
	var out [][]string
	var words []string
	var word strings.Builder
	inWord := false
	flushWord := func() {
		if inWord {
			words = append(words, word.String())
			word.Reset()
			inWord = false
		}
	}
	flush := func() {
		flushWord()
		if len(words) > 0 {
			out = append(out, words)
			words = nil
		}
	}
	var quote byte
	for i := 0; i < len(src); i++ {
		c := src[i]
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ';' || c == '\n' || c == '&':
			flush()
		case c == ' ' || c == '\t':
			flushWord()
		default:
			word.WriteByte(c)
			inWord = true
		}
	}
	flush()
	return out
}
