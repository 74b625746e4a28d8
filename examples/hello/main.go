// Command hello is a small web service to deploy: it says which task answers.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/signal"
	"path"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	task := taskID()
	version := cmp.Or(os.Getenv("VERSION"), "1")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /", func(w http.ResponseWriter, r *http.Request) {
		log.Printf("%s %s", r.Method, r.URL.Path)
		fmt.Fprintf(w, "hello from task %s, version %s\n", task, version)
	})
	s := &http.Server{Addr: ":" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: mux}
	go func() {
		<-ctx.Done() // requests under way are answered
		end, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(end)
	}()
	log.Printf("task %s, version %s, listens on %s", task, version, s.Addr)
	if err := s.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// taskID asks the task metadata endpoint who we are, as on ECS.
func taskID() string {
	base := os.Getenv("ECS_CONTAINER_METADATA_URI_V4")
	if base == "" {
		return "none"
	}
	res, err := http.Get(base + "/task")
	if err != nil {
		return "unknown: " + err.Error()
	}
	defer res.Body.Close()
	var task struct{ TaskARN string }
	if err := json.NewDecoder(res.Body).Decode(&task); err != nil {
		return "unknown: " + err.Error()
	}
	return path.Base(task.TaskARN)
}
