package cli

import (
	_ "embed"
	"fmt"
	"net/url"
	"time"

	"github.com/strongroom/strongroom/hsm"
	"github.com/strongroom/strongroom/internal/config"
)

// ExampleCertificates documents every key of a file of certificates.
//
//go:embed certificates.toml
var ExampleCertificates string

// Certificate says that a model of token with a firmware was validated, as the custodian looked it up. A token cannot say that of itself.
type Certificate struct {
	Manufacturer string `toml:"manufacturer"` // empty for any
	Model        string `toml:"model"`
	Firmware     string `toml:"firmware"`
	Standard     string `toml:"standard"`
	Certificate  string `toml:"certificate"`
	URL          string `toml:"url"`
	Expires      string `toml:"expires"` // last day, as 2029-09-10, in UTC

	last time.Time // Expires
}

// CertificateView is a certificate of the token at hand.
type CertificateView struct {
	Standard    string `json:"standard"`
	Certificate string `json:"certificate"`
	URL         string `json:"url"`
	Expires     string `json:"expires"`
	Expired     bool   `json:"expired"`
}

// loadCertificates reads a file of certificates.
func loadCertificates(path string) ([]Certificate, error) {
	var file struct {
		Certificates []Certificate `toml:"certificates"`
	}
	if _, err := config.Load(path, &file); err != nil {
		return nil, err
	}
	for i := range file.Certificates {
		if err := file.Certificates[i].check(); err != nil {
			return nil, fmt.Errorf("%s: certificates[%d]: %w", path, i, err)
		}
	}
	return file.Certificates, nil
}

func (c *Certificate) check() error {
	for _, f := range []struct{ key, value string }{
		{"model", c.Model}, {"firmware", c.Firmware}, {"standard", c.Standard}, {"certificate", c.Certificate}, {"url", c.URL}, {"expires", c.Expires},
	} {
		if f.value == "" {
			return fmt.Errorf("%s: expected a value, found none", f.key)
		}
	}
	if u, err := url.Parse(c.URL); err != nil || u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("url: expected an https address, found %.200q", c.URL)
	}
	var err error
	if c.last, err = time.Parse(time.DateOnly, c.Expires); err != nil {
		return fmt.Errorf("expires: expected a day as 2029-09-10, found %.40q", c.Expires)
	}
	return nil
}

// of reports whether the certificate is about such a token. Another firmware is another product.
func (c Certificate) of(token hsm.Info) bool {
	return c.Model == token.Model && c.Firmware == token.Firmware && (c.Manufacturer == "" || c.Manufacturer == token.Manufacturer)
}

func (c Certificate) view(now time.Time) CertificateView {
	return CertificateView{Standard: c.Standard, Certificate: c.Certificate, URL: c.URL, Expires: c.Expires, Expired: !now.Before(c.last.AddDate(0, 0, 1))}
}
