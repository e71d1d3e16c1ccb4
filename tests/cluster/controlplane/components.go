package main

import (
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/spf13/pflag"
	"go.etcd.io/etcd/server/v3/embed"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	certutil "k8s.io/client-go/util/cert"
	cliflag "k8s.io/component-base/cli/flag"
	"k8s.io/klog/v2"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	apiserveroptions "k8s.io/kubernetes/cmd/kube-apiserver/app/options"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	controlleroptions "k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	scheduleroptions "k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certutil.CertificateBlockType, Bytes: der})
}

func logTo(path string) (*os.File, error) {
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	if err := flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL"}); err != nil {
		return nil, err
	}
	klog.SetOutput(log)
	return log, nil
}

type etcd struct {
	server   *embed.Etcd
	endpoint string
}

// startEtcd listens on sockets in the directory, which nobody else may enter.
func startEtcd(dir string) (*etcd, error) {
	client := url.URL{Scheme: "unix", Path: filepath.Join(dir, "etcd.sock")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(dir, "peer.sock")}
	config := embed.NewConfig()
	config.Dir = filepath.Join(dir, "etcd")
	config.ListenClientUrls = []url.URL{client}
	config.AdvertiseClientUrls = []url.URL{client}
	config.ListenPeerUrls = []url.URL{peer}
	config.AdvertisePeerUrls = []url.URL{peer}
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.LogLevel = "warn"
	config.LogOutputs = []string{filepath.Join(dir, "etcd.log")}
	// A cluster for tests need not outlive a power cut, only a killed process.
	config.UnsafeNoFsync = true
	for _, socket := range []string{client.Path, peer.Path} {
		// A killed process leaves its sockets behind.
		if err := os.Remove(socket); err != nil && !os.IsNotExist(err) {
			return nil, err
		}
	}
	server, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	<-server.Server.ReadyNotify()
	return &etcd{server, client.String()}, nil
}

func (e *etcd) Close() {
	e.server.Close()
}

type components struct {
	group sync.WaitGroup
}

func (c *components) wait() {
	c.group.Wait()
}

func (c *components) start(name string, ended chan<- error, run func() error) {
	c.group.Go(func() {
		if err := run(); err != nil {
			ended <- fmt.Errorf("%s: %w", name, err)
			return
		}
		ended <- nil
	})
}

// startComponents starts all three; the last two wait for the first by themselves.
func startComponents(
	ctx context.Context, files files, etcd string, port int, services string, ended chan<- error,
) (*components, error) {
	server := apiserveroptions.NewServerRunOptions()
	manager, err := controlleroptions.NewKubeControllerManagerOptions()
	if err != nil {
		return nil, err
	}
	placer := scheduleroptions.NewOptions()
	controllers, disabled, aliases := controllermanager.KnownControllers(),
		controllermanager.ControllersDisabledByDefault(), controllermanager.ControllerAliases()
	if err := parse(server.Flags(), serverFlags(files, etcd, port, services)); err != nil {
		return nil, err
	}
	if err := parse(manager.Flags(controllers, disabled, aliases), managerFlags(files)); err != nil {
		return nil, err
	}
	if err := parse(*placer.Flags, schedulerFlags(files)); err != nil {
		return nil, err
	}
	// The three share one registry of versions and feature gates.
	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := server.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if errs := completed.Validate(); len(errs) > 0 {
		return nil, utilerrors.NewAggregate(errs)
	}
	running := &components{}
	running.start("kube-apiserver", ended, func() error { return apiserver.Run(ctx, completed) })
	running.start("kube-controller-manager", ended, func() error {
		if err := waitForServer(ctx, files.controllerConfig); err != nil {
			return err
		}
		config, err := manager.Config(ctx, controllers, disabled, aliases)
		if err != nil {
			return err
		}
		return controllermanager.Run(ctx, config.Complete())
	})
	running.start("kube-scheduler", ended, func() error {
		if err := waitForServer(ctx, files.schedulerConfig); err != nil {
			return err
		}
		if err := forgetLeader(ctx, files.kubeconfig); err != nil {
			return err
		}
		config, placing, err := scheduler.Setup(ctx, placer)
		if err != nil {
			return err
		}
		return scheduler.Run(ctx, config, placing)
	})
	return running, nil
}

func parse(named cliflag.NamedFlagSets, arguments []string) error {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, set := range named.FlagSets {
		flags.AddFlagSet(set)
	}
	return flags.Parse(arguments)
}

func serverFlags(files files, etcd string, port int, services string) []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(port),
		"--etcd-servers=" + etcd,
		// Far more often than the usual 5 minutes: what is too old to be watched is met sooner.
		"--etcd-compaction-interval=15s",
		"--authorization-mode=RBAC",
		"--anonymous-auth=false",
		"--client-ca-file=" + files.ca,
		"--tls-cert-file=" + files.serverCert,
		"--tls-private-key-file=" + files.serverKey,
		"--kubelet-client-certificate=" + files.kubeletClientCert,
		"--kubelet-client-key=" + files.kubeletClientKey,
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + files.serviceAccountKey,
		"--service-account-signing-key-file=" + files.serviceAccountKey,
		"--service-cluster-ip-range=" + services,
		// No address of loopback may be an endpoint of the service "kubernetes".
		"--endpoint-reconciler-type=none",
		"--audit-policy-file=" + files.auditPolicy,
		"--audit-log-path=" + files.auditLog,
		"--audit-log-maxsize=100",
		"--audit-log-maxbackup=1",
		"--shutdown-delay-duration=0s",
	}
}

func managerFlags(files files) []string {
	return []string{
		"--kubeconfig=" + files.controllerConfig,
		"--secure-port=0",
		"--use-service-account-credentials",
		"--service-account-private-key-file=" + files.serviceAccountKey,
		"--root-ca-file=" + files.ca,
		"--leader-elect=false",
		// Less than the usual 50 s, so that a test of a lost node need not wait as long.
		"--node-monitor-grace-period=25s",
		"--node-monitor-period=2s",
	}
}

func schedulerFlags(files files) []string {
	return []string{
		"--kubeconfig=" + files.schedulerConfig,
		"--secure-port=0",
		// The Lease is how others see that this cluster has a scheduler. One that cannot renew it in time
		// ends, and everything with it: so there is more time than a busy machine takes.
		"--leader-elect=true",
		"--leader-elect-lease-duration=150s",
		"--leader-elect-renew-deadline=120s",
		"--leader-elect-retry-period=1s",
	}
}
