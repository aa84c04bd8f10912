package tlsauth

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"
)

// Reasons why a revocation list is refused.
var (
	ErrNoRevocationList = errors.New("tlsauth: file holds no revocation list")
	ErrPartialList      = errors.New("tlsauth: revocation list is a delta or covers part of the certificates alone")

	errUnknownIssuer = errors.New("its issuer is not among the trust anchors")
)

// issuerKey names an issuer by name and key: two authorities may have one name.
type issuerKey [sha256.Size]byte

func issuerKeyOf(c *x509.Certificate) issuerKey {
	h := sha256.New()
	h.Write(c.RawSubject)
	h.Write(c.RawSubjectPublicKeyInfo)
	return issuerKey(h.Sum(nil))
}

// revocations says which certificates were taken back (RFC 5280 section 5).
type revocations struct {
	lists map[issuerKey]*revocationList
}

// revocationList joins the lists of one issuer.
type revocationList struct {
	serials map[string]bool // big-endian serial numbers
	// nextUpdate is when a newer list is promised. From then on what is revoked is
	// not known any more. Zero means no promise.
	nextUpdate time.Time
}

// loadRevocations reads files, each one list in DER or any number in PEM. Each
// list must be signed by one of the anchors.
func loadRevocations(files []string, a *anchors) (*revocations, error) {
	r := &revocations{lists: map[issuerKey]*revocationList{}}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("load revocation list: %w", err)
		}
		lists, err := parseRevocationLists(text)
		if err != nil {
			return nil, fmt.Errorf("load revocation list %s: %w", file, err)
		}
		for _, list := range lists {
			if err := r.add(list, a); err != nil {
				return nil, fmt.Errorf("load revocation list %s, by %s: %w", file, distinguishedName(list.RawIssuer), err)
			}
		}
	}
	return r, nil
}

func parseRevocationLists(text []byte) (lists []*x509.RevocationList, err error) {
	if !bytes.Contains(text, []byte("-----BEGIN ")) {
		list, err := x509.ParseRevocationList(text)
		if err != nil {
			return nil, fmt.Errorf("%w (%w)", ErrNoRevocationList, err)
		}
		return []*x509.RevocationList{list}, nil
	}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "X509 CRL" {
			continue
		}
		list, err := x509.ParseRevocationList(block.Bytes)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	if len(lists) == 0 {
		return nil, ErrNoRevocationList
	}
	return lists, nil
}

// Extensions of lists that overlay understands (RFC 5280 section 5.2). Another
// critical one, a delta or a partial list must not be used as if it were complete.
var (
	oidDeltaIndicator      = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingDistribution = asn1.ObjectIdentifier{2, 5, 29, 28}
)

func (r *revocations) add(list *x509.RevocationList, a *anchors) error {
	for _, e := range list.Extensions {
		if e.Critical || e.Id.Equal(oidDeltaIndicator) || e.Id.Equal(oidIssuingDistribution) {
			return ErrPartialList
		}
	}
	issuer, err := a.issuer(list.RawIssuer, list.CheckSignatureFrom)
	if err != nil {
		return err
	}
	key := issuerKeyOf(issuer)
	known := r.lists[key]
	if known == nil {
		known = &revocationList{serials: map[string]bool{}}
		r.lists[key] = known
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			if e.Critical { // an indirect list: the entry may be another issuer's
				return ErrPartialList
			}
		}
		known.serials[string(entry.SerialNumber.Bytes())] = true
	}
	if list.NextUpdate.After(known.nextUpdate) {
		known.nextUpdate = list.NextUpdate
	}
	return nil
}

// check judges chain, which leads from a client certificate to an anchor, and
// returns how long the judgement holds; zero means until something is reloaded.
// Issuers without a list are taken at their word.
func (r *revocations) check(chain []*x509.Certificate, now time.Time) (verdict Verdict, until time.Time) {
	if r == nil {
		return Passed, time.Time{}
	}
	verdict = Passed
	for i := 0; i+1 < len(chain); i++ {
		list := r.lists[issuerKeyOf(chain[i+1])]
		if list == nil {
			continue
		}
		if list.serials[string(chain[i].SerialNumber.Bytes())] {
			return Revoked, time.Time{}
		}
		switch {
		case list.nextUpdate.IsZero():
		case now.After(list.nextUpdate):
			verdict = RevocationUnknown
		default:
			until = earlier(until, list.nextUpdate)
		}
	}
	return verdict, until
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// warnings tells what is wrong with the lists for an operator.
func (r *revocations) warnings(a *anchors, now time.Time) (warnings []string) {
	if r == nil {
		return nil
	}
	for _, c := range a.certificates {
		name := distinguishedName(c.RawSubject)
		list := r.lists[issuerKeyOf(c)]
		switch {
		case list == nil:
			warnings = append(warnings, fmt.Sprintf("there is no revocation list of the trust anchor %s: none of its certificates can be revoked", name))
		case list.nextUpdate.IsZero():
		case now.After(list.nextUpdate):
			warnings = append(warnings, fmt.Sprintf("the revocation list of %s is out of date since %s: certificates of that authority are refused until there is a newer one",
				name, list.nextUpdate.UTC().Format(time.RFC3339)))
		case list.nextUpdate.Sub(now) < 24*time.Hour:
			warnings = append(warnings, fmt.Sprintf("the revocation list of %s is good until %s alone", name, list.nextUpdate.UTC().Format(time.RFC3339)))
		}
	}
	return warnings
}
