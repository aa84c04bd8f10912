package pybridge

import (
	"encoding/binary"
	"fmt"
)

// appendMarshal appends v as Python's marshal module reads it. It knows what
// the settings of a worker process are made of: strings, integers that fit in
// 32 bits, booleans, lists and maps of these. marshal is the one format that
// every interpreter reads without importing anything large.
func appendMarshal(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		if v {
			return append(dst, 'T')
		}
		return append(dst, 'F')
	case int:
		return binary.LittleEndian.AppendUint32(append(dst, 'i'), uint32(int32(v)))
	case string:
		dst = binary.LittleEndian.AppendUint32(append(dst, 'u'), uint32(len(v)))
		return append(dst, v...)
	case []string:
		dst = binary.LittleEndian.AppendUint32(append(dst, '['), uint32(len(v)))
		for _, item := range v {
			dst = appendMarshal(dst, item)
		}
		return dst
	case []any:
		dst = binary.LittleEndian.AppendUint32(append(dst, '['), uint32(len(v)))
		for _, item := range v {
			dst = appendMarshal(dst, item)
		}
		return dst
	case map[string]any:
		dst = append(dst, '{')
		for key, item := range v {
			dst = appendMarshal(appendMarshal(dst, key), item)
		}
		return append(dst, '0')
	}
	panic(fmt.Sprintf("pybridge: marshal of %T", v))
}
