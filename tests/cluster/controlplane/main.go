// Controlplane runs a real Kubernetes control plane for tests: etcd, kube-apiserver with RBAC and
// an audit log, kube-controller-manager and kube-scheduler, in one process, on loopback.
//
// It writes <dir>/kubeconfig (an administrator's), prints the server's version and then "ready", and
// ends when it is told to (SIGINT, SIGTERM) or when the process that started it is gone. Started
// again on the same directory it is the same cluster at the same address.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	readyWithin  = 2 * time.Minute
	parentPolled = 200 * time.Millisecond
	// Inside 10.0.0.0/8, where nothing is routed on loopback: the addresses are only names here.
	serviceRange = "10.0.0.0/16"
)

func main() {
	dir := flag.String("dir", "", "directory that holds the cluster's state (required)")
	port := flag.Int("port", 0, "port of the API server; 0: the one of the last run, or a free one")
	context := flag.String("context", "controlplane", "name of the context in the kubeconfig")
	services := flag.String("services", serviceRange, "addresses of Services; two ranges for a dual-stack cluster")
	orphan := flag.Bool("orphan", false, "outlive the process that started this one")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*dir, *port, *context, *services, *orphan); err != nil {
		fmt.Fprintln(os.Stderr, "controlplane:", err)
		os.Exit(1)
	}
}

func run(dir string, port int, contextName, services string, orphan bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if !orphan {
		// Asked for before the first pause, so that a parent that dies meanwhile is noticed.
		go endWithParent(os.Getppid(), stop)
	}

	log, err := logTo(filepath.Join(dir, "controlplane.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	if port, err = choosePort(dir, port); err != nil {
		return err
	}
	files, err := prepareFiles(dir, port, contextName)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(dir)
	if err != nil {
		return fmt.Errorf("etcd: %w", err)
	}
	// The last to go: until then the others still write.
	defer etcd.Close()

	// One of them ending is the end of all.
	ended := make(chan error, 3)
	running, err := startComponents(ctx, files, etcd.endpoint, port, services, ended)
	if err != nil {
		return err
	}
	defer running.wait()
	defer stop()

	config, err := clientcmd.BuildConfigFromFlags("", files.kubeconfig)
	if err != nil {
		return err
	}
	starting, done := context.WithTimeout(ctx, readyWithin)
	defer done()
	version, err := waitUntilReady(starting, config, ended)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("%w (its log: %s)", err, log.Name())
	}
	fmt.Println(version, config.Host)
	fmt.Println("ready")

	select {
	case <-ctx.Done():
		return nil
	case err := <-ended:
		if ctx.Err() != nil {
			return nil
		}
		return errors.Join(errors.New("a component ended"), err)
	}
}

func endWithParent(parent int, stop func()) {
	for os.Getppid() == parent {
		time.Sleep(parentPolled)
	}
	stop()
}
