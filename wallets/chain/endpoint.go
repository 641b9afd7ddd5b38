package chain

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"
)

const (
	// defaultTimeout limits one call to a node.
	defaultTimeout = 15 * time.Second
	// maxResponse holds the largest block (4,000,000 bytes, BIP-141) as hexadecimal, twice over.
	maxResponse = 16 << 20
	// maxPassword limits a password file.
	maxPassword = 4096
)

// parseEndpoint checks a node's URL. Its errors name the host at most, because a path or query may hold an access key.
func parseEndpoint(raw string, allowPlaintext bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("chain: node URL: not a URL")
	}
	if u.User != nil {
		return nil, errors.New("chain: node URL: holds credentials; expected them in their own fields")
	}
	if u.Hostname() == "" {
		return nil, errors.New("chain: node URL: no host")
	}
	switch u.Scheme {
	case "https":
		return u, nil
	case "http":
		if allowPlaintext || loopback(u.Hostname()) {
			return u, nil
		}
		return nil, fmt.Errorf("chain: node URL: plain http to %s; expected https, or a loopback address", u.Hostname())
	}
	return nil, fmt.Errorf("chain: node URL: scheme %q; expected http or https", u.Scheme)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// httpClient makes a client that follows no redirect, asks no proxy, and reads at most maxResponse bytes of an answer.
// rootsFile, when not empty, is a PEM file of the only certificate roots to accept.
func httpClient(rootsFile string) (*http.Client, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if rootsFile != "" {
		pem, err := os.ReadFile(rootsFile)
		if err != nil {
			return nil, fmt.Errorf("chain: certificate roots: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("chain: certificate roots: no certificate in %s", rootsFile)
		}
	}
	return &http.Client{
		Transport: &boundedTransport{limit: maxResponse, next: &http.Transport{
			TLSClientConfig: conf, MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute,
		}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// boundedTransport makes reading an answer fail once it is longer than limit.
type boundedTransport struct {
	next  http.RoundTripper
	limit int64
}

func (t *boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: t.limit}
	return resp, nil
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the transport underneath.
func (t *boundedTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, ErrResponseTooLarge
	}
	// One byte more than allowed, to tell an answer of exactly the limit from a longer one.
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return n, ErrResponseTooLarge
	}
	return n, err
}

// withoutURL removes the URL that net/http puts into its errors.
func withoutURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// readPassword reads a secret from a file that only its owner can read, without the line ending.
func readPassword(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("chain: password file: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("chain: password file: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("chain: password file %s: mode %04o; expected no access for group and others", path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxPassword+1))
	if err != nil {
		return nil, fmt.Errorf("chain: password file: %w", err)
	}
	if len(b) > maxPassword {
		return nil, fmt.Errorf("chain: password file %s: longer than %d bytes", path, maxPassword)
	}
	return bytes.TrimRight(b, "\r\n"), nil
}
