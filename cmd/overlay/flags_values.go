package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// The decoders below read one option's value. Their errors follow the name of
// the option (`--threads: got "x", want a whole number`), which kong adds.

// pair is the value of an option of two words, such as --setenv NAME VALUE.
type pair struct{ Name, Value string }

type (
	pairList       []pair   // every occurrence adds one pair
	commaList      []string // every occurrence adds the words between commas
	repeatedList   []string // every occurrence adds one word, commas and all
	byteSize       int64    // bytes; 10485760 or 10M
	switchMapper   struct{} // true unless =false follows
	decodeFunction = func(ctx *kong.DecodeContext, target reflect.Value) error
)

var _, _, _ decodeFunction = decodeSeconds, decodeInt, decodeString

// nextWord takes the value of an option from the command line. A following
// option is not a value; a word such as -1 is, so that the complaint is about it.
func nextWord(ctx *kong.DecodeContext) (string, error) {
	token := ctx.Scan.Peek()
	word, ok := token.Value.(string)
	isValue := token.Type == kong.FlagValueToken || !strings.HasPrefix(word, "--")
	if token.IsEOL() || !ok || !isValue {
		return "", errors.New("needs a value")
	}
	ctx.Scan.Pop()
	return word, nil
}

func decodeString(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	// An empty word is what a shell makes of "$UNSET": nobody means it.
	if word == "" {
		return errors.New("the value is empty")
	}
	target.SetString(word)
	return nil
}

func decodeInt(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(word)
	if err != nil {
		return fmt.Errorf("got %q, want a whole number", word)
	}
	target.SetInt(int64(n))
	return nil
}

func decodeSeconds(ctx *kong.DecodeContext, target reflect.Value) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	d, err := parseSeconds(word)
	if err != nil {
		return err
	}
	target.SetInt(int64(d))
	return nil
}

// parseSeconds reads a time as mod_wsgi-express writes it, a number of seconds
// (45, 0.5), or as Go does (45s, 1m30s, 500ms). It is never negative.
func parseSeconds(word string) (time.Duration, error) {
	text := word
	if strings.Trim(text, "0123456789.") == "" {
		text += "s"
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("got %q, want seconds (45) or a time with a unit (45s, 2m)", word)
	}
	return d, nil
}

// Decode implements kong.MapperValue.
func (size *byteSize) Decode(ctx *kong.DecodeContext) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	n, err := parseBytes(word)
	if err != nil {
		return err
	}
	*size = byteSize(n)
	return nil
}

// parseBytes reads a number of bytes; a K, M or G behind it, of either case,
// multiplies by 1024, 1024² or 1024³.
func parseBytes(word string) (int64, error) {
	digits, unit := word, int64(1)
	if word != "" {
		switch word[len(word)-1] {
		case 'K', 'k':
			unit = 1 << 10
		case 'M', 'm':
			unit = 1 << 20
		case 'G', 'g':
			unit = 1 << 30
		}
	}
	if unit > 1 {
		digits = word[:len(word)-1]
	}
	n, err := strconv.ParseUint(digits, 10, 63)
	if errors.Is(err, strconv.ErrRange) || (err == nil && n > uint64(math.MaxInt64/unit)) {
		return 0, fmt.Errorf("%q is too large", word)
	}
	if err != nil {
		return 0, fmt.Errorf("got %q, want a number of bytes such as 1048576, 64K, 10M or 1G", word)
	}
	return int64(n) * unit, nil
}

// formatBytes writes n as parseBytes reads it, as short as that is exact.
func formatBytes(n int64) string {
	for _, unit := range []struct {
		size   int64
		suffix string
	}{{1 << 30, "G"}, {1 << 20, "M"}, {1 << 10, "K"}} {
		if n >= unit.size && n%unit.size == 0 {
			return strconv.FormatInt(n/unit.size, 10) + unit.suffix
		}
	}
	return strconv.FormatInt(n, 10)
}

// Decode implements kong.MapperValue. It takes NAME=VALUE from one word, or NAME
// and VALUE from two; a NAME that holds "=" cannot be written at all.
func (list *pairList) Decode(ctx *kong.DecodeContext) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	name, value, one := strings.Cut(word, "=")
	if !one {
		if value, err = nextWord(ctx); err != nil {
			names := ctx.Value.Flag.PlaceHolder // "NAME VALUE"
			return fmt.Errorf("needs two words, %s; got only %q", names, word)
		}
	}
	if name == "" {
		return fmt.Errorf("got %q, with nothing before the =", word)
	}
	*list = append(*list, pair{Name: name, Value: value})
	return nil
}

// Decode implements kong.MapperValue.
func (list *commaList) Decode(ctx *kong.DecodeContext) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	for _, name := range strings.Split(word, ",") {
		if name = strings.TrimSpace(name); name == "" {
			return fmt.Errorf("got %q, want names with a comma between them", word)
		}
		*list = append(*list, name)
	}
	return nil
}

// Decode implements kong.MapperValue.
func (list *repeatedList) Decode(ctx *kong.DecodeContext) error {
	word, err := nextWord(ctx)
	if err != nil {
		return err
	}
	if word == "" {
		return errors.New("the value is empty")
	}
	*list = append(*list, word)
	return nil
}

// Decode implements kong.Mapper: a switch stands alone, or has =true or =false
// behind it for the sake of scripts that fill in the word.
func (switchMapper) Decode(ctx *kong.DecodeContext, target reflect.Value) error {
	token := ctx.Scan.Peek()
	if token.Type != kong.FlagValueToken {
		target.SetBool(true)
		return nil
	}
	ctx.Scan.Pop()
	switch token.Value {
	case "true", true:
		target.SetBool(true)
	case "false", false:
		target.SetBool(false)
	default:
		return fmt.Errorf("got %q, want no value, true or false", token.Value)
	}
	return nil
}

// IsBool tells kong that the option takes no word.
func (switchMapper) IsBool() bool { return true }
