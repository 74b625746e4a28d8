package image

import (
	"bytes"
	"debug/elf"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

// program is what a file says about how it is run.
type program struct {
	path   string
	mode   fs.FileMode
	arch   string // Go's word; "" for a script
	interp string // the loader or the script's interpreter that it needs
}

var machines = map[elf.Machine]string{
	elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm",
	elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_PPC64: "ppc64le",
}

// readProgram looks at a file; an error means that Linux could not run it.
func readProgram(file string) (*program, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := &program{path: file, mode: info.Mode()}
	head := make([]byte, 256)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, fmt.Errorf("%s is no program: %w", file, err)
	}
	head = head[:n]
	if script, ok := bytes.CutPrefix(head, []byte("#!")); ok {
		line, _, _ := strings.Cut(string(script), "\n")
		if words := strings.Fields(line); len(words) > 0 {
			p.interp = words[0]
		}
		return p, nil
	}
	e, err := elf.NewFile(f)
	if err != nil {
		return nil, fmt.Errorf("%s is no Linux program: neither ELF nor a #! script", file)
	}
	defer e.Close()
	if e.Type != elf.ET_EXEC && e.Type != elf.ET_DYN {
		return nil, fmt.Errorf("%s is an ELF file of type %v, no program", file, e.Type)
	}
	if p.arch = machines[e.Machine]; p.arch == "" {
		return nil, fmt.Errorf("%s is for a machine of type %v, which no node runs", file, e.Machine)
	}
	for _, seg := range e.Progs {
		if seg.Type == elf.PT_INTERP && seg.Filesz < 4096 {
			b := make([]byte, seg.Filesz)
			if _, err := io.ReadFull(seg.Open(), b); err != nil {
				return nil, fmt.Errorf("%s: its loader's name: %w", file, err)
			}
			p.interp = string(bytes.TrimRight(b, "\x00"))
		}
	}
	return p, nil
}

// runnable refuses a program whose loader or interpreter the image would lack.
func (p *program) runnable(from string, files map[string]string) error {
	if p.interp == "" || from != "" {
		return nil
	}
	if _, ok := files[strings.TrimPrefix(p.interp, "/")]; ok {
		return nil
	}
	if p.arch == "" {
		return fmt.Errorf("%s is a script for %s, which an empty image does not have: say --from with an image that does", p.path, p.interp)
	}
	return fmt.Errorf("%s is dynamically linked (it needs %s), so it cannot start in an empty image: link it statically (Go: CGO_ENABLED=0), or say --from with an image that has its libraries", p.path, p.interp)
}
