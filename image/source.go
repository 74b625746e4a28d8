package image

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// source is what a build adds to its base: files by their path in the image.
type source struct {
	files      map[string]string // path in the image without leading slash → on disk; "" for a directory of none
	program    *program          // that is started, if the build knows it
	entrypoint []string
}

// inspect looks at the options' path and refuses what could not run.
func inspect(o BuildOptions) (*source, error) {
	target := path.Clean("/" + o.Target)
	info, err := os.Stat(o.Path)
	if err != nil {
		return nil, fmt.Errorf("what to put into the image: %w", err)
	}
	s := &source{files: map[string]string{}}
	switch {
	case info.Mode().IsRegular():
		err = s.single(o, target)
	case info.IsDir():
		err = s.directory(o, target)
	default:
		err = fmt.Errorf("%s is neither a file nor a directory", o.Path)
	}
	if err != nil {
		return nil, err
	}
	s.parents()
	return s, nil
}

// single takes a program.
func (s *source) single(o BuildOptions, target string) error {
	abs, err := filepath.Abs(o.Path)
	if err != nil {
		return err
	}
	real, err := filepath.EvalSymlinks(abs) // what a link names counts
	if err != nil {
		return err
	}
	p, err := readProgram(real)
	if err != nil {
		return err
	}
	if p.mode&0o111 == 0 {
		return fmt.Errorf("%s is not executable: give a program (chmod +x), or the directory that holds the files", o.Path)
	}
	if err := p.runnable(o.From, nil); err != nil {
		return err
	}
	at := path.Join(target, filepath.Base(abs))
	s.files[at[1:]] = real
	s.program, s.entrypoint = p, []string{at}
	return nil
}

// directory takes all that a directory holds.
func (s *source) directory(o BuildOptions, target string) error {
	err := filepath.WalkDir(o.Path, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(o.Path, p)
		if err != nil || rel == "." {
			return err
		}
		if t := d.Type(); !t.IsRegular() && !t.IsDir() && t != fs.ModeSymlink {
			return fmt.Errorf("%s is a device, socket or pipe: an image holds files, directories and links", p)
		}
		if strings.HasPrefix(d.Name(), ".wh.") {
			return fmt.Errorf("%s: names that begin with .wh. delete files in images, rename it", p)
		}
		s.files[path.Join(target, filepath.ToSlash(rel))[1:]] = p
		return nil
	})
	if err != nil {
		return err
	}
	if len(s.files) == 0 {
		return fmt.Errorf("%s is empty", o.Path)
	}
	return s.start(o, target)
}

// start finds the program that a directory's image starts: the entrypoint's,
// or the only one at the top.
func (s *source) start(o BuildOptions, target string) error {
	var at string
	if len(o.Entrypoint) > 0 {
		at = o.Entrypoint[0]
		if !path.IsAbs(at) {
			return nil // by PATH or the working directory: not known here
		}
		at = path.Clean(at)
	} else if o.From == "" {
		var programs []string
		for name, disk := range s.files {
			if path.Dir("/"+name) != target {
				continue
			}
			if p, err := readProgram(disk); err == nil && p.mode&0o111 != 0 {
				programs = append(programs, "/"+name)
			}
		}
		if len(programs) != 1 {
			return nil
		}
		at = programs[0]
		s.entrypoint = programs
	}
	disk, ok := s.files[strings.TrimPrefix(at, "/")]
	if at == "" || !ok {
		if at != "" && o.From == "" {
			return fmt.Errorf("entrypoint %s is not in %s, which becomes %s of the image", at, o.Path, target)
		}
		return nil
	}
	p, err := readProgram(disk)
	if err != nil {
		return err
	}
	s.program = p
	return p.runnable(o.From, s.files)
}

// parents adds the directories above the files that none of them is.
func (s *source) parents() {
	for name := range s.files {
		for d := path.Dir(name); d != "."; d = path.Dir(d) {
			if _, ok := s.files[d]; !ok {
				s.files[d] = ""
			}
		}
	}
}

// tar opens the layer: files in order, owned by root, with one time for all.
func (s *source) tar(ctx context.Context, at time.Time) func() (io.ReadCloser, error) {
	names := make([]string, 0, len(s.files))
	for n := range s.files {
		names = append(names, n)
	}
	slices.Sort(names) // a directory sorts before what it holds
	return func() (io.ReadCloser, error) {
		r, w := io.Pipe()
		go func() {
			t := tar.NewWriter(w)
			for _, n := range names {
				err := ctx.Err()
				if err == nil {
					err = addFile(t, n, s.files[n], at)
				}
				if err != nil {
					w.CloseWithError(err)
					return
				}
			}
			w.CloseWithError(t.Close())
		}()
		return r, nil
	}
}

func addFile(t *tar.Writer, name, disk string, at time.Time) error {
	h := &tar.Header{Name: name, ModTime: at, Mode: 0o755, Format: tar.FormatPAX}
	if disk == "" {
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return t.WriteHeader(h)
	}
	info, err := os.Lstat(disk)
	if err != nil {
		return err
	}
	h.Mode = int64(info.Mode().Perm())
	if info.Mode()&fs.ModeSetuid != 0 {
		h.Mode |= 0o4000
	}
	if info.Mode()&fs.ModeSetgid != 0 {
		h.Mode |= 0o2000
	}
	if info.Mode()&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch {
	case info.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, name+"/"
		return t.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(disk); err != nil {
			return err
		}
		return t.WriteHeader(h)
	}
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.Open(disk)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(t, f)
	if err == nil && n != info.Size() {
		err = fmt.Errorf("%s changed while it was read", disk)
	}
	return err
}
