package tlsauth

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Environ is what an application is told of a connection: environ variables, named
// as mod_ssl names them. Names and Values are joined by NUL, in the same order.
// Nobody may change them.
type Environ struct{ Names, Values []byte }

// Bounds of an Environ, for certificates with thousands of names: what is more is
// left out.
const (
	maxEnvironNames  = 12 << 10
	maxEnvironValues = 64 << 10
)

// environBuilder collects variables. An empty value is left out: an application
// that tests for a name must not find one that nobody has.
type environBuilder struct{ names, values strings.Builder }

func (b *environBuilder) set(name, value string) {
	if value == "" || b.names.Len()+len(name) > maxEnvironNames || b.values.Len()+len(value) > maxEnvironValues {
		return
	}
	if b.names.Len() > 0 {
		b.names.WriteByte(0)
		b.values.WriteByte(0)
	}
	b.names.WriteString(name)
	b.values.WriteString(value)
}

func (b *environBuilder) environ() Environ {
	return Environ{Names: []byte(b.names.String()), Values: []byte(b.values.String())}
}

// Environ returns the variables of c at this moment.
func (c *Client) Environ() Environ { return c.judgement().environ }

// environ makes the variables. What a client certificate says is told only when it
// passed: an application that forgets to look at SSL_CLIENT_VERIFY must not
// believe a name that anybody can give himself.
func (g *generation) environ(c *Client, verdict Verdict, chain []*x509.Certificate, now time.Time) (_ Environ, user string) {
	var b environBuilder
	state := &c.state
	b.set("HTTPS", "on")
	b.set("SSL_PROTOCOL", protocolName(state.Version))
	b.set("SSL_CIPHER", openSSLCipher(state.CipherSuite))
	if bits := cipherBits(state.CipherSuite); bits > 0 {
		b.set("SSL_CIPHER_USEKEYSIZE", strconv.Itoa(bits))
		b.set("SSL_CIPHER_ALGKEYSIZE", strconv.Itoa(bits))
	}
	b.set("SSL_CIPHER_EXPORT", "false")
	b.set("SSL_COMPRESS_METHOD", "NULL")
	b.set("SSL_SECURE_RENEG", "true")
	resumed := "Initial"
	if state.DidResume {
		resumed = "Resumed"
	}
	b.set("SSL_SESSION_RESUMED", resumed)
	b.set("SSL_SESSION_ID", c.id)
	b.set("SSL_TLS_SNI", printable(state.ServerName))
	b.set("SSL_VERSION_INTERFACE", "overlay")
	b.set("SSL_VERSION_LIBRARY", "Go crypto/tls")
	if state.NegotiatedProtocol == "h2" {
		b.set("SERVER_PROTOCOL", "HTTP/2.0")
	}
	if g.serverEnviron {
		if leaf := g.served(state.ServerName); leaf != nil {
			b.certificate("SSL_SERVER", leaf)
			b.set("SSL_SERVER_CERT", pemOf(leaf))
			b.list("SSL_SERVER_SAN_OTHER_dnsSRV", otherNames(leaf, oidServiceName))
		}
	}
	if g.anchors == nil {
		return b.environ(), ""
	}
	switch verdict {
	case NoneSent:
		b.set("SSL_CLIENT_VERIFY", "NONE")
		return b.environ(), ""
	case Passed:
		b.set("SSL_CLIENT_VERIFY", "SUCCESS")
	default:
		b.set("SSL_CLIENT_VERIFY", "FAILED:"+verdict.String())
		return b.environ(), ""
	}
	start := b.names.Len()
	leaf := chain[0]
	b.certificate("SSL_CLIENT", leaf)
	b.list("SSL_CLIENT_SAN_OTHER_msUPN", otherNames(leaf, oidPrincipalName))
	b.set("SSL_CLIENT_V_REMAIN", strconv.Itoa(int(math.Floor(leaf.NotAfter.Sub(now).Hours()/24))))
	b.set("SSL_CLIENT_CERT", pemOf(leaf))
	for i, issuer := range chain[1:] {
		b.set("SSL_CLIENT_CERT_CHAIN_"+strconv.Itoa(i), pemOf(issuer))
	}
	b.set("SSL_CLIENT_CERT_RFC4523_CEA", fmt.Sprintf("{ serialNumber %s, issuer rdnSequence:%q }", leaf.SerialNumber, distinguishedName(leaf.RawIssuer)))
	if g.userName != "" {
		if user = b.find(g.userName, start); user != "" {
			b.set("REMOTE_USER", user)
			b.set("AUTH_TYPE", "ClientCert")
		}
	}
	return b.environ(), user
}

