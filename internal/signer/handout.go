package signer

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/strongroom/strongroom/proto/canon"
	"github.com/strongroom/strongroom/proto/refusal"
	strongroomv1 "github.com/strongroom/strongroom/proto/strongroom/v1"
)

// GetCertificate hands out a certificate that this signer acted upon.
func (s *Signer) GetCertificate(_ context.Context, r *strongroomv1.GetCertificateRequest) (*strongroomv1.GetCertificateResponse, error) {
	text, ok := strings.CutPrefix(r.GetName(), "reservations/")
	rid, err := canon.ParseDigest(text)
	if !ok || err != nil {
		return nil, refusal.New("encoding", "name", "reservations/ and 64 hexadecimal digits", fmt.Sprintf("%.70q", r.GetName()))
	}
	certificate, ok := s.config.Ledger.Certificate(rid)
	if !ok {
		return nil, status.Errorf(codes.NotFound, "reservations/%s: expected a certificate that %s acted upon, found none", rid, s.config.Self)
	}
	return &strongroomv1.GetCertificateResponse{Certificate: certificate}, nil
}
