package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

const asked = 100 * time.Millisecond

// waitForServer waits until the API server says that it is ready.
func waitForServer(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	return wait.PollUntilContextCancel(ctx, asked, true, func(ctx context.Context) (bool, error) {
		return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil, nil
	})
}

// forgetLeader deletes the Lease that a killed scheduler has left behind: there is no other one.
func forgetLeader(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	err = client.CoordinationV1().Leases("kube-system").Delete(ctx, "kube-scheduler", metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// waitUntilReady waits for all three: the API server answers, the controllers have made a service
// account, the scheduler leads. It returns the server's version.
func waitUntilReady(ctx context.Context, config *rest.Config, ended <-chan error) (string, error) {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	var last error
	for {
		select {
		case err := <-ended:
			return "", errors.Join(errors.New("a component ended before it was ready"), err)
		case <-ctx.Done():
			return "", fmt.Errorf("not ready: %w", errors.Join(last, ctx.Err()))
		case <-time.After(asked):
		}
		if last = ready(ctx, client); last != nil {
			continue
		}
		version, err := client.Discovery().ServerVersion()
		if err != nil {
			last = err
			continue
		}
		return version.GitVersion, nil
	}
}

func ready(ctx context.Context, client kubernetes.Interface) error {
	if err := client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	if err != nil {
		return err
	}
	lease, err := client.CoordinationV1().Leases("kube-system").Get(ctx, "kube-scheduler", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity == "" {
		return errors.New("no scheduler leads")
	}
	return nil
}
