package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	certutil "k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
)

const (
	certificateLifetime = 365 * 24 * time.Hour
	auditPolicy         = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: Metadata
`
)

// files are what the components read, all in the state directory.
type files struct {
	dir               string
	ca                string
	serverCert        string
	serverKey         string
	kubeletClientCert string
	kubeletClientKey  string
	serviceAccountKey string
	auditPolicy       string
	auditLog          string
	kubeconfig        string
	controllerConfig  string
	schedulerConfig   string
}

// choosePort is the port asked for, else the last run's, else a free one.
func choosePort(dir string, port int) (int, error) {
	kept := filepath.Join(dir, "port")
	if port == 0 {
		text, err := os.ReadFile(kept)
		if err == nil {
			return strconv.Atoi(strings.TrimSpace(string(text)))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return 0, err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return 0, err
		}
		port = listener.Addr().(*net.TCPAddr).Port
		if err := listener.Close(); err != nil {
			return 0, err
		}
	}
	return port, os.WriteFile(kept, []byte(strconv.Itoa(port)+"\n"), 0o600)
}

// prepareFiles makes what is missing; certificates of an earlier run stay good.
func prepareFiles(dir string, port int, contextName string) (files, error) {
	in := func(name string) string { return filepath.Join(dir, name) }
	made := files{
		dir:               dir,
		ca:                in("ca.crt"),
		serverCert:        in("server.crt"),
		serverKey:         in("server.key"),
		kubeletClientCert: in("kubelet-client.crt"),
		kubeletClientKey:  in("kubelet-client.key"),
		serviceAccountKey: in("service-account.key"),
		auditPolicy:       in("audit-policy.yaml"),
		auditLog:          in("audit.log"),
		kubeconfig:        in("kubeconfig"),
		controllerConfig:  in("controller-manager.kubeconfig"),
		schedulerConfig:   in("scheduler.kubeconfig"),
	}
	// Written last of all, so its presence means that the others are whole.
	if _, err := os.Stat(made.kubeconfig); err == nil {
		return made, nil
	}
	authority, err := newAuthority(made.ca)
	if err != nil {
		return files{}, err
	}
	if err := newKey(made.serviceAccountKey); err != nil {
		return files{}, err
	}
	if err := os.WriteFile(made.auditPolicy, []byte(auditPolicy), 0o600); err != nil {
		return files{}, err
	}
	if err := authority.issueServer(made.serverCert, made.serverKey); err != nil {
		return files{}, err
	}
	kubelet := pkix.Name{CommonName: "kube-apiserver-kubelet-client", Organization: []string{"system:masters"}}
	if err := authority.issueClient(kubelet, made.kubeletClientCert, made.kubeletClientKey); err != nil {
		return files{}, err
	}
	clients := []struct {
		path string
		name pkix.Name
	}{
		{made.controllerConfig, pkix.Name{CommonName: "system:kube-controller-manager"}},
		{made.schedulerConfig, pkix.Name{CommonName: "system:kube-scheduler"}},
		{made.kubeconfig, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}}},
	}
	for _, client := range clients {
		if err := authority.writeKubeconfig(client.path, client.name, port, contextName); err != nil {
			return files{}, err
		}
	}
	return made, nil
}

type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority(path string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	certificate, err := certutil.NewSelfSignedCACert(certutil.Config{CommonName: "controlplane"}, key)
	if err != nil {
		return nil, err
	}
	return &authority{certificate, key}, certutil.WriteCert(path, encode(certificate.Raw))
}

func (a *authority) issueServer(certPath, keyPath string) error {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:    []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
	}
	return a.issueTo(template, certPath, keyPath)
}

func (a *authority) issueClient(name pkix.Name, certPath, keyPath string) error {
	return a.issueTo(clientTemplate(name), certPath, keyPath)
}

func (a *authority) writeKubeconfig(path string, name pkix.Name, port int, contextName string) error {
	certificate, key, err := a.issue(clientTemplate(name))
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters[contextName] = &clientcmdapi.Cluster{
		Server:                   fmt.Sprintf("https://127.0.0.1:%d", port),
		CertificateAuthorityData: encode(a.certificate.Raw),
	}
	config.AuthInfos[name.CommonName] = &clientcmdapi.AuthInfo{
		ClientCertificateData: certificate,
		ClientKeyData:         key,
	}
	config.Contexts[contextName] = &clientcmdapi.Context{Cluster: contextName, AuthInfo: name.CommonName}
	config.CurrentContext = contextName
	return clientcmd.WriteToFile(*config, path)
}

func clientTemplate(name pkix.Name) *x509.Certificate {
	return &x509.Certificate{
		Subject:     name,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

func (a *authority) issueTo(template *x509.Certificate, certPath, keyPath string) error {
	certificate, key, err := a.issue(template)
	if err != nil {
		return err
	}
	if err := keyutil.WriteKey(keyPath, key); err != nil {
		return err
	}
	return certutil.WriteCert(certPath, certificate)
}

func (a *authority) issue(template *x509.Certificate) (certificate, key []byte, err error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.NotBefore = a.certificate.NotBefore
	template.NotAfter = time.Now().Add(certificateLifetime)
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, signer.Public(), a.key)
	if err != nil {
		return nil, nil, err
	}
	if key, err = keyutil.MarshalPrivateKeyToPEM(signer); err != nil {
		return nil, nil, err
	}
	return encode(der), key, nil
}

func newKey(path string) error {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	key, err := keyutil.MarshalPrivateKeyToPEM(signer)
	if err != nil {
		return err
	}
	return keyutil.WriteKey(path, key)
}
