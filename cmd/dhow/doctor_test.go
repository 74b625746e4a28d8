package main

import (
	"strings"
	"testing"
)

func TestAWSNote(t *testing.T) {
	for version, warned := range map[string]bool{
		"aws-cli/1.45.11 Python/3.11.7 Linux/6.18.44 botocore/1.43.11\n": true,
		"aws-cli/2.17.0 Python/3.11.8 Linux/6.1 exe/x86_64\n":            false,
		"":             false,
		"sh: nonsense": false,
	} {
		if note := awsNote(version); strings.Contains(note, "--endpoint-url") != warned {
			t.Errorf("%q: %q", version, note)
		}
	}
}

func TestOpenFilesNote(t *testing.T) {
	for limit, mark := range map[uint64]string{1024: "low     open files: up to 1024;", 65536: "ok      open files: up to 65536"} {
		if note := openFilesNote(limit); !strings.HasPrefix(note, mark) {
			t.Errorf("%d: %q", limit, note)
		}
	}
}