// find returns the value of the variable name among those set behind the first
// start bytes of the names, "" if there is none.
func (b *environBuilder) find(name string, start int) string {
	names, values := strings.Split(b.names.String(), "\x00"), strings.Split(b.values.String(), "\x00")
	at := 0
	for i, n := range names {
		if n == name && at >= start {
			return values[i]
		}
		at += len(n) + 1
	}
	return ""
}

// certificate sets the variables that mod_ssl has for both ends of a connection.
func (b *environBuilder) certificate(prefix string, c *x509.Certificate) {
	b.set(prefix+"_M_VERSION", strconv.Itoa(c.Version))
	b.set(prefix+"_M_SERIAL", serialOf(c))
	b.name(prefix+"_S_DN", c.RawSubject)
	b.name(prefix+"_I_DN", c.RawIssuer)
	b.set(prefix+"_V_START", opensslTime(c.NotBefore))
	b.set(prefix+"_V_END", opensslTime(c.NotAfter))
	b.set(prefix+"_A_SIG", signatureName(c.SignatureAlgorithm))
	b.set(prefix+"_A_KEY", keyName(c.PublicKeyAlgorithm))
	b.list(prefix+"_SAN_Email", c.EmailAddresses)
	b.list(prefix+"_SAN_DNS", c.DNSNames)
	for i, uri := range c.URIs {
		b.set(prefix+"_SAN_URI_"+strconv.Itoa(i), printable(uri.String()))
	}
	for i, ip := range c.IPAddresses {
		b.set(prefix+"_SAN_IP_"+strconv.Itoa(i), ip.String())
	}
}

// list sets the values by number: prefix_0 is the first.
func (b *environBuilder) list(prefix string, values []string) {
	for i, value := range values {
		b.set(prefix+"_"+strconv.Itoa(i), printable(value))
	}
}

// name sets the whole name, each attribute, and repeated ones by number: _OU is
// the first, _OU_0 as well, _OU_1 the second.
func (b *environBuilder) name(prefix string, raw []byte) {
	b.set(prefix, distinguishedName(raw))
	for _, attribute := range attributes {
		if attribute.variable == "" {
			continue
		}
		values := attributeValues(raw, attribute.oid)
		if len(values) == 0 {
			continue
		}
		b.set(prefix+"_"+attribute.variable, printable(values[0]))
		if len(values) > 1 {
			for i, value := range values {
				b.set(prefix+"_"+attribute.variable+"_"+strconv.Itoa(i), printable(value))
			}
		}
	}
}

// serialOf returns the serial number as OpenSSL writes it, in whole bytes.
func serialOf(c *x509.Certificate) string {
	serial := strings.ToUpper(c.SerialNumber.Text(16))
	if len(serial)%2 == 1 {
		serial = "0" + serial
	}
	return serial
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

// opensslTime writes t as ASN1_TIME_print does.
func opensslTime(t time.Time) string { return t.UTC().Format("Jan _2 15:04:05 2006 GMT") }

// signatureName returns OpenSSL's long name of a.
func signatureName(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA256WithRSA:
		return "sha256WithRSAEncryption"
	case x509.SHA384WithRSA:
		return "sha384WithRSAEncryption"
	case x509.SHA512WithRSA:
		return "sha512WithRSAEncryption"
	case x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return "rsassaPss"
	case x509.ECDSAWithSHA256:
		return "ecdsa-with-SHA256"
	case x509.ECDSAWithSHA384:
		return "ecdsa-with-SHA384"
	case x509.ECDSAWithSHA512:
		return "ecdsa-with-SHA512"
	case x509.PureEd25519:
		return "ED25519"
	}
	return a.String()
}

func keyName(a x509.PublicKeyAlgorithm) string {
	switch a {
	case x509.RSA:
		return "rsaEncryption"
	case x509.ECDSA:
		return "id-ecPublicKey"
	case x509.Ed25519:
		return "ED25519"
	}
	return a.String()
}
