package static

import (
	"fmt"
	"os"
	"strings"
)

// octetStream is the type of everything unknown. Nothing is ever guessed from the
// content: with nosniff, a page that somebody uploaded as "a.xyz" stays a download.
const octetStream = "application/octet-stream"

// builtinTypes gives the media type of a file name extension, in lower case. It is
// overlay's own, not the machine's /etc/mime.types, so that a server answers the
// same on every machine. Types of text/* get charset=utf-8 when they are used; XML
// and JSON say their encoding themselves.
const builtinTypes = `
text/html                     html htm shtml
text/css                      css
text/javascript               js mjs cjs
text/plain                    txt text log conf ini cfg toml properties diff patch rst adoc srt
text/plain                    c cc cpp cxx h hh hpp go rs py pyi rb pl pm sh bash zsh java kt swift lua sql ts tsx jsx wsgi
text/markdown                 md markdown
text/csv                      csv
text/tab-separated-values     tsv
text/calendar                 ics ifb
text/vcard                    vcf
text/vtt                      vtt
text/yaml                     yaml yml
application/json              json map
application/ld+json           jsonld
application/geo+json          geojson
application/manifest+json     webmanifest
application/jsonl             jsonl ndjson
application/xml               xml xsl xsd
application/xhtml+xml         xhtml
application/atom+xml          atom
application/rss+xml           rss
application/wasm              wasm
application/pdf               pdf
application/epub+zip          epub
application/rtf               rtf
application/postscript        ps eps ai
application/msword            doc
application/vnd.ms-excel      xls
application/vnd.ms-powerpoint ppt
application/vnd.openxmlformats-officedocument.wordprocessingml.document   docx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet         xlsx
application/vnd.openxmlformats-officedocument.presentationml.presentation pptx
application/vnd.oasis.opendocument.text         odt
application/vnd.oasis.opendocument.spreadsheet  ods
application/vnd.oasis.opendocument.presentation odp
application/vnd.apple.mpegurl m3u8
application/dash+xml          mpd
application/vnd.sqlite3       sqlite sqlite3
application/zip               zip
application/gzip              gz tgz
application/zstd              zst
application/x-brotli          br
application/x-bzip2           bz2
application/x-xz              xz
application/x-tar             tar
application/x-7z-compressed   7z
application/vnd.rar           rar
application/java-archive      jar war
application/vnd.debian.binary-package deb
application/x-rpm             rpm
application/x-apple-diskimage dmg
application/vnd.android.package-archive apk
application/x-iso9660-image   iso
application/x-x509-ca-cert    crt cer der
application/x-pem-file        pem
application/pkix-crl          crl
application/x-pkcs12          p12 pfx
image/png                     png
image/jpeg                    jpg jpeg jpe jfif
image/gif                     gif
image/webp                    webp
image/avif                    avif
image/jxl                     jxl
image/heic                    heic
image/svg+xml                 svg svgz
image/bmp                     bmp
image/tiff                    tif tiff
image/vnd.microsoft.icon      ico cur
font/woff                     woff
font/woff2                    woff2
font/ttf                      ttf
font/otf                      otf
font/collection               ttc
application/vnd.ms-fontobject eot
audio/mpeg                    mp3
audio/ogg                     ogg oga opus
audio/mp4                     m4a
audio/aac                     aac
audio/flac                    flac
audio/wav                     wav
audio/midi                    mid midi
audio/webm                    weba
video/mp4                     mp4 m4v
video/webm                    webm
video/ogg                     ogv
video/quicktime               mov
video/x-msvideo               avi
video/x-matroska              mkv
video/mpeg                    mpeg mpg
video/mp2t                    m2ts
model/gltf+json               gltf
model/gltf-binary             glb
`

// builtinNames are whole names, in lower case, of text files without an extension.
var builtinNames = [...]string{"readme", "license", "licence", "copying", "changelog", "authors", "makefile", "dockerfile", "version"}

// mediaTypes finds the Content-Type of a file by its name.
type mediaTypes struct {
	byExt, byName map[string][]byte
	unknown       []byte
}

func newMediaTypes() *mediaTypes {
	m := &mediaTypes{byExt: make(map[string][]byte, 192), byName: make(map[string][]byte), unknown: []byte(octetStream)}
	for line := range strings.Lines(builtinTypes) {
		fields := strings.Fields(line)
		for _, ext := range fields[min(1, len(fields)):] {
			m.byExt[ext] = contentType(fields[0])
		}
	}
	for _, name := range builtinNames {
		m.byName[name] = contentType("text/plain")
	}
	return m
}

// contentType returns the field value for a media type: text gets a charset unless
// it names one.
func contentType(mediaType string) []byte {
	if strings.HasPrefix(mediaType, "text/") && !strings.Contains(mediaType, "charset=") {
		mediaType += "; charset=utf-8"
	}
	return []byte(mediaType)
}

// of returns the Content-Type for a file name, which may have directories before
// it. Nobody may write to the result.
func (m *mediaTypes) of(name string) []byte {
	base := name[strings.LastIndexByte(name, '/')+1:]
	lower := strings.ToLower(base)
	if t := m.byName[lower]; t != nil {
		return t
	}
	if dot := strings.LastIndexByte(lower, '.'); dot >= 0 {
		if t := m.byExt[lower[dot+1:]]; t != nil {
			return t
		}
	}
	return m.unknown
}

// readFile adds the types of a file in the format of Apache's mime.types ("type ext
// ext", a "#" begins a comment) or nginx's ("types {", lines that end in ";"). What it
// says goes before the built-in types.
func (m *mediaTypes) readFile(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	number := 0
	for line := range strings.Lines(string(data)) {
		number++
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(strings.ReplaceAll(line, ";", " "))
		if len(fields) == 0 || fields[0] == "types" || fields[0] == "}" {
			continue
		}
		kind, sub, ok := strings.Cut(fields[0], "/")
		if !ok || !validFieldName(kind) || !validFieldName(sub) {
			return fmt.Errorf("%s, line %d: %q is not a media type", name, number, fields[0])
		}
		for _, ext := range fields[1:] {
			ext = strings.ToLower(strings.TrimPrefix(ext, "."))
			if ext == "" || strings.ContainsAny(ext, "/.") {
				return fmt.Errorf("%s, line %d: %q is not an extension", name, number, ext)
			}
			m.byExt[ext] = contentType(fields[0])
		}
	}
	return nil
}
