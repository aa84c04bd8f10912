package tlsauth

import (
	"crypto/x509"
	"time"
)

// DateKind says what a Date belongs to.
type DateKind string

// The kinds of dates.
const (
	DateCertificate    DateKind = "certificate"     // a certificate of the server expires
	DateTrustAnchor    DateKind = "trust_anchor"    // a trust anchor expires
	DateRevocationList DateKind = "revocation_list" // a newer list is due
)

// Date is the end of something that a Server uses.
type Date struct {
	Kind DateKind
	// Name is the subject of the certificate, or the issuer of the list.
	Name string
	// File is where it was read from, "" for a list: those of one issuer are one.
	File string
	// Serial is the serial number of the certificate in hexadecimal, "" for a list.
	Serial string
	End    time.Time
}

// Dates returns when the certificates, trust anchors and revocation lists end that
// are in use now. What comes from Options.GetCertificate is not among them, nor is a
// list that promises no other.
func (s *Server) Dates() (dates []Date) {
	g := s.current.Load()
	of := func(kind DateKind, file string, c *x509.Certificate) Date {
		return Date{Kind: kind, Name: distinguishedName(c.RawSubject), File: file, Serial: serialOf(c), End: c.NotAfter}
	}
	for i := range g.config.Certificates {
		dates = append(dates, of(DateCertificate, s.options.Certificates[i].File, g.config.Certificates[i].Leaf))
	}
	if g.anchors == nil {
		return dates
	}
	for _, c := range g.anchors.certificates {
		dates = append(dates, of(DateTrustAnchor, s.options.AnchorFile, c))
	}
	if g.revoked == nil {
		return dates
	}
	for _, c := range g.anchors.certificates {
		if list := g.revoked.lists[issuerKeyOf(c)]; list != nil && !list.nextUpdate.IsZero() {
			dates = append(dates, Date{Kind: DateRevocationList, Name: distinguishedName(c.RawSubject), End: list.nextUpdate})
		}
	}
	return dates
}
