package static

import (
	"encoding/binary"
	"hash/fnv"
	"strconv"
	"time"
)

// appendETag appends the strong entity tag of the form of a file that the suffix
// names (RFC 9110 section 8.8.3): "" for the file itself, "-br" and the like for a
// coded form. Two forms never share a tag, since their bytes differ.
//
// The tag is made from size, mtime in nanoseconds, and a hash of inode and ctime,
// not from the content: it must cost nothing for a file of any size. ctime is in it
// because tools that set mtime back (cp -p, unpacked reproducible builds) would
// otherwise replace a file under the same tag.
func appendETag(dst []byte, v version, suffix string) []byte {
	sum := fnv.New32a()
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], uint64(v.ctime))
	binary.LittleEndian.PutUint64(b[8:], v.ino)
	sum.Write(b[:])
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, v.mtime, 36)
	dst = append(dst, '-')
	dst = strconv.AppendInt(dst, v.size, 36)
	dst = append(dst, '-')
	dst = strconv.AppendUint(dst, uint64(sum.Sum32()), 36)
	dst = append(dst, suffix...)
	return append(dst, '"')
}

// httpDate is the preferred format of HTTP dates (RFC 9110 section 5.6.7).
const httpDate = "Mon, 02 Jan 2006 15:04:05 GMT"

// lastModified returns the whole second of a file's mtime, and now when that lies in
// the future, as RFC 9110 section 8.8.2.1 asks.
func (v version) lastModified(now time.Time) time.Time {
	return time.Unix(0, min(v.mtime, now.UnixNano())).UTC().Truncate(time.Second)
}

// parseHTTPDate reads the three formats that RFC 9110 section 5.6.7 has a recipient
// accept. It reports false for anything else, and the field is then ignored.
func parseHTTPDate(b []byte) (time.Time, bool) {
	if len(b) < len("Sun Nov  6 08:49:37 1994") || len(b) > len("Wednesday, 06-Nov-94 08:49:37 GMT") {
		return time.Time{}, false
	}
	s := string(b)
	for _, layout := range [...]string{httpDate, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
